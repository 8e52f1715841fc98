"""Whom the gates look at, when, and what their verdicts come to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus, Revision
from slipway.api.rollout import GateVerdict, Mark, RolloutGate
from slipway.controllers.model_deployment.gates import Readings, Side, blocking, failing, judge, windows
from slipway.controllers.model_deployment.program import Program, program_for
from slipway.controllers.model_deployment.samples import PodSample, advanced

REFRESH = 30.0
WATCH_REFRESH = 60.0
"""Seconds after which a verdict that is the same with another number is written to status again: of a candidate, and while a
stable revision is watched. Neither a long watch nor a roll-out that waits may write at each look."""


@dataclass(frozen=True)
class Subject:
    """The revision that the gates look at: the candidate while it has requests, or the stable one while it is watched."""

    revision: Revision
    gates: tuple[RolloutGate, ...]
    watched: bool


@dataclass(frozen=True)
class Judgement:
    """Verdicts and marks as status shall keep them, and what follows: `failed` takes the revision back, `blocked` holds the
    roll-out up. `look_again` in seconds."""

    verdicts: tuple[GateVerdict, ...] = ()
    marks: tuple[Mark, ...] = ()
    stable_marks: tuple[Mark, ...] = ()
    failed: str | None = None
    blocked: str | None = None
    look_again: float | None = None


def subject(deployment: ModelDeployment, program: Program, now: datetime) -> Subject | None:
    """None while no gate has anything to look at."""
    status = deployment.status or ModelDeploymentStatus()
    if status.candidate is not None:
        begun = status.candidate.step is not None and program.gates
        return Subject(status.candidate, program.gates, watched=False) if begun else None
    stable = status.stable
    if stable is None or stable.since is None or status.held is not None or not program.watch_gates:
        return None
    over = now >= stable.since + timedelta(seconds=program.watch_seconds)
    return None if over or not status.history else Subject(stable, program.watch_gates, watched=True)


def proving_revision(deployment: ModelDeployment, now: datetime) -> str | None:
    """The revision whose pods must not end: a candidate that has requests, or a stable one that is watched, when that is due."""
    candidate = deployment.status.candidate if deployment.status else None
    if candidate is not None:
        return candidate.revision if candidate.step is not None else None
    program = program_for(deployment)
    found = subject(deployment, program, now)
    return found.revision.revision if found is not None and is_due(found, program, now) else None


def is_due(found: Subject, program: Program, now: datetime) -> bool:
    """Whether the pods have to be read now. A reconcile for another reason does not read them again."""
    return _age(found, now) >= program.interval - 0.5


def _age(found: Subject, now: datetime) -> float:
    """Seconds since all gates have been looked at."""
    known = {verdict.name: verdict.at for verdict in found.revision.gates}
    times = [known.get(gate.name) for gate in found.gates]
    return max((now - at).total_seconds() if at is not None else float("inf") for at in times)


def judgement(
    found: Subject | None, program: Program, readings: Readings | None, stable: Revision | None, now: datetime
) -> Judgement:
    """With readings, new verdicts; without, those that status has."""
    if found is None:
        return Judgement()
    known = {verdict.name: verdict for verdict in found.revision.gates}
    if readings is None:
        verdicts = tuple(known[gate.name] for gate in found.gates if gate.name in known)
        marks, stable_marks = found.revision.marks, stable.marks if stable is not None else ()
    else:
        verdicts = tuple(judge(gate, readings, known.get(gate.name), now) for gate in found.gates)
        refresh = WATCH_REFRESH if found.watched else REFRESH
        verdicts = tuple(_settled(verdict, known.get(verdict.name), refresh) for verdict in verdicts)
        marks = _marks([gate for gate in found.gates if gate.agreement is None], readings.judged, now)
        compared = [gate for gate in found.gates if gate.compare is not None or gate.agreement is not None]
        stable_marks = _marks(compared, readings.stable, now)
    return Judgement(
        verdicts=verdicts,
        marks=marks,
        stable_marks=stable_marks if not found.watched else (),
        failed=_failed(found.gates, verdicts, now),
        blocked=_blocked(found.gates, verdicts),
        look_again=max(0.5, program.interval - (0.0 if readings is not None else min(program.interval, _age(found, now)))),
    )


def _marks(gates: Sequence[RolloutGate], side: Side, now: datetime) -> tuple[Mark, ...]:
    samples: dict[str, PodSample] = dict(side.samples)
    return advanced(side.marks, windows(gates), samples, now)


def _settled(verdict: GateVerdict, before: GateVerdict | None, refresh: float) -> GateVerdict:
    """The verdict before, when it says the same or is not old."""
    if before is None or before.at is None or verdict.at is None or before.verdict != verdict.verdict:
        return verdict
    same = before.model_copy(update={"at": verdict.at}) == verdict
    return before if same or (verdict.at - before.at).total_seconds() < refresh else verdict


def _failed(gates: Sequence[RolloutGate], verdicts: Sequence[GateVerdict], now: datetime) -> str | None:
    by_name = {gate.name: gate for gate in gates}
    words = [f"gate {v.name}: {v.message}" for v in verdicts if v.name in by_name and failing(by_name[v.name], v, now)]
    return "; ".join(words) or None


def _blocked(gates: Sequence[RolloutGate], verdicts: Sequence[GateVerdict]) -> str | None:
    known = {verdict.name: verdict for verdict in verdicts}
    words = []
    for gate in gates:
        verdict = known.get(gate.name)
        if verdict is None:
            words.append(f"gate {gate.name} has not been looked at yet")
        elif blocking(gate, verdict):
            words.append(f"gate {gate.name} has no data: {verdict.message}")
    return "; ".join(words) or None
