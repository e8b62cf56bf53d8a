"""The command line, `holdfast`: one module per group of commands.

What the everyday commands load is the standard library and typer; everything heavy is
imported inside the command that needs it (docs/decisions, and facts 9).
"""

import sys


def main() -> int:
    """Run the command line of this program; its exit code."""
    from agent.cli.app import run  # noqa: PLC0415 - importing `agent.cli.words` must stay cheap

    return run(sys.argv[1:])
