"""``slipway model restore``: a version that retention has given up, brought back."""

from __future__ import annotations

from slipway.cli.errors import CliError, ExitCode
from slipway.cli.models import RefArgument
from slipway.cli.options import with_session
from slipway.cli.output import say
from slipway.cli.session import Session


@with_session
def restore(session: Session, ref: RefArgument) -> None:
    """Bring back a version that was retired.

    Possible while its files are still there. Point an alias at it next, or the garbage collector gives it up again.
    """
    wanted = session.ref(ref)
    if wanted.version is None:
        raise CliError(f"{ref[:80]!r} names no version: write NAME:VERSION", ExitCode.USAGE)
    was_retired = session.registry.retired(wanted.name, wanted.version) is not None
    record = session.registry.restore(wanted.name, wanted.version)
    say(f"{record.model}:{record.version} " + ("is back" if was_retired else "was not retired, nothing to do"))
