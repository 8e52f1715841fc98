"""A group of commands whose modules are imported only when one of them is used, and the end of every command: what goes
wrong becomes one line on stderr and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, NoReturn

import typer
from typer.core import TyperGroup


@dataclass(frozen=True)
class Lazy:
    """Where a command lies (a function, or a `typer.Typer` for a group), and what the list of commands says of it."""

    module: str
    attribute: str
    help: str
    section: str


class LazyGroup(TyperGroup):
    """Commands of `table`, by name, in its order. Listing them imports none."""

    table: ClassVar[Mapping[str, Lazy]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the table's order."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imports the command's module. None for a name that is not in the table."""
        if cmd_name not in self.commands and cmd_name in self.table:
            self.commands[cmd_name] = load(cmd_name, self.table[cmd_name])
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As the base class does, with suggestions out of the table."""
        if args and args[0] not in self.table and not args[0].startswith("-") and not ctx.resilient_parsing:
            close = get_close_matches(args[0], self.table, n=2)
            hint = f"did you mean {' or '.join(close)}?" if close else f"see '{ctx.command_path} --help'"
            ctx.fail(f"there is no command {args[0][:80]!r}: {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One section after the other, out of the table alone."""
        for section in dict.fromkeys(entry.section for entry in self.table.values()):
            with formatter.section(section):
                formatter.write_dl([(name, entry.help) for name, entry in self.table.items() if entry.section == section])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Names out of the table; options as the base class does."""
        from typer.core import CompletionItem  # type: ignore[attr-defined]  # typer has no public name for it

        names = [CompletionItem(name, help=entry.help) for name, entry in self.table.items() if name.startswith(incomplete)]
        return [*names, *super(TyperGroup, self).shell_complete(ctx, incomplete)]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Runs a command and leaves the process with its exit code; no traceback unless ``--debug`` is given."""
        words = list(sys.argv[1:] if args is None else args)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # a terminal that lacks a character shows '?', and nothing breaks
        try:
            code = super().main(args=words, prog_name=prog_name, complete_var=complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            _leave_closed_pipe()
        except Exception as error:
            code = _report(error, debug="--debug" in words)
        sys.exit(code if isinstance(code, int) else 0)


def load(name: str, entry: Lazy) -> Any:
    """The command of a table's entry, ready to run."""
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False, rich_markup_mode=None)
        found.command(name)(function)
    found.rich_markup_mode = None  # plain help and errors: importing rich would take longer than most commands do
    command = typer.main.get_command(found)
    command.name = name
    return command


def _report(error: Exception, *, debug: bool) -> int:
    from slipway.cli.errors import explain

    if debug:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    code, message = explain(error)
    if message:
        print(message, file=sys.stderr)
    return code


def _leave_closed_pipe() -> NoReturn:
    """The reader went away (``slipway models | head -1``): no complaint."""
    with suppress(OSError, ValueError):  # stdout need not be a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
