"""Turning a request into what may be shown of it: no secret is read, words stand for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.auth.basic import username_of
from adapters.auth.kerberos import whose
from adapters.auth.options import AuthOptions, token_url_of
from adapters.base import Site
from adapters.preview import File, Preview


def shown(
    request: Any,
    *,
    credentials: Mapping[str, str],
    fields: Mapping[str, str],
    files: Sequence[File],
    remarks: Sequence[str],
) -> Preview:
    """What there is to see of a request of httpx, made with the `files` empty."""
    headers = {name.decode("latin-1"): said.decode("latin-1") for name, said in request.headers.raw}
    if files:
        # Both are made anew for each request.
        headers["Content-Type"] = "multipart/form-data; boundary=..."
        headers.pop("Content-Length", None)
    return Preview(
        request.method,
        str(request.url),
        headers | dict(credentials),
        body=None if files else request.read().decode() or None,
        fields=dict(fields) if files else {},
        files=tuple(files),
        remarks=tuple(remarks),
    )


def stand_in(site: Site, auth: AuthOptions) -> dict[str, str]:
    """The header that would prove who we are, with words in place of the secret."""
    match auth.method:
        case "none":
            return {}
        case "basic":
            username = username_of(site, auth)
            proof = f"Basic <{username} with the password in {auth.password_file}>"
        case "bearer" if auth.token_file is not None:
            proof = f"Bearer <the token in {auth.token_file}>"
        case "bearer":
            proof = "Bearer <the token that token_command prints>"
        case "kerberos":
            proof = f"Negotiate <a ticket of {whose(auth)}>"
        case "oidc" if auth.flow == "device":
            proof = f"Bearer <the token of who said `holdfast login {site.name}`>"
        case "oidc":
            proof = f"Bearer <a token for {auth.client_id} from {token_url_of(auth)}>"
        case "cookie":
            key = "cookie_command" if auth.cookie_file is None else auth.cookie_file
            return {"Cookie": f"<the cookies of {key}>"}
        case other:
            proof = f"<what auth.method = {other!r} gives>"
    return {"Authorization": proof}
