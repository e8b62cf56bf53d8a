"""Who may ask OMS: Apache's mod_auth_openidc in front of it (OMS sheet, sections 9 and 10)."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from tests.emulators.oms_sso import LOGIN, LOGIN_PAGE, Sso

COOKIE = "mod_auth_openidc_session"
BEARER = "bearer"
BY_COOKIE = "cookie"


@dataclass
class Gate:
    """The gate. `ways`: `bearer`, `cookie`, or both; none: whoever comes may ask.

    `audience`: whom a token has to be for. `members`: the clients of the api-access group; others
    get 403; None: all are. `sessions`: the cookies that it knows. `says`: `401_once`, `401`,
    `403`, `302` (to a login page), `html` (200 with one): whoever comes, whatever they bring.
    """

    sso: Sso
    ways: tuple[str, ...] = ()
    audience: str = "cmsoms-prod"
    members: set[str] | None = None
    sessions: set[str] = field(default_factory=set)
    says: str = ""

    def log_in(self) -> str:
        """A new session; the value of its cookie."""
        session = f"session-{len(self.sessions) + 1}"
        self.sessions.add(session)
        return session

    def judge(self, request: Request) -> Response | None:
        """What is answered instead; None: come in."""
        says = self.says
        if says == "401_once":
            self.says = ""
        match says:
            case "401_once" | "401":
                return unauthorized()
            case "403":
                return forbidden()
            case "302":
                return to_login(request)
            case "html":
                return Response(LOGIN_PAGE, media_type="text/html")
        return self._known(request)

    def _known(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if BEARER in self.ways and scheme.lower() == "bearer":
            held = self.sso.valid(token)
            if held is None or held.audience != self.audience:
                return unauthorized()
            if self.members is not None and held.client not in self.members:
                return forbidden()
            return None
        if BY_COOKIE in self.ways:
            return None if request.cookies.get(COOKIE) in self.sessions else to_login(request)
        return unauthorized() if self.ways else None


def unauthorized() -> Response:
    headers = {"www-authenticate": 'Bearer realm="OMS", error="invalid_token"'}
    return page(401, "401 Unauthorized", headers)


def forbidden() -> Response:
    return page(403, "403 Forbidden")


def to_login(request: Request) -> Response:
    """The real one leads to auth.cern.ch; this one stays on the emulator's port."""
    where = f"{request.url.scheme}://{request.url.netloc}{LOGIN}"
    wanted = f"{where}?response_type=code&scope=openid&client_id=cmsoms-prod"
    return page(302, "302 Found", {"location": wanted})


def page(status: int, title: str, headers: dict[str, str] | None = None) -> Response:
    body = f"<!DOCTYPE HTML><html><head><title>{title}</title></head><body></body></html>"
    return Response(body, status, headers, media_type="text/html")
