"""What a controller is given: everything that reaches outside the process, made once by ``__main__`` or by a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slipway.kube.port import Kube
from slipway.reconcile.contract import Controller
from slipway.reconcile.stores import Blocking
from slipway.settings import Settings
from slipway.storage.port import Stores
from slipway.telemetry.scrape import NoScraper, Scraper

if TYPE_CHECKING:
    from slipway.registry.blobs import Blobs
    from slipway.registry.registry import Registry


@dataclass(frozen=True)
class Deps:
    """`registry`, `blobs` and `stores` block: call them through ``await executor.run(registry.latest, model)``."""

    kube: Kube
    registry: Registry
    blobs: Blobs
    stores: Stores
    """Gives an `ObjectStore` for a bucket's name, with the operator's endpoint and credentials."""
    settings: Settings
    executor: Blocking
    scraper: Scraper = field(default_factory=NoScraper)
    """Reads what pods measure."""


ControllerFactory = Callable[[Deps], Controller[Any, Any, Any]]
"""What each room of `slipway.controllers` exports as ``CONTROLLER_FACTORY``."""
