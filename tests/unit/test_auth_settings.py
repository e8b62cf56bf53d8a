"""`auth` in the settings: what each method needs, told by its full key; what is watched of it."""

import sys
from pathlib import Path
from typing import Any

import pytest

import adapters.auth
from adapters.auth.options import AuthOptions, accounts_of, device_url_of, token_url_of
from adapters.auth.tickets import LIBRARY, Trouble, verdict
from adapters.registry import KINDS
from adapters.verdict import Refused, Unreachable
from agent.cli.app import run
from agent.clock import Clock
from agent.wiring import check_backends, find_secret, logins_folder, make_routes
from config.settings import Settings, judge
from config.sources import SettingsError, Sources
from tests.builders import a_claim
from tests.emulators.raw import Line, a_site, peer, reply

KEYTAB = b"\x05\x02 and keys"
OPERATOR = {"username": "{instrument}opr", "password_file": "p"}
TICKETS = {"keytab_file": "k", "principal": "pi@LAB"}
MFX = {"instrument": "mfx"}


def settings(kind: str, auth: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"backends": {"b": {"kind": kind, "url": "http://e:1", "auth": auth, **more}}}


def problems_of(values: dict[str, Any], folder: Path) -> list[str]:
    try:
        check_backends(judge(Sources(values, folder / "x.toml")), folder, Clock())
    except SettingsError as wrong:
        return wrong.problems
    return []


def auto(**changes: Any) -> dict[str, Any]:
    return {"method": "auto", "operator": OPERATOR, "bearer": {"token_file": "t"}, **changes}


