"""Settings: merged in order, judged whole, wrong ones named by key and never by value."""

from pathlib import Path
from typing import Any

import pytest

from agent.clock import Clock
from agent.wiring import check_backends, make_routes, read_secret
from config.settings import Settings, judge
from config.sources import SettingsError, Sources, read_sources

SECRET = "hunter2-canary"


def write(folder: Path, text: str, name: str = "holdfast.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def problems_of(values: dict[str, Any], folder: Path) -> list[str]:
    """Everything that is wrong, as `holdfast check` says it."""
    with pytest.raises(SettingsError) as wrong:
        check_backends(judge(Sources(values, folder / "x.toml")), folder, Clock())
    return wrong.value.problems


def a_backend(**keys: Any) -> dict[str, Any]:
    return {"backends": {"events": {"kind": "event_manager", "url": "http://e:1", **keys}}}


def test_conf_d_and_environment_override_the_file_in_that_order(tmp_path: Path) -> None:
    file = write(tmp_path, "[retry]\nmax_attempts = 1\nfirst_delay_seconds = 1\n")
    write(tmp_path, "[retry]\nmax_attempts = 2\nmax_delay_seconds = 2\n", "conf.d/10.toml")
    write(tmp_path, "[retry]\nmax_attempts = 3\n", "conf.d/20.toml")

    settings = judge(read_sources(file, {"HOLDFAST_RETRY__MAX_DELAY_SECONDS": "7.5"}))

    assert settings.retry.first_delay_seconds == 1
    assert settings.retry.max_attempts == 3
    assert settings.retry.max_delay_seconds == 7.5


def test_a_backend_can_be_overridden_in_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path, '[backends.events]\nkind = "event_manager"\nurl = "http://a:1"\n')

    settings = judge(read_sources(file, {"HOLDFAST_BACKENDS__EVENTS__URL": "http://b:2"}))

    assert settings.backends["events"].url == "http://b:2"


def test_a_nul_character_is_named_wherever_it_stands(tmp_path: Path) -> None:
    values = {"agent": {"state_dir": "a\0b"}, **a_backend(auth={"token_command": ["cat", "\0"]})}

    assert problems_of(values, tmp_path) == [
        "agent.state_dir: has a NUL character in it",
        "backends.events.auth.token_command: has a NUL character in it",
    ]


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no settings file .*nowhere\.toml"):
        read_sources(tmp_path / "nowhere.toml", {})


def test_the_file_can_come_from_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path, "")

    assert read_sources(None, {"HOLDFAST_CONFIG": str(file)}).file == file


@pytest.mark.parametrize("variable", ["HOLDFAST_RETRY", "HOLDFAST__X", "HOLDFAST_A__B__"])
def test_a_misshapen_variable_is_named(tmp_path: Path, variable: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        read_sources(write(tmp_path, ""), {variable: SECRET})


@pytest.mark.parametrize("variable", ["HOLDFAST_RETYR__MAX_ATTEMPTS", "HOLDFAST_RETRY__MAXX"])
def test_an_unknown_key_in_the_environment_is_an_error(tmp_path: Path, variable: str) -> None:
    with pytest.raises(SettingsError, match="is not a key"):
        judge(read_sources(write(tmp_path, ""), {variable: "1"}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"agnet": {}}, "agnet: is not a key that Holdfast knows"),
        ({"agent": {"state_dri": "/x"}}, "agent.state_dri: is not a key that Holdfast knows"),
        ({"retry": {"max_attempts": 0}}, "retry.max_attempts: "),
        ({"agent": {"socket": "/" + "s" * 107}}, "agent.socket: the path is longer than 107"),
        ({"agent": {"socket": "/s", "admin_socket": "/s"}}, "agent.admin_socket: has to be"),
        ({"agent": {"socket_mode": "rw"}}, "agent.socket_mode: "),
        ({"agent": {"log_format": "xml"}}, "agent.log_format: "),
        ({"backends": {"Events": {"kind": "x", "url": "http://x"}}}, "backends.Events: "),
        ({"backends": {"events": {"kind": "event_manager"}}}, "backends.events.url: is required"),
        (a_backend(kind="nope"), "backends.events.kind: there is no such kind"),
        (a_backend(url="ftp://x"), "backends.events.url: "),
        (a_backend(url=f"http://u:{SECRET}@x"), "backends.events.url: "),
        (a_backend(uurl=1), "backends.events.uurl: is not a key that Holdfast knows"),
        (a_backend(on_full="drop_newest"), "backends.events.on_full: "),
        (a_backend(window="* *"), "backends.events.window: "),
        (a_backend(retry={"max": 1}), "backends.events.retry.max: is not a key"),
        (a_backend(auth={"method": "negotiate"}), "backends.events.auth.method: "),
        (a_backend(auth={"method": "basic"}), "backends.events.auth.username: is required"),
        (a_backend(auth={"method": "bearer"}), "backends.events.auth.token_file: is required"),
        (
            a_backend(auth={"method": "basic", "username": "x", "password": SECRET}),
            "backends.events.auth.password: is not a key",
        ),
        (a_backend(tls={"ca": "x"}), "backends.events.tls.ca: is not a key"),
    ],
)
def test_what_is_wrong_is_named_by_its_full_key_and_not_by_its_value(
    tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    found = problems_of(values, tmp_path)

    assert any(one.startswith(said) for one in found), found
    assert SECRET not in "".join(found)


def test_every_wrong_backend_is_told_at_once(tmp_path: Path) -> None:
    values = {
        "backends": {
            "a": {"kind": "nope", "url": "http://x"},
            "b": {"kind": "elog", "url": "http://x", "colour": 1},
        }
    }

    assert len(problems_of(values, tmp_path)) == 2


def test_a_user_name_made_of_a_setting_needs_that_setting(tmp_path: Path) -> None:
    auth = {"method": "basic", "username": "{instrument}opr", "password_file": "p"}
    values = {"backends": {"elog": {"kind": "elog", "url": "http://x", "auth": auth}}}

    assert problems_of(values, tmp_path) == [
        "backends.elog.instrument: is required by backends.elog.auth.username"
    ]


def test_a_secret_is_read_from_systemd_first_then_beside_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "beside", "secret")
    write(tmp_path, "handed over", "credentials/secret")

    beside = read_secret("secret", folder=tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    handed_over = read_secret("secret", folder=tmp_path)

    assert (beside, handed_over) == ("beside", "handed over")


def test_retry_settings_of_a_backend_replace_the_common_ones_key_by_key(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {**a_backend(retry={"max_attempts": 3}), "retry": {"max_delay_seconds": 9}}
    )

    policy = make_routes(settings, tmp_path, Clock())["events"].policy

    assert (policy.max_attempts, policy.max_delay_seconds) == (3, 9)


def test_a_changed_secret_is_noticed_and_never_kept(tmp_path: Path) -> None:
    write(tmp_path, SECRET, "p")
    auth = {"method": "basic", "username": "u", "password_file": "p"}
    route = make_routes(Settings.model_validate(a_backend(auth=auth)), tmp_path, Clock())["events"]

    before = route.credentials()
    same = route.credentials()
    write(tmp_path, "another", "p")

    assert before == same != route.credentials()
    assert SECRET not in before
