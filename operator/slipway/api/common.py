"""What the kinds share: base models, types with their limits, sources, names of labels and annotations.

A field's docstring-like `description` is what ``kubectl explain`` shows. Rules (CEL) are evaluated by the API server;
`slipway.api.crd` copies them into the schema. Types carry their maximum: the server's CEL cost budget needs one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic.alias_generators import to_camel

GROUP = "slipway.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

# Labels of everything that Slipway makes. The parent's labels are never copied: or Argo CD takes children for its own.
LABEL_KIND = "slipway.dev/kind"
LABEL_NAME = "slipway.dev/name"
LABEL_BUILD = "slipway.dev/build"
LABEL_ATTEMPT = "slipway.dev/attempt"
LABEL_REVISION = "slipway.dev/revision"
LABEL_ROLE = "slipway.dev/role"
LABEL_APP_NAME = "app.kubernetes.io/name"
LABEL_APP_INSTANCE = "app.kubernetes.io/instance"
LABEL_APP_COMPONENT = "app.kubernetes.io/component"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "slipway"

ANNOTATION_APPROVE = "slipway.dev/approve"
"""On a ModelBuild: approves the promotion of one version; on a ModelDeployment, a step of its roll-out. See
`Approval.parse`."""

ANNOTATION_REFUSE = "slipway.dev/refuse"
"""On a ModelBuild: refuses the promotion of one version, for good. Written as `ANNOTATION_APPROVE` is."""

ANNOTATION_REBUILD = "slipway.dev/rebuild"
"""On a ModelBuild or AppBuild: any word; a new one forces a build, as ``spec.rebuild`` does, where the spec belongs to
Git and shall not change."""

MAX_NAME = 50
"""Longest name of a resource: names of Jobs and Deployments add a digest to it, and labels end at 63 characters."""
MAX_MESSAGE = 4096
HISTORY = 10

_RULES = "x-kubernetes-validations"


def rules(*checks: tuple[str, str]) -> dict[str, Any]:
    """CEL checks of a field or a model, as ``json_schema_extra``: pairs of expression and message."""
    return {_RULES: [{"rule": rule, "message": message} for rule, message in checks]}


def _clip(value: object) -> object:
    """Cuts a text that the schema would refuse for its length: a status must never be lost to a long error message."""
    if isinstance(value, str) and len(value) > MAX_MESSAGE:
        return value[: MAX_MESSAGE - 1] + "…"
    return value


def _newest(value: object) -> object:
    return tuple(value)[:HISTORY] if isinstance(value, (list, tuple)) else value


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC, in whole seconds, as the API server writes its own times."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Message = Annotated[str, BeforeValidator(_clip), Field(max_length=MAX_MESSAGE)]
Time = Annotated[datetime, PlainSerializer(format_time, when_used="json")]
Digest = Annotated[str, Field(max_length=71)]
ReasonName = Annotated[str, Field(max_length=64)]
Newest = BeforeValidator(_newest)
"""On a tuple, newest first: keeps as many as the schema allows."""

# CEL, where the server's "should match '^[a-z]…$'" would leave a person alone.
DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
LABEL_WORDS = "lower-case letters, digits and '-', a letter or digit at both ends"
ENTRYPOINT = "^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
REGISTRY_HOST = (
    "^(localhost(:[0-9]+)?|[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+(:[0-9]+)?|[A-Za-z0-9-]+:[0-9]+|[[][0-9A-Fa-f:]+[]](:[0-9]+)?)/"
)
IMAGE_PATH = "[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*"


def alias_rules(field: str, *, reserved: bool) -> dict[str, Any]:
    """Rules of an alias. With `reserved`, ``latest`` is refused: it means the highest version and cannot be moved."""
    checks = [
        (
            "!self.matches('^[vV]?[0-9]+$')",
            f"{field}: an alias may not look like a version; choose a word, for example champion",
        ),
        (
            "self.matches('^[vV]?[0-9]+$') || self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            f"{field}: an alias is lower-case letters, digits and '-', a letter first, no '-' at the end",
        ),
    ]
    if reserved:
        checks.append(("self != 'latest'", f"{field}: latest always means the highest version; choose another alias"))
    return rules(*checks)


def entrypoint_rules(field: str, example: str) -> dict[str, Any]:
    return rules((f"self.matches('{ENTRYPOINT}')", f"{field}: write module:attribute, for example {example}"))


def s3_rules(field: str) -> dict[str, Any]:
    return rules(
        (
            "self.matches('^s3://[a-z0-9][a-z0-9.-]+[a-z0-9](/[^\\\\s]*)$')",
            f"{field}: write s3://bucket/key for one object, or s3://bucket/prefix/ for all objects below it",
        )
    )


class InvalidResource(ValueError):
    """A resource that does not hold what its schema demands. The message names the field and what is wrong with it."""


class Model(BaseModel):
    """Base of everything in a resource: immutable, camelCase in JSON. Unknown fields are the API server's business,
    which prunes or refuses them; a reader passes over those of a newer schema."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def to_dict(self) -> dict[str, Any]:
        """JSON-shaped, camelCase; fields that are unset, None, or an empty list or map are left out."""
        dumped: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {key: value for key, value in ((k, _prune(v)) for k, v in dumped.items()) if value not in ([], {})}


