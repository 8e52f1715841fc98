"""The controller of a Gateway in small: what it answers for an HTTPRoute, by script."""

from __future__ import annotations

from collections.abc import Callable

from slipway.kube.port import Object

RouteScript = Callable[[Object], Object | None]
"""Given the HTTPRoute: its status; None when no gateway looks at it."""
CONTROLLER = "example.com/gateway"


def accept(route: Object) -> Object:
    """Takes every route, in its newest version."""
    return answer(route)


def silent(_route: Object) -> None:
    """As when there is no Gateway of that name, or no controller."""


def answer(route: Object, *, refused: str = "", message: str = "", unresolved: str = "", lag: int = 0) -> Object:
    """`refused` and `unresolved` are reasons of Accepted and ResolvedRefs when they are False; `lag` in generations."""
    generation = route["metadata"]["generation"] - lag
    conditions = [
        {
            "type": kind,
            "status": "False" if why else "True",
            "reason": why or kind,
            "message": message,
            "observedGeneration": generation,
        }
        for kind, why in (("Accepted", refused), ("ResolvedRefs", unresolved))
    ]
    parents = [{"parentRef": ref, "controllerName": CONTROLLER, "conditions": conditions} for ref in route["spec"]["parentRefs"]]
    return {"parents": parents}
