"""spec.onlineStore of a ModelDeployment: where its pods read features by entity key."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict, Field

from slipway.api.common import Model, rules


class MissingFeatures(StrEnum):
    ERROR = "Error"
    NULL = "Null"


class OtherDefinition(StrEnum):
    REFUSE = "Refuse"
    FLAG = "Flag"


class SecretKey(Model):
    name: str = Field(min_length=1, max_length=253, description="Name of a Secret in this namespace.")
    key: str = Field(
        default="url",
        min_length=1,
        max_length=253,
        description="Key in it whose value is the URL, with user and password. Default: url.",
        json_schema_extra=rules(("self.matches('^[-._a-zA-Z0-9]+$')", "key: letters, digits, '-', '_' and '.'")),
    )


class OnlineStore(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(("!has(self.url) || !has(self.secretRef)", "onlineStore: give one of url, secretRef"))
    )
    url: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Redis or Valkey without a password, as redis://redis.features:6379/0; rediss:// for TLS. Default: the registry's"
        " bucket, of which each pod keeps a copy.",
        json_schema_extra=rules(
            ("self.matches('^(redis|rediss|valkey|valkeys)://')", "url: begin with redis://, rediss://, valkey:// or valkeys://"),
            ("!self.contains('@')", "url: put a URL with a password into a Secret, and name that in secretRef"),
        ),
    )
    secret_ref: SecretKey | None = Field(default=None, description="Secret that holds the URL. Default: none.")
    missing_features: MissingFeatures = Field(
        default=MissingFeatures.ERROR,
        description="What an entity without features gives: Error (422), or Null, as in a training set. Default: Error.",
    )
    other_definition: OtherDefinition = Field(
        default=OtherDefinition.REFUSE,
        description="What to do when a view is in the store by another definition than the version was trained on: Refuse to start, or"
        " Flag it by a metric and in the log. Default: Refuse.",
    )
