"""The queries with which gates are read from a Prometheus that scrapes the pods. Pure.

Its samples must carry the labels ``namespace`` and ``pod``, as the usual scrape configurations of Kubernetes give them.
"""

from __future__ import annotations

import re

from slipway.api.rollout import AgreementGate, RolloutGate, seconds_of
from slipway.controllers.model_deployment.samples import (
    COMPARED,
    DRIFT,
    DRIFT_ROWS,
    DURATION,
    INFERENCE,
    PREDICTIONS,
    REQUESTS,
    SHADOW_DISTANCE,
    SHADOW_REQUESTS,
    SHADOW_ROWS,
    drift_window,
)


def queries(gate: RolloutGate, namespace: str, name: str, deployment: str, revision: str) -> tuple[str, str]:
    """The query of a gate's value, and the one of the number of requests (empty: the gate does not count any). `deployment` is
    the Deployment of the revision."""
    window = f"{seconds_of(gate.window)}s"
    if gate.promql is not None:
        values = {"namespace": namespace, "name": name, "revision": revision, "window": window}
        return re.sub(r"\$(namespace|name|revision|window)\b", lambda match: values[match[1]], gate.promql.query), ""
    pods = _pods(namespace, deployment)
    if gate.drift is not None or gate.prediction_mix is not None:
        metric, own = DRIFT if gate.drift is not None else PREDICTIONS, drift_window(seconds_of(gate.window))
        return f'max({metric}{{{pods},window="{own}"}})', f'sum({DRIFT_ROWS}{{{pods},window="{own}"}})'
    if gate.agreement is not None:
        return _agreement(gate.agreement, f'namespace="{namespace}",candidate="{revision}"', window)
    infers = f'{pods},endpoint=~"{"|".join(INFERENCE)}"'
    requests = f"sum(increase({REQUESTS}{{{infers}}}[{window}]))"
    if gate.latency is not None:
        buckets = f"sum by (le) (increase({DURATION}{{{infers}}}[{window}]))"
        return f"histogram_quantile({gate.latency.quantile}, {buckets}) * 1000", requests
    statuses = "[45].." if gate.error_rate and gate.error_rate.count_client_errors else "5.."
    failed = f'sum(increase({REQUESTS}{{{infers},status=~"{statuses}"}}[{window}]))'
    return f"({failed} or vector(0)) / {requests}", requests


def request_rate(namespace: str, deployment: str) -> str:
    """The query of the requests per second that all pods of `deployment` answer."""
    infers = f'{_pods(namespace, deployment)},endpoint=~"{"|".join(INFERENCE)}"'
    return f"sum(rate({REQUESTS}{{{infers}}}[1m]))"


def _pods(namespace: str, deployment: str) -> str:
    return f'namespace="{namespace}",pod=~"{re.escape(deployment)}-[a-z0-9]+-[a-z0-9]+"'.replace("\\", "\\\\")


def _agreement(gate: AgreementGate, about: str, window: str) -> tuple[str, str]:
    """Of all pods that copied requests to the candidate."""
    rows = f"sum(increase({SHADOW_ROWS}{{{about}}}[{window}]))"
    requests = f'sum(increase({SHADOW_REQUESTS}{{{about},result=~"{"|".join(COMPARED)}"}}[{window}]))'
    if gate.min is None:
        return f"sum(increase({SHADOW_DISTANCE}{{{about}}}[{window}])) / {rows}", requests
    return f'sum(increase({SHADOW_ROWS}{{{about},result="agree"}}[{window}])) / {rows}', requests
