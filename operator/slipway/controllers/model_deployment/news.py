"""Events of a ModelDeployment: one for each change of its status that a person would want to be told of. Pure."""

from __future__ import annotations

from slipway.api import conditions
from slipway.api.model_deployment import ModelDeploymentStatus, Revision
from slipway.reconcile.contract import Event

STEP = "StepBegun"
APPROVED = "Approved"
GATE = {"Pass": "GatePassed", "Fail": "GateFailed", "NoData": "GateWithoutData"}


def events(
    old: ModelDeploymentStatus, new: ModelDeploymentStatus, reason: str, message: str, *, copies: bool = False
) -> tuple[Event, ...]:
    """What is new in `new`. `reason` and `message` are those of its Ready condition; with `copies` the candidate gets nothing
    else."""
    news = [*_candidate(old.candidate, new.candidate, "copies of " if copies else ""), *_gates(old, new)]
    stable, held = new.stable, new.held
    if stable and (old.stable is None or old.stable.revision != stable.revision):
        news.append(Event("Normal", conditions.SERVING, f"version {stable.version} took over as revision {stable.revision}"))
    if held and (old.held is None or (old.held.revision, old.held.since) != (held.revision, held.since)):
        news.append(Event("Warning", held.reason, f"version {held.version} is held: {held.message}"))
    ready = conditions.find(old.conditions, conditions.READY)
    known = ready is not None and ready.reason == reason
    if not known and not held:
        if conditions.REASONS[reason].polarity in ("waiting", "stalled"):
            news.append(Event("Warning", reason, message))
        elif reason in (conditions.WAITING_FOR_APPROVAL, conditions.ROLLOUT_PAUSED):
            news.append(Event("Normal", reason, message))
    return tuple(news)


def _candidate(old: Revision | None, new: Revision | None, share: str) -> list[Event]:
    if new is None:
        return []
    same = old is not None and old.revision == new.revision
    news = []
    if not same:
        words = f"version {new.version} starts as revision {new.revision}"
        news.append(Event("Normal", conditions.CANDIDATE_STARTING, words))
    before = old.approvals if same and old is not None else ()
    for approval in new.approvals[len(before) :]:
        why = f": {approval.reason}" if approval.reason else ""
        words = f"version {new.version}: step {approval.step + 1} was let begin by {approval.by or 'somebody'}{why}"
        news.append(Event("Normal", APPROVED, words))
    if new.step is not None and (not same or old is None or old.step != new.step):
        words = f"version {new.version}: step {new.step + 1} begins, {share}{new.weight or 0} % of the requests"
        news.append(Event("Normal", STEP, words))
    return news


def _gates(old: ModelDeploymentStatus, new: ModelDeploymentStatus) -> list[Event]:
    """Verdicts that are not what they were, of the revision that is looked at."""
    news = []
    for before, after in ((old.candidate, new.candidate), (old.stable, new.stable)):
        if after is None:
            continue
        same = before is not None and before.revision == after.revision
        known = {verdict.name: verdict.verdict for verdict in before.gates} if same and before is not None else {}
        for verdict in after.gates:
            if known.get(verdict.name) != verdict.verdict:
                kind = "Warning" if verdict.verdict == "Fail" else "Normal"
                words = f"version {after.version}, gate {verdict.name}: {verdict.message}"
                news.append(Event(kind, GATE[verdict.verdict], words))
    return news
