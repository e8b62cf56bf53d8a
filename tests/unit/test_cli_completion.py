"""What the Tab key offers, and that a real bash takes it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent.cli.app import run
from agent.cli.completion import SCRIPTS
from tests.builders import repository
from tests.cli_desk import Desk, Fake, a_desk, an_entry
from tests.cli_server import listening


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with a_desk(capsys) as desk:
        monkeypatch.setenv("HOLDFAST_CONFIG", str(desk.config))
        yield desk


def offered(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert run(["__complete", *words]) == 0
    return [line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sta"], ["status"]),
        (["--c"], ["--config"]),
        (["put", ""], ["events", "accounting", "elog"]),
        (["put", "e"], ["events", "elog"]),
        (["put", "elog", ""], []),
        (["put", "elog", "--t"], ["--timeout", "--text", "--title", "--tag"]),
        (["put", "accounting", "--kind", ""], ["record", "record_update"]),
        (["put", "elog", "--kind", "run_t"], ["run_table"]),
        (["put", "elog", "--kind", "run_table", "--par"], ["--param"]),
        (["put", "--title", "x", "elog", "--no"], ["--no-html"]),
        (["put", "elog", "--title", ""], []),
        (["put", "elog", "--run", ""], ["current"]),
        (["put", "elog", "--attach", ""], []),
        (["put", "events", "--log-level", "e"], ["error"]),
        (["put", "nowhere", "--he"], ["--help"]),
        (["put", "elog", "x.md", "-"], []),
        (["pause", ""], ["ALL", "events", "accounting", "elog"]),
        (["pause", "elog", ""], []),
        (["list", "--state", "d"], ["dead"]),
        (["resend", "--backend", "a"], ["accounting"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["--config", ""], []),
        (["frobnicate", ""], []),
        (["put", "elog", "--describe", "x", ""], []),
    ],
    ids=" ".join,
)
def test_the_words_that_can_stand_there_are_offered(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: list[str], expected: list[str]
) -> None:
    del desk
    assert offered(capsys, *words) == expected


def test_ids_come_from_the_agent(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    fake = Fake(an_entry(1), an_entry(2), an_entry(3, state="held"))

    with desk.agent(fake):
        assert offered(capsys, "retry", "ID1", "") == ["ID2"]
        assert offered(capsys, "release", "") == ["ID3"]
        assert offered(capsys, "edit", "") == ["ID1", "ID2", "ID3"]
        assert offered(capsys, "show", "ID1", "") == []


def test_nobody_waits_for_an_agent_that_hangs_and_nothing_is_said_of_wrong_settings(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(desk.home / "admin.sock"):
        assert offered(capsys, "retry", "") == []
    desk.config.write_text("]")
    assert offered(capsys, "put", "") == []


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_each_script_asks_the_command(desk: Desk, shell: str) -> None:
    assert desk.do("completion", shell) == 0
    assert desk.out == SCRIPTS[shell] + "\n"
    assert "__complete" in desk.out
    assert desk.do("completion", "tcsh") == 64


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_a_shell_that_is_here_understands_its_script(shell: str) -> None:
    if (found := shutil.which(shell)) is not None:
        subprocess.run([found, "-n"], input=SCRIPTS[shell], text=True, check=True)


def test_bash_completes(desk: Desk) -> None:
    """The command is the one of this folder, whatever is installed."""
    command = desk.home / "holdfast"
    command.write_text(
        f'#!/bin/sh\ncd "{repository()}" && exec "{sys.executable}" -m agent.cli "$@"\n'
    )
    command.chmod(0o755)
    script = """
        eval "$(holdfast completion bash)"
        COMP_WORDS=(holdfast put elog "two words" --exp) COMP_CWORD=4
        _holdfast_complete holdfast --exp "two words"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{desk.home}{os.pathsep}{os.environ['PATH']}"

    ran = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": path, "HOLDFAST_CONFIG": str(desk.config)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert (ran.stdout, ran.stderr) == ("--experiment\n", "")
