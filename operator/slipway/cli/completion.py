"""``slipway completion``: the script that teaches a shell our commands, names and aliases."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

BASH = """\
# Names here hold ':' and '@', at which bash breaks words: the line is broken at white space instead, and of each answer
# only what follows the last such character is given back.
_slipway_completion() {
    local IFS=$'\\n' line="${COMP_LINE:0:COMP_POINT}" current words drop
    current="${line##*[[:space:]]}"
    words=$(printf '%s' "$line" | tr -s '[:space:]' '\\n' | grep -c .)
    [[ -n "$current" ]] && words=$((words - 1))
    COMPREPLY=($(COMP_WORDS="$line" COMP_CWORD="$words" _SLIPWAY_COMPLETE=complete_bash slipway 2>/dev/null))
    drop="${current%"${current##*[:@=]}"}"
    [[ -n "$drop" ]] && COMPREPLY=("${COMPREPLY[@]#"$drop"}")
    [[ "${#COMPREPLY[@]}" == 1 && "${COMPREPLY[0]}" == */ ]] && compopt -o nospace
    return 0
}
complete -o default -F _slipway_completion slipway
"""

ZSH = """\
#compdef slipway
_slipway_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _SLIPWAY_COMPLETE=complete_zsh slipway 2>/dev/null)
}
compdef _slipway_completion slipway
"""
_ASK_FISH = "env _SLIPWAY_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION={} _TYPER_COMPLETE_ARGS=(commandline -cp) slipway"
FISH = (
    f'complete --command slipway --no-files --arguments "({_ASK_FISH.format("get-args")})" '
    f'--condition "{_ASK_FISH.format("is-args")}"\n'
)
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


class Shell(StrEnum):
    """Shells with a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.")],
) -> None:
    """Print the shell's completion script.

    For bash, put this into ~/.bashrc:  source <(slipway completion bash)
    For zsh, into ~/.zshrc, after compinit:  source <(slipway completion zsh)
    For fish:  slipway completion fish > ~/.config/fish/completions/slipway.fish
    """
    print(SCRIPTS[shell], end="")


def kubectl_complete() -> None:
    """``kubectl_complete-slipway``, which kubectl runs for ``kubectl slipway … TAB``: a name and its help in a line, and in the
    last line what the shell shall do with them (4: offer no files; 2: add no space)."""
    from typer.completion import completion_init, shell_completion  # type: ignore[attr-defined]  # no public name for it

    from slipway.cli.main import app

    completion_init()
    *before, incomplete = sys.argv[1:] or [""]
    completer = shell_completion.get_completion_class("bash")
    assert completer is not None
    command = typer.main.get_command(app)
    offers = completer(command, {}, "slipway", "_SLIPWAY_COMPLETE").get_completions(before, incomplete)
    for offer in offers:
        print(f"{offer.value}\t{offer.help}" if offer.help else offer.value)
    print(":6" if len(offers) == 1 and offers[0].value.endswith("/") else ":4")
