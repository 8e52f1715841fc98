"""How requests get to a ModelDeployment from outside its Service: `spec.traffic`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from slipway.api.common import DNS_LABEL, DNS_SUBDOMAIN, LABEL_WORDS, Model, rules

MAX_PARENTS = 4
MAX_HOSTNAMES = 16


def _name(field: str, pattern: str) -> dict[str, Any]:
    return rules((f"self.matches('{pattern}')", f"{field}: {LABEL_WORDS}"))


class ParentRef(Model):
    """A Gateway, as HTTPRoute's parentRefs name it."""

    name: str = Field(
        min_length=1, max_length=253, description="Name of the Gateway.", json_schema_extra=_name("name", DNS_SUBDOMAIN)
    )
    namespace: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="Its namespace, whose listeners have to allow routes of this one. Default: this namespace.",
        json_schema_extra=_name("namespace", DNS_LABEL),
    )
    section_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="Name of one of its listeners. Default: all that take the route.",
        json_schema_extra=_name("sectionName", DNS_SUBDOMAIN),
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="Port of its listeners, 1 to 65535. Default: all.")


Hostname = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra=rules(
            (
                f"self.matches('^([*][.])?{DNS_SUBDOMAIN[1:]}')",
                "hostnames: write a name as models.example.com, or *.example.com for all below it",
            )
        ),
    ),
]


class Gateway(Model):
    parent_refs: tuple[ParentRef, ...] = Field(
        min_length=1, max_length=MAX_PARENTS, description="Gateways that requests come through, one to four."
    )
    hostnames: tuple[Hostname, ...] = Field(
        default=(),
        max_length=MAX_HOSTNAMES,
        description="Host names that requests ask for. Default: those of the Gateway's listeners.",
    )


class Traffic(Model):
    gateway: Gateway | None = Field(
        default=None,
        description="Gateway API: requests come through an HTTPRoute of this resource's name, which splits them exactly by the"
        " weights of rollout.steps. Default: none; weights are kept by numbers of pods.",
    )
