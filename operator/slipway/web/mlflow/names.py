"""Names in MLflow and here. Pure.

MLflow's names have no namespace. A model of the service's own namespace has its bare name there, one of another namespace
``namespace/model``; in a ``models:/`` URI, where MLflow takes a slash for its own, that is written ``namespace%2Fmodel``.
"""

from __future__ import annotations

from urllib.parse import unquote

from slipway.registry.names import ModelName


def to_mlflow(name: ModelName, namespace: str) -> str:
    """How MLflow's clients see `name`."""
    return name.model if name.namespace == namespace else str(name)


def from_mlflow(text: str, namespace: str) -> ModelName:
    """Raises InvalidName."""
    return ModelName.parse(unquote(text), namespace)
