"""How commands are called wrongly, and which exit code says so; what help tells."""

import re
from pathlib import Path

import pytest
import typer

from agent.cli.app import COMMANDS, app, run
from tests.builders import repository
from tests.cli_server import settings_in

NAMES = ["run", "put", "status", "list", "show", "retry", "discard"]
NAMES += [
    "hold",
    "release",
    "edit",
    "resend",
    "verify",
    "query",
    "pin",
    "pause",
    "resume",
    "seen",
    "login",
    "check",
    "completion",
]


@pytest.fixture
def config(tmp_path: Path) -> str:
    return str(settings_in(tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "frobnicate",
        "--no-such-option",
        "--config",
        "put",
        "put a b c",
        "put events --frobnicate",
        "put events --title x",
        "put elog --run",
        "put elog --run twelve",
        "completion",
        "completion tcsh",
        "show",
        "status --what",
        "status --json --short",
        "status --watch",
        "list --state strange",
        "list --limit -1",
        "list --label novalue",
        "retry",
        "retry all",
        "retry ALL x",
        "retry - x",
        "retry x --backend b",
        "discard",
        "discard ALL",
        "discard --backend b",
        "discard --backend b --yes --state leased",
        "hold",
        "hold all",
        "release ALL x",
        "hold x --backend b",
        "pause",
        "pause all",
        "pause a b",
        "pause a --for",
        "pause a --for 90",
        "pause a --for 0s",
        "pause a --for -1h",
        "pause a --for 2h,",
        "pause a --for 367d",
        "pause a --for 1.5h",
        "resume",
        "resume a --for 2h",
        "login",
        "login a b",
        "login nobody",
    ],
)
def test_a_wrong_call_is_64_and_says_why(
    config: str, arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--config", config, *arguments.split()]) == 64

    told = capsys.readouterr()
    assert told.err.startswith("holdfast: ")
    assert told.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        "list",
        "show X",
        "retry X",
        "retry ALL",
        "discard X",
        "discard ALL --yes",
        "hold X",
        "release ALL",
        "pause events",
        "resume ALL",
    ],
)
def test_without_an_agent_it_is_69_with_the_socket_and_the_way_to_start_it(
    config: str, arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--config", config, *arguments.split()]) == 69

    told = capsys.readouterr().err
    assert str(Path(config).parent / "admin.sock") in told or "agent.sock" in told
    assert "systemctl start holdfast" in told
    assert f"holdfast --config {config} run" in told


@pytest.mark.parametrize("command", ["put events -", "status", "list", "run", "check"])
def test_missing_settings_are_78_and_name_the_file(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--config", str(tmp_path / "none.toml"), *command.split()]) == 78
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "check"])
def test_each_wrong_setting_has_a_line_with_its_key_and_never_its_value(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings_in(tmp_path, '[backends.x]\nkind = "elog"\nurl = "hunter2"\nfoo = 1\n'
                         '[retry]\nmax_attempts = "hunter2"\n')  # fmt: skip

    assert run(["--config", str(config), command]) == 78

    told = capsys.readouterr().err
    assert "holdfast: backends.x.url: " in told
    assert "holdfast: retry.max_attempts: " in told
    assert "hunter2" not in told


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"holdfast \d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0

    told = capsys.readouterr().out
    assert (
        f"  Examples:\n    holdfast {name}" in told or f" {name}" in told.partition("Examples:")[2]
    )


def test_help_offers_exactly_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--help"])

    offered = re.findall(
        r"^  ([a-z]+) {2,}", capsys.readouterr().out.partition("Commands:")[2], re.MULTILINE
    )
    assert offered == NAMES == [name for name, _, _ in COMMANDS]


def test_the_reference_names_every_command_and_option() -> None:
    page = (repository() / "docs" / "commands.md").read_text()
    missing = [
        option
        for command in app.registered_commands
        for option in _options_of(command.name or "")
        if f"`{option}" not in page and f"{option}`" not in page and f" {option}" not in page
    ]

    assert missing == []
    assert not [name for name in NAMES if f"## `holdfast {name}" not in page]


def _options_of(name: str) -> list[str]:
    group = typer.main.get_command(app)
    command = group.commands[name]  # type: ignore[attr-defined]
    return [option for one in command.params for option in one.opts if option.startswith("--")]