def robot(**changes: Any) -> dict[str, Any]:
    own = {"client_id": "us", "client_secret_file": "s", "audience": "them"}
    values = {"method": "oidc", **own, **changes}
    return {key: value for key, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (settings("auditor", {"method": "bearer", "username": "u", "token_file": "t"}), "username"),
        (settings("auditor", {"keytab_file": "k"}), "keytab_file: is no key of method = 'none'"),
        (settings("auditor", {"method": "bearer", "token_command": []}), "token_command: "),
        (settings("auditor", {"method": "kerberos", "service": "pswww"}), "service: "),
        (settings("elog", auto(operator=None), **MFX), "operator: is required by method = 'auto'"),
        (settings("elog", auto(operator={"username": "u"}), **MFX), "operator.password_file: is"),
        (settings("elog", auto(operator={"usrname": "u"}), **MFX), "operator.usrname: is not a"),
        (settings("elog", auto(bearer=None), **MFX), "kerberos: is required by method = 'auto'"),
        (settings("elog", auto(bearer={}), **MFX), "bearer.token_file: is required by"),
        (settings("elog", auto(kerberos={}), **MFX), "bearer: only one of kerberos and bearer"),
        (settings("elog", auto(username="u"), **MFX), "username: is no key of method = 'auto'"),
        (settings("auditor", robot(client_id=None)), "client_id: is required by flow = 'api-a"),
        (settings("auditor", robot(audience=None)), "audience: is required by flow = 'api-access'"),
        (settings("auditor", robot(client_secret_file=None)), "client_secret_file: is required by"),
        (
            settings("auditor", robot(client_secret_file=None, flow="token-exchange")),
            "client_secret_file: is required by flow = 'token-exchange'",
        ),
        (settings("auditor", {"method": "oidc", "flow": "device"}), "client_id: is required by"),
        (settings("auditor", robot(flow="password")), "flow: "),
        (settings("auditor", robot(token_url="http://auth.lab/t")), "token_url: has to be https"),
        (settings("auditor", robot(token_url="auth.lab")), "token_url: has to be https"),
        (settings("auditor", robot(token_url="https://a:b@c/t")), "token_url: has to be https"),
        (settings("auditor", robot(device_url="https://a/d")), "device_url: is no key of flow = '"),
        (settings("auditor", robot(token_file="t")), "token_file: is no key of method = 'oidc'"),
        (settings("auditor", {"flow": "device"}), "flow: is no key of method = 'none'"),
        (settings("auditor", {"method": "cookie"}), "cookie_command: is required by method = 'c"),
        (
            settings("auditor", {"method": "cookie", "cookie_command": ["sso", "{url}"]}),
            "cookie_command: needs a word with {file}",
        ),
        (
            settings(
                "auditor", {"method": "cookie", "cookie_command": ["{file}"], "cookie_file": "c"}
            ),
            "cookie_file: cannot be set beside cookie_command",
        ),
    ],
)
def test_what_is_wrong_with_a_method_is_named_by_its_full_key(
    tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    found = problems_of(values, tmp_path)

    assert [one for one in found if one.startswith(f"backends.b.auth.{said}")] == found != []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (settings("elog", auto()), "instrument: is required by auth.method = 'auto'"),
        (settings("elog", auto(), **MFX, gate="ws-test"), "gate: cannot be set beside"),
        (settings("event_manager", auto()), "auth.method: 'auto' is for the eLog only"),
    ],
)
def test_auto_needs_what_only_an_elog_has(
    tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    assert any(one.startswith(f"backends.b.{said}") for one in problems_of(values, tmp_path))


@pytest.mark.parametrize(
    "auth",
    [
        robot(),
        robot(flow="token-exchange", token_url="https://auth.lab/realms/x/token"),
        {"method": "oidc", "flow": "device", "client_id": "public"},
        robot(flow="device", device_url="http://localhost:1/device"),
        {"method": "cookie", "cookie_command": ["sso", "-o", "{file}"]},
        {"method": "cookie", "cookie_file": "c"},
    ],
)
def test_complete_tokens_and_cookies_are_taken(tmp_path: Path, auth: dict[str, Any]) -> None:
    assert problems_of(settings("auditor", auth), tmp_path) == []


def test_cookies_need_the_name_of_their_gate_at_an_elog(tmp_path: Path) -> None:
    auth = {"method": "cookie", "cookie_file": "c"}

    (said,) = problems_of(settings("elog", auth), tmp_path)

    assert said.startswith("backends.b.gate: is required by auth.method = 'cookie'")
    assert problems_of(settings("elog", auth, gate="ws-sso"), tmp_path) == []


def test_cerns_token_server_is_asked_when_no_other_is_named() -> None:
    urls = {
        flow: token_url_of(AuthOptions.model_validate(robot(flow=flow)))
        for flow in ("api-access", "token-exchange", "device")
    }
    cern = "https://auth.cern.ch/auth/realms/cern"

    assert urls == {
        "api-access": f"{cern}/api-access/token",
        "token-exchange": f"{cern}/protocol/openid-connect/token",
        "device": f"{cern}/protocol/openid-connect/token",
    }
    device = AuthOptions.model_validate(robot(flow="device"))
    assert device_url_of(device) == f"{cern}/protocol/openid-connect/auth/device"


@pytest.mark.parametrize(
    ("auth", "file"),
    [
        (robot(), "s"),
        ({"method": "cookie", "cookie_file": "c"}, "c"),
        ({"method": "oidc", "flow": "device", "client_id": "u"}, "state/holdfast/tokens/b.json"),
    ],
)
def test_a_change_of_what_proves_us_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: dict[str, Any], file: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    values = settings("auditor", auth)
    route = make_routes(Settings.model_validate(values), tmp_path, Clock())["b"]

    before = route.credentials()
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("x")

    assert route.credentials() != before


@pytest.mark.parametrize("named", ["", "relative/state"])
def test_logins_are_in_the_users_own_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", named)

    assert logins_folder() == tmp_path / ".local/state/holdfast/tokens"


def test_a_complete_auto_is_taken(tmp_path: Path) -> None:
    assert problems_of(settings("elog", auto(), **MFX), tmp_path) == []


@pytest.mark.parametrize(
    ("auth", "key"),
    [({"method": "kerberos"}, "method"), (auto(bearer=None, kerberos=TICKETS), "kerberos")],
)
def test_kerberos_without_its_library_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: dict[str, Any], key: str
) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)  # as where it is not installed
    monkeypatch.delitem(sys.modules, "adapters.auth.spnego", raising=False)
    monkeypatch.delattr(adapters.auth, "spnego", raising=False)

    (said,) = problems_of(settings("elog", auth, **MFX), tmp_path)

    assert said.startswith(f"backends.b.auth.{key}: ")
    assert "pip install 'holdfast[kerberos]'" in said


@pytest.mark.parametrize("file", ["p", "k"])
def test_a_change_of_any_secret_of_both_accounts_is_noticed(tmp_path: Path, file: str) -> None:
    pytest.importorskip("gssapi", reason="the optional extra `kerberos` is not installed")
    for name in ("p", "k"):
        (tmp_path / name).write_bytes(KEYTAB)
    values = settings("elog", auto(bearer=None, kerberos=TICKETS), **MFX)
    route = make_routes(Settings.model_validate(values), tmp_path, Clock())["b"]

    before = route.credentials()
    same = route.credentials()
    (tmp_path / file).write_bytes(KEYTAB + b"\xff")
    changed = route.credentials()
    (tmp_path / file).unlink()

    assert before == same
    assert len({before, changed, route.credentials()}) == 3


