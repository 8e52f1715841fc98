"""The figures of one telling, as data: what the summary prints and what ``--figures`` writes."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from typing import Any

from local.demo.timeline import Step


@dataclass
class Chain:
    """From one apply to its first answer. Seconds."""

    steps: list[Step] = field(default_factory=list)
    total: float = 0.0
    script: float = 0.0
    """The training script alone: by hand in a process of its own, or the pod's child process that ran it, whichever was quicker."""
    empty_pods: float = 0.0
    """Two pods that do nothing, one of each image, one after the other: what Kubernetes itself takes."""
    in_training: dict[str, float] = field(default_factory=dict)
    """The training container's own times."""
    api_writes: int = 0
    """The operator's writes to the API server until the first answer, events included."""
    resources: int = 0
    """Of Slipway's kinds."""

    @property
    def added(self) -> float:
        """What Slipway adds to the script and to two pods."""
        return self.total - self.script - self.empty_pods


@dataclass
class Facts:
    """What was seen on the way. Times in seconds; None where a chapter was not told."""

    cluster_seconds: float = 0.0
    install_seconds: float = 0.0
    pull_seconds: float = 0.0
    first: Chain | None = None
    rollover_seconds: float | None = None
    rollover_steps: list[Step] = field(default_factory=list)
    total_seconds: float = 0.0
    rows: int = 0
    distance: float = 0.0
    example_row: list[float] = field(default_factory=list)
    sent: int = 0
    failed: list[str] = field(default_factory=list)
    by_version: dict[str, int] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    stable: dict[str, Any] = field(default_factory=dict)
    app: dict[str, Any] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    url: str = ""
    operator_bytes: int = 0
    """Resident memory of the operator at the end."""

    def to_json(self) -> str:
        """All facts, with the machine they are from."""
        data = asdict(self)
        if self.first is not None:
            data["first"]["added"] = self.first.added
        data.pop("example_row")
        with open("/proc/meminfo", encoding="utf-8") as file:  # noqa: PTH123
            memory = int(file.readline().split()[1]) // 1024
        data["machine"] = {"cores": os.cpu_count(), "memory_mb": memory, "kernel": platform.release()}
        return json.dumps(_rounded(data), indent=2) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3) if abs(value) > 1e-3 else value
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list) else value