def _prune(value: Any) -> Any:
    """`value` without empty lists and maps in it: Argo CD and server-side apply see them as content."""
    if isinstance(value, dict):
        return {k: p for k, p in ((k, _prune(v)) for k, v in value.items()) if p not in ([], {})}
    if isinstance(value, list):
        return [_prune(v) for v in value]
    return value


class Metadata(Model):
    """Of ObjectMeta, what the controllers look at."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Resource(Model):
    """A custom resource as the API server sends it."""

    KIND: ClassVar[str]
    api_version: str = API_VERSION
    kind: str = ""
    metadata: Metadata

    @classmethod
    def parse(cls, obj: dict[str, Any]) -> Self:
        """The resource, typed. A status that cannot be read (written under another schema) counts as absent: it is
        derived and will be written again. Raises InvalidResource for metadata or spec, naming every wrong field."""
        try:
            return cls.model_validate(obj)
        except ValidationError as error:
            if any(problem["loc"][:1] != ("status",) for problem in error.errors()):
                raise InvalidResource(_words(error)) from error
        return cls.model_validate({key: value for key, value in obj.items() if key != "status"})

    def rebuild_token(self, spec_token: str | None) -> str | None:
        """The word that forces a build: of spec, of the annotation, or both together; None when there is neither."""
        words = [word for word in (spec_token, self.metadata.annotations.get(ANNOTATION_REBUILD)) if word]
        return "/".join(words)[:300] or None


def _words(error: ValidationError) -> str:
    problems = [p for p in error.errors(include_url=False) if p["loc"][:1] != ("status",)]
    return "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)


class ConfigMapSource(Model):
    name: str = Field(
        max_length=253,
        min_length=1,
        description="Name of a ConfigMap in this namespace. Each of its keys becomes a file.",
    )


class S3Location(Model):
    uri: str = Field(
        max_length=1024,
        description="Where the data lies: s3://bucket/key for one object, s3://bucket/prefix/ for all objects below the"
        " prefix. Endpoint and credentials come from the store's Secret in this namespace.",
        json_schema_extra=s3_rules("uri"),
    )


class S3Source(Model):
    uri: str = Field(
        max_length=1024,
        description="Where the code lies: s3://bucket/key for one file or one archive (.py, .zip, .tar, .tar.gz, .tgz),"
        " s3://bucket/prefix/ for all objects below the prefix.",
        json_schema_extra=s3_rules("uri"),
    )


class GitSource(Model):
    url: str = Field(
        max_length=1024,
        description="The repository: an https, http, git or ssh URL without a password in it.",
        json_schema_extra=rules(
            (
                "self.matches('^(https?|git|ssh)://[^/\\\\s]+/[^\\\\s]+$')",
                "url: write an https://, http://, git:// or ssh:// URL (ssh://git@host/path instead of git@host:path)",
            ),
            (
                "!self.matches('^[a-z]+://[^/]*:[^/]*@')",
                "url: leave the password out; anyone who may read this resource could see it",
            ),
        ),
    )
    ref: str | None = Field(
        default=None,
        max_length=255,
        description="Branch, tag or full commit. Default: the repository's default branch. A branch is looked up"
        " again and"
        " again: a new commit on it is a new source.",
        json_schema_extra=rules(
            (
                "self.matches('^[^\\\\s~^:?*\\\\[-][^\\\\s~^:?*\\\\[]*$')",
                "ref: not the name of a branch, a tag or a commit",
            )
        ),
    )
    path: str | None = Field(
        default=None,
        max_length=512,
        description="Folder of the repository that is the source, relative to its root. Default: the whole repository.",
        json_schema_extra=rules(
            (
                "!self.startsWith('/') && !self.matches('(^|/)[.][.](/|$)')",
                "path: a folder inside the repository, relative, without '..'",
            )
        ),
    )


class Failure(Model):
    """Why the last attempt failed."""

    reason: ReasonName = Field(description="CamelCase word, one of the reasons of the Ready condition.")
    message: Message = Field(default="", description="What happened and what to do about it.")


class Approval(Model):
    """What the annotation ``slipway.dev/approve`` says: that a person wants `version` promoted, or step `step` of its
    roll-out to begin (None: all of them). In ``slipway.dev/refuse``: that `version` is not to be promoted."""

    version: Annotated[int, Field(strict=True, ge=1)]
    by: str = ""
    reason: str = ""
    step: int | None = None

    @classmethod
    def parse(cls, text: str) -> Approval | None:
        """From the annotation's value: a version number, or JSON ``{"version": 7, "by": "ann", "reason": "…"}``.
        None when it is neither: a wrong approval approves nothing."""
        try:
            value = json.loads(text)
            return cls.model_validate({"version": value} if isinstance(value, int) else value)
        except (ValueError, RecursionError):
            return None

    def to_annotation(self) -> str:
        """The value that `parse` reads back."""
        return json.dumps(self.model_dump(exclude_defaults=True) | {"version": self.version}, ensure_ascii=False)