def test_a_keytab_is_looked_for_where_systemd_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over = tmp_path / "credentials" / "k"
    handed_over.parent.mkdir()
    beside = find_secret("k", folder=tmp_path)
    handed_over.write_bytes(KEYTAB)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed_over.parent))

    assert (beside, find_secret("k", folder=tmp_path)) == (tmp_path / "k", handed_over)
    assert find_secret("/k", folder=tmp_path) == Path("/k")


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"p": b"secret", "t": b"token"}, None),
        ({"p": b"secret", "t": b""}, "backends.b.auth.bearer.token_file: t is empty"),
        ({"p": b"secret", "t": b"\xff"}, "backends.b.auth.bearer.token_file: t cannot be read"),
        ({"t": b"token"}, "backends.b.auth.operator.password_file: p cannot be read"),
    ],
)
def test_check_looks_at_the_secrets_of_both_accounts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    contents: dict[str, bytes],
    said: str | None,
) -> None:
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    config = tmp_path / "x.toml"
    lines = [f'{name} = "{tmp_path}/{name}"' for name in ("state_dir", "spool_dir", "socket")]
    config.write_text(
        "\n".join(["[agent]", *lines, f'admin_socket = "{tmp_path}/admin"'])
        + '\n[backends.b]\nkind = "elog"\nurl = "http://e:1"\ninstrument = "mfx"\n'
        'auth = { method = "auto", operator = { username = "{instrument}opr",'
        ' password_file = "p" }, bearer = { token_file = "t" } }\n'
    )

    code = run(["--config", str(config), "check"])

    shown = capsys.readouterr()
    assert code == (0 if said is None else 78)
    assert (said or "") in shown.err
    assert (said is None) == ("auto" in shown.out)


@pytest.mark.parametrize(
    ("auth", "key"),
    [
        (
            'method = "oidc", client_id = "u", audience = "a", client_secret_file = "s"',
            "client_secret_file",
        ),
        ('method = "cookie", cookie_file = "s"', "cookie_file"),
    ],
)
def test_check_looks_at_the_secret_of_a_client_and_at_cookies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], auth: str, key: str
) -> None:
    config = tmp_path / "x.toml"
    lines = [f'{name} = "{tmp_path}/{name}"' for name in ("state_dir", "spool_dir", "socket")]
    config.write_text(
        "\n".join(["[agent]", *lines, f'admin_socket = "{tmp_path}/admin"'])
        + f'\n[backends.b]\nkind = "auditor"\nurl = "http://e:1"\nauth = {{ {auth} }}\n'
    )

    assert run(["--config", str(config), "check"]) == 78
    assert f"backends.b.auth.{key}: s cannot be read" in capsys.readouterr().err
    (tmp_path / "s").write_text("x")
    assert run(["--config", str(config), "check"]) == 0


PAYLOADS = {
    "elog": ("post", {"experiment": "mfxl1000123", "text": "x"}),
    "event_manager": ("event", {"event_type": "log_info", "event_data": {}}),
    "telemetry": ("event", {"type": "weather", "data": 1}),
    "auditor": (
        "record",
        {"record_id": "r", "components": [], "start_time": "2026-11-23T10:00:00Z"},
    ),
}


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
async def test_a_plain_user_name_is_shown_to_every_kind_of_backend(kind: str) -> None:
    async def refuse(line: Line) -> None:
        while await line.hear_request():
            await line.say(reply(401))

    auth = AuthOptions(method="basic", username="gate", password_file="p")
    async with peer(refuse) as there:
        site = a_site(
            there.url,
            auth=auth,
            options=KINDS[kind].options(),
            read_secret={"p": "secret"}.__getitem__,
        )
        adapter = KINDS[kind].adapter(site)
        entry_kind, payload = PAYLOADS[kind]
        try:
            (verdict,) = await adapter.deliver([a_claim(payload, kind=entry_kind)])
        except Refused as error:
            verdict = error
        await adapter.close()

        assert isinstance(verdict, Refused)
        assert verdict.credentials
        assert there.everything.count(b"\r\nAuthorization: Basic Z2F0ZTpzZWNyZXQ=\r\n") == 1


# What Kerberos says, as far as no real server can be made to say it


@pytest.mark.parametrize(
    ("code", "error", "side", "shown_to"),
    [
        (LIBRARY + 29, Unreachable, "network", "nobody"),  # the KDC says that it cannot just now
        (LIBRARY + 154, Unreachable, "network", "nobody"),  # no server found: so it is offline
        (LIBRARY + 220, Unreachable, "network", "nobody"),
        (LIBRARY + 37, Refused, "agent", "nobody"),  # the clocks
        (LIBRARY + 18, Refused, "credentials", "kdc"),  # locked
        (LIBRARY + 24, Refused, "credentials", "kdc"),  # a wrong key
        (LIBRARY + 160, Refused, "credentials", "nobody"),  # no realm at all: anything else
    ],
)
def test_what_kerberos_says_is_a_verdict(code: int, error: type, side: str, shown_to: str) -> None:
    trouble = Trouble(code, "in its words", "pi@LAB", "HTTP@lab", keytab="k")

    said = verdict(a_site("http://x"), trouble)

    assert type(said) is error
    assert (said.side, said.shown_to) == (side, shown_to)
    assert getattr(said, "credentials", "nobody")
    assert "in its words" in said.detail
    assert "pi@LAB" in said.detail


def test_an_account_of_auto_is_one_of_another_method() -> None:
    auth = AuthOptions.model_validate(auto())

    assert [(prefix, one.method) for prefix, one in accounts_of(auth)] == [
        ("operator.", "basic"),
        ("bearer.", "bearer"),
    ]
