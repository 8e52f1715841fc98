"""The cluster as commands use it: calls that wait for their answer, over the asynchronous port `slipway.kube.port`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from slipway.api.common import API_VERSION
from slipway.cli.errors import CliError, ExitCode
from slipway.kube.port import Kube, Object, Resource
from slipway.kube.resources import APP_BUILD, FEATURE_VIEW, MODEL_BUILD, MODEL_DEPLOYMENT

T = TypeVar("T")

MAX_NAME = 253
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")

KINDS: Mapping[str, Resource] = {
    **dict.fromkeys(("modelbuild", "modelbuilds", "mb"), MODEL_BUILD),
    **dict.fromkeys(("appbuild", "appbuilds", "ab"), APP_BUILD),
    **dict.fromkeys(("modeldeployment", "modeldeployments", "md"), MODEL_DEPLOYMENT),
    **dict.fromkeys(("featureview", "featureviews", "fv"), FEATURE_VIEW),
}
"""What a person may write before the slash of ``kind/name``."""


@dataclass(frozen=True)
class Cluster:
    """One cluster, reached as `connect` says. Every call opens a connection and raises the port's errors."""

    connect: Callable[[], AbstractAsyncContextManager[Kube]]

    def run(self, work: Callable[[Kube], Awaitable[T]]) -> T:
        """Does `work` with one connection, and waits for it."""

        async def scoped() -> T:
            async with self.connect() as kube:
                return await work(kube)

        return asyncio.run(scoped())

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object, or None when there is none."""
        return self.run(lambda kube: kube.get(resource, namespace, name))

    def require(self, resource: Resource, namespace: str, text: str) -> Object:
        """The object that a person calls `text`: ``NAME``, or ``kind/NAME`` as kubectl has it. Raises CliError: wrong usage
        for what cannot be a name, not found with a list of close names."""
        name = resource_name(resource, text)

        async def work(kube: Kube) -> Object:
            found = await kube.get(resource, namespace, name)
            if found is None:
                raise await _absent(kube, resource, namespace, name)
            return found

        return self.run(work)

    def list(self, resource: Resource, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Object]:
        """All objects of a namespace (None: of all) that carry `labels`."""
        return self.run(lambda kube: kube.list(resource, namespace, labels))

    def annotate(self, found: Object, annotation: str, value: str, *, field_manager: str) -> Object:
        """Sets one annotation of an object that was read before. `field_manager` must be of this annotation's own:
        server-side apply takes back what a manager set before and leaves out now."""
        return self.change(found, {"metadata": {"annotations": {annotation: value}}}, field_manager=field_manager)

    def change(self, found: Object, fields: Object, *, field_manager: str) -> Object:
        """Applies `fields` to an object that was read before, and to that very one: one that was deleted meanwhile is
        not made anew. Raises Conflict."""
        meta = found["metadata"]
        identity = {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}
        manifest: dict[str, Any] = {
            "apiVersion": found.get("apiVersion") or API_VERSION,
            "kind": found["kind"],
            **fields,
            "metadata": {**fields.get("metadata", {}), **identity},
        }
        return self.run(lambda kube: kube.apply(manifest, field_manager=field_manager))


def resource_name(resource: Resource, text: str) -> str:
    """The name in ``NAME`` or ``kind/NAME``. Raises CliError for another kind, and for what can be no name."""
    kind, slash, name = text.strip().rpartition("/")
    if slash and KINDS.get(kind.lower()) is not resource:
        raise CliError(f"{text[:80]!r}: the name of a {resource.kind} belongs here", ExitCode.USAGE)
    return check_name(name, f"name of a {resource.kind}")


def check_name(name: str, what: str) -> str:
    """`name` when the API server could have an object of that name. Raises CliError, which says what is wrong with it."""
    if len(name) > MAX_NAME:
        raise CliError(f"{name[:80]!r}… cannot be the {what}: {len(name)} characters, at most {MAX_NAME}", ExitCode.USAGE)
    if not _NAME.fullmatch(name):
        raise CliError(
            f"{name[:80]!r} cannot be the {what}: lower-case letters, digits, '-' and '.', a letter or digit at both ends",
            ExitCode.USAGE,
        )
    return name


async def _absent(kube: Kube, resource: Resource, namespace: str, name: str) -> CliError:
    from slipway.registry.errors import closest

    names = [item["metadata"]["name"] for item in await kube.list(resource, namespace)]
    close = closest(name, names)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif names:
        hint = f"there are {', '.join(sorted(names)[:5])}" + (" and more" if len(names) > 5 else "")
    else:
        hint = "there is none at all; another namespace is chosen with -n"
    return CliError(f"there is no {resource.kind} {name[:80]} in namespace {namespace}: {hint}", ExitCode.NOT_FOUND)
