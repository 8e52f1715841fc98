"""AppBuild: package the application that serves a model."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from slipway.api.common import (
    DNS_SUBDOMAIN,
    IMAGE_PATH,
    REGISTRY_HOST,
    ConfigMapSource,
    Digest,
    Failure,
    GitSource,
    Model,
    ReasonName,
    Resource,
    S3Source,
    Time,
    entrypoint_rules,
    rules,
)
from slipway.api.conditions import Condition
from slipway.api.model_build import Retry


class AppSource(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "[has(self.configMap), has(self.s3), has(self.git)].exists_one(given, given)",
                "source: give exactly one of configMap, s3, git",
            )
        )
    )
    config_map: ConfigMapSource | None = Field(default=None, description="Code in a ConfigMap of this namespace.")
    s3: S3Source | None = Field(default=None, description="Code in the object store.")
    git: GitSource | None = Field(default=None, description="Code in a Git repository.")


class Base(Model):
    image: str | None = Field(
        default=None,
        max_length=512,
        description="Image that the layers are put on, with its registry's host. Default: the operator's serving image."
        " A tag is resolved to a digest; give a digest to pin it.",
        json_schema_extra=rules(
            (
                f"self == '' || self.matches('{REGISTRY_HOST}')",
                "image: name the registry, for example docker.io/library/python:3.12 instead of python:3.12",
            ),
            (
                "!self.contains('@') || self.matches('@sha256:[0-9a-f]{64}$')",
                "image: a digest is sha256: and 64 characters of 0-9 and a-f",
            ),
        ),
    )


class Output(Model):
    repository: str = Field(
        min_length=1,
        max_length=512,
        description="Where the image is pushed: the registry's host and a path, without tag, for example"
        " registry.example.com/ml/api.",
        json_schema_extra=rules(
            (
                f"self.matches('{REGISTRY_HOST}')",
                "repository: begin with the registry's host, for example registry.example.com/ml/api",
            ),
            (
                f"!self.matches('{REGISTRY_HOST}') || self.matches('{REGISTRY_HOST}{IMAGE_PATH}$')",
                "repository: after the host come lower-case words joined by '/', without tag or digest",
            ),
        ),
    )
    credentials_secret: str | None = Field(
        default=None,
        max_length=253,
        description="Secret of type kubernetes.io/dockerconfigjson in this namespace, for pull of the base and push"
        " of the image."
        " Default: none is used.",
        json_schema_extra=rules(
            (f"self == '' || self.matches('{DNS_SUBDOMAIN}')", "credentialsSecret: not the name of a Secret")
        ),
    )


class AppBuildSpec(Model):
    source: AppSource = Field(description="Where the application's code is: exactly one of configMap, s3, git.")
    entrypoint: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="module:class with pre- and post-processing around the model. Default: none, requests go"
        " straight to the model.",
        json_schema_extra=entrypoint_rules("entrypoint", "app:Service"),
    )
    base: Base | None = Field(default=None, description="What the image is built on. Default: the operator's serving image.")
    requirements: tuple[
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=512,
                json_schema_extra=rules(
                    ("!self.startsWith('-')", "requirements: options are not accepted here, only packages"),
                    ("!self.matches('[\\\\n\\\\r]')", "requirements: one package in each item"),
                ),
            ),
        ],
        ...,
    ] = Field(
        default=(),
        max_length=200,
        description="Python packages to add, as in requirements.txt, for example pandas==2.3.*. A requirements.txt"
        " in the"
        " source is used besides. Resolved, hashed and recorded.",
    )
    output: Output = Field(description="Where the image goes.")
    strategy: Literal["Layers"] = Field(
        default="Layers",
        description="How the image is made. Layers: layers put on the base, without a container builder. Default: Layers.",
    )
    rebase: Literal["Automatic", "Never"] = Field(
        default="Automatic",
        description="What a new digest of the base image does. Automatic: the base's layers are swapped, or the image is"
        " built anew when its Python changed. Never: it is taken with the next build for another reason. Default: Automatic.",
    )
    retry: Retry | None = Field(
        default=None, description="What happens after a failed attempt. Default: two retries after 30 and 60 seconds."
    )
    deadline_seconds: int = Field(
        default=900, ge=1, le=86400, description="Seconds that one attempt may take, at most one day. Default: 900."
    )
    suspend: bool = Field(default=False, description="true: start no new attempt; one that runs is not ended. Default: false.")
    rebuild: str | None = Field(
        default=None,
        max_length=128,
        description="Any word; a new one forces a build even if an image of the same identity exists (slipway rebuild sets it).",
    )

    @property
    def retry_limit(self) -> int:
        return (self.retry or Retry()).limit

    @property
    def backoff_seconds(self) -> int:
        return (self.retry or Retry()).backoff_seconds


class Layer(Model):
    digest: Digest = Field(description="Digest of the layer's blob.")
    size: int = Field(ge=0, description="Size of the blob in bytes.")
    holds: str = Field(max_length=64, description="What is in it: base, requirements or application.")


class AppBuildRun(Model):
    """The current or last build."""

    id: Digest = Field(description="Build identity: digest of everything that determines the image.")
    reason: ReasonName | None = Field(
        default=None,
        description="Why it was started: FirstBuild, SpecChanged, SourceChanged, RequirementsChanged, BaseChanged, Forced"
        " or CacheHit.",
    )
    attempt: int | None = Field(default=None, ge=0, description="Number of the attempt, from 1.")
    first_attempt: int | None = Field(
        default=None,
        ge=1,
        description="Number of this resource's first attempt; higher than 1 when others tried the same build before.",
    )
    job: str | None = Field(default=None, max_length=253, description="Name of the Job of this attempt.")
    rebuild: str | None = Field(default=None, max_length=300, description="The word by which this build was forced.")
    generation: int | None = Field(default=None, ge=0, description="metadata.generation that the build was made for.")
    source: Digest | None = Field(default=None, description="Digest of the source.")
    base: str | None = Field(default=None, max_length=600, description="The base image, by digest.")
    requirements: Digest | None = Field(default=None, description="Digest of spec.requirements.")
    layers: tuple[Layer, ...] = Field(default=(), max_length=256, description="Layers of the image, lowest first.")
    sbom: Digest | None = Field(default=None, description="Digest of the CycloneDX bill of materials.")
    bytes_sent: int | None = Field(default=None, ge=0, description="Bytes sent to the image registry.")
    seconds: float | None = Field(default=None, ge=0, description="Seconds from the start to the end of the successful attempt.")
    started_at: Time | None = Field(default=None, description="When the first attempt was started.")
    finished_at: Time | None = Field(default=None, description="When the last attempt ended.")
    outcome: Literal["Running", "Succeeded", "Failed"] | None = Field(default=None, description="Running, Succeeded or Failed.")
    failure: Failure | None = Field(default=None, description="Why the last attempt failed.")
    retry_after: Time | None = Field(default=None, description="When the next attempt may start.")


class AppBuildStatus(Model):
    observed_generation: int | None = Field(default=None, ge=0, description="metadata.generation that this status is about.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Ready, Reconciling, Stalled; their reasons are listed in docs/spec/v1alpha1/app-build.md.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    image: str | None = Field(default=None, max_length=600, description="The newest image, by digest.")
    build: AppBuildRun | None = Field(default=None, description="The current or last build.")


class AppBuild(Resource):
    """Puts application code on a serving image and pushes the result, named by digest."""

    KIND: ClassVar[str] = "AppBuild"
    spec: AppBuildSpec = Field(description="What is to be packaged.")
    status: AppBuildStatus | None = Field(default=None, description="What was packaged; written by the operator.")
