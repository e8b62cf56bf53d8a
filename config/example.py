"""Writes `holdfast.example.toml` from the settings model: every key, its default, its reason.

`python -m config.example` prints it; a test compares it with the file.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.settings import BackendSettings, RetryOverrides, Settings

FILE = Path(__file__).with_name("holdfast.example.toml")

HEAD = """\
# Holdfast settings. Every key is here with its default; a line that begins with "#" says nothing.
#
# Read from --config, else $HOLDFAST_CONFIG, else /etc/holdfast/holdfast.toml (without root:
# ~/.config/holdfast/holdfast.toml), then conf.d/*.toml beside it, in the order of their names.
# Any key can be set in the environment: HOLDFAST_RETRY__MAX_ATTEMPTS=5.
# `holdfast check` says what is wrong, and where.
"""

BACKENDS = """
# Backends: one table each. The name is yours: [a-z][a-z0-9_]*, at most 32 characters; it is also
# the name of its folder in the spool. Keys of one kind only are in docs/backends/.

#[backends.elog]
#kind = "elog"                       # LCLS eLog
#url = "https://pswww.slac.stanford.edu"
#instrument = "mfx"
#auth = { method = "basic", username = "{instrument}opr", password_file = "elog-password" }
# Or, instead of that line: the operator account where its experiment is active, a person elsewhere.
#[backends.elog.auth]
#method = "auto"
#operator = { username = "{instrument}opr", password_file = "elog-password" }
#kerberos = { keytab_file = "elog.keytab", principal = "somebody@SLAC.STANFORD.EDU" }

#[backends.events]
#kind = "event_manager"              # MADSci Event Manager
#url = "http://events.lab:8001"

#[backends.telemetry]
#kind = "telemetry"                  # PANOPTES telemetry server
#url = "http://dome:6562"

#[backends.accounting]
#kind = "auditor"                    # AUDITOR
#url = "http://auditor:8000"

#[backends.oms]
#kind = "oms"                        # CMS OMS, which is only asked (holdfast query)
#url = "https://cmsoms.cern.ch"

# Keys that every backend has:
"""

AUTH = """
# auth: method =
#   "none"
#   "basic"     username, password_file
#   "bearer"    token_file, or token_command = ["command", "argument"]
#   "kerberos"  keytab_file and principal (neither: the tickets of the user that the agent runs
#               as), service (default: "HTTP@" and the host of url); pip install holdfast[kerberos]
#   "oidc"      a token of a token server. flow =
#       "api-access"      client_id, client_secret_file, audience (CERN: the API access)
#       "token-exchange"  the same keys, in two steps: for clients that have no API access
#       "device"          client_id, audience: for a person, who says `holdfast login BACKEND`
#               token_url: CERN's when not given; device_url: beside it
#   "cookie"    cookie_command = ["auth-get-sso-cookie", "-u", "{url}", "-o", "{file}"], or
#               cookie_file: cookies in Netscape's format that somebody else renews
#   "auto"      the eLog only: operator = { keys of basic } for the active experiment, and
#               kerberos = { ... } or bearer = { ... } for all others
#   A relative file is looked for in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=), then
#   beside this file. Secrets themselves never stand here.
# tls: ca_file, cert_file, key_file (PEM). The system's authorities when nothing is said.
"""


def render() -> str:
    """The whole example file."""
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        if name != "backends":
            parts.append(_section(name, field))
    parts.append(BACKENDS)
    parts += [_key(name, field) for name, field in BackendSettings.model_fields.items()]
    parts.append(AUTH)
    return "".join(parts)


def _section(name: str, field: FieldInfo) -> str:
    model = field.annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    title = f"\n# {model.__doc__}\n[{name}]\n"
    return title + "".join(_key(key, one) for key, one in model.model_fields.items())


def _key(name: str, field: FieldInfo) -> str:
    said = field.description or "Keys of [retry] that differ for this backend."
    value = "..." if field.is_required() else _toml(field.get_default(call_default_factory=True))
    return f"# {said}\n#{name} = {value}\n"


def _toml(value: Any) -> str:
    match value:
        case None:
            return "...  (default: what the kind of backend says, or none)"
        case RetryOverrides():
            return "{}"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:_.12g}" if isinstance(value, float) else f"{value:_}"
        case dict():
            return "{}"
        case _:
            return f'"{value}"'


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - its purpose
