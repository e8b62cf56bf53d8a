"""The words of a question: what typer knows, and what belongs to the question.

Which parameters there are depends on the backend and on the resource, so every option that the
command does not have itself is one of the question's: `--run 297050` and `--run=297050` are its
parameter `run`. Pure; standard library only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.cli.endings import usage
from agent.cli.plain import PlainCommand
from agent.cli.typed import common_of

ASKED = "holdfast.asked"  # where the context keeps what was read
END = "--"  # what follows is no option
HELP = ("--help", "-h")
WORDS = 3  # backend, resource, subject


@dataclass
class Asked:
    """What was read: the words without options, and the question's parameters in order.

    `rest` is for typer.
    """

    words: list[str] = field(default_factory=list)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    helps: bool = False


class AskingCommand(PlainCommand):
    """A command whose further options are parameters of a question."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the question out; typer reads the rest. Raises Ending (64)."""
        found = read(args, common_of(self.get_params(ctx)))
        ctx.meta[ASKED] = found
        return super().parse_args(ctx, found.rest)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options of every question, then what this one may ask."""
        super().format_options(ctx, formatter)
        from agent.cli.menu import menu  # noqa: PLC0415 - loads the adapters, for --help only

        for title, lines in menu(ctx.meta[ASKED].words, ctx.obj):
            with formatter.section(title):
                formatter.write_dl(lines)


def asked(context: Any) -> Asked:
    """What was read of a command's words."""
    found: Asked = context.meta[ASKED]
    return found


def read(words: Sequence[str], common: Mapping[str, bool]) -> Asked:
    """Tell the words apart. `common`: the command's own options, and whether they take a value.

    Raises Ending (64).
    """
    found = Asked()
    waiting = list(reversed(words))
    while waiting:
        word = waiting.pop()
        if word == END:
            found.words += reversed(waiting)
            break
        option, equals, value = word.partition("=")
        if option in common:
            found.rest.append(word)
            if common[option] and not equals and waiting:
                found.rest.append(waiting.pop())
            found.helps = found.helps or option in HELP
        elif not word.startswith("--"):
            found.words.append(word)
        elif equals or waiting:
            name = option.removeprefix("--").replace("-", "_")
            found.parameters.append((name, value if equals else waiting.pop()))
        elif not found.helps:
            raise usage(f"{option} lacks its value")
    return found


def question_of(found: Asked, native: Sequence[str]) -> tuple[str, str, list[tuple[str, str]]]:
    """Backend, resource and parameters. `native`: NAME=VALUE texts. Raises Ending (64)."""
    if len(found.words) < WORDS - 1:
        missing = "a backend and what to ask it for" if not found.words else "what to ask it for"
        raise usage(f"name {missing}, such as: oms runs 297050 (see --help)")
    if len(found.words) > WORDS:
        raise usage(f"{found.words[WORDS]!r} is a word too many; see --help")
    parameters = list(found.parameters)
    for text in native:
        name, equals, value = text.partition("=")
        # The name itself may hold a "=" in no system that we know, a value may.
        if not equals or not name:
            raise usage(f"--param {text!r}: write it as NAME=VALUE")
        parameters.append((name, value))
    subject = [("subject", word) for word in found.words[WORDS - 1 :]]
    return found.words[0], found.words[1], subject + parameters
