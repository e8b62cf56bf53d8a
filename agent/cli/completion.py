"""`holdfast completion`: the script that makes a shell complete `holdfast`.

The script calls `holdfast __complete WORD...` with the words up to the cursor (agent/cli/offers.py)
and offers what is printed, one per line with what it is for behind a tab; nothing: file names.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from agent.cli.endings import OK
from agent.cli.inputs import one_of
from agent.cli.printing import print_json
from agent.cli.words import examples

SCRIPTS = {
    "bash": """\
_holdfast_complete() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\\t'*}")
    done < <("$1" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _holdfast_complete holdfast""",
    "zsh": """\
_holdfast_complete() {
    local line
    local -a offered
    while IFS= read -r line; do
        offered+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#offered} )); then
        _describe holdfast offered
    else
        _files
    fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _holdfast_complete holdfast""",
    "fish": """\
function __holdfast_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l offered (command $words[1] __complete $words[2..-1] 2>/dev/null)
    if test (count $offered) -gt 0
        printf '%s\\n' $offered
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command holdfast --no-files --arguments '(__holdfast_complete)'""",
}
EXAMPLES = examples(
    'eval "$(holdfast completion bash)"',
    'eval "$(holdfast completion zsh)"',
    "holdfast completion fish > ~/.config/fish/completions/holdfast.fish",
)


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the script as JSON.")] = False,
) -> Callable[[], int]:
    """Print what makes the shell complete `holdfast`.

    Then the Tab key offers commands, options, the backends of the settings, the kinds and
    options of their entries, and the ids that a command can do something with.
    """
    return partial(_completion, one_of(shell, tuple(SCRIPTS), "SHELL"), as_json=as_json)


def _completion(shell: str, *, as_json: bool) -> int:
    if as_json:
        print_json({"shell": shell, "script": SCRIPTS[shell]})
    else:
        print(SCRIPTS[shell])  # noqa: T201
    return OK
