"""Images and wheels for tests: a base as small as it can be, wheels without content, and the store that a build pod sees."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.images import assemble, entries, layer
from slipway.images.assemble import Part
from slipway.images.attempt import Pod, run
from slipway.images.blobs import StoredFile
from slipway.images.build_app import build
from slipway.images.contract import GLIBC_LABEL, PACKAGES_LABEL, AppBuildRequest, AppBuildResult
from slipway.images.interpreter import machine
from slipway.images.reference import Reference
from slipway.images.registry_client import RegistryClient
from slipway.images.transport import Options
from slipway.registry.registry import Registry
from slipway.sources.resolve import pin_configmap
from slipway.storage.memory import MemoryStore
from slipway.training.log import LogFile
from slipway.training.process import Stop

BUILD_ID = "sha256:" + "c" * 64
PYTHON = "3.11.2"
CODE = {"app.py": "class Service:\n    def preprocess(self, inputs):\n        return inputs\n"}


def push_base(
    client: RegistryClient,
    to: Reference,
    work: Path,
    *,
    packages: Iterable[str] = ("numpy==2.3.4",),
    labels: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    platform: str = "",
    python: str = PYTHON,
) -> str:
    """Pushes an image that says of itself what a serving image says; its reference by digest."""
    work.mkdir(parents=True, exist_ok=True)
    contents = files or {"etc/base": b"base\n" * 1000}
    made = layer.pack([entries.text(path, data) for path, data in contents.items()], work / "base.tar.gz")
    said = {PACKAGES_LABEL: " ".join(packages), GLIBC_LABEL: "2.36"} if labels is None else dict(labels)
    image = assemble.compose(
        [Part(made.descriptor, made.diff_id, "base", StoredFile.of(made))],
        assemble.Changes(environment={"PYTHON_VERSION": python, "PATH": "/usr/local/bin"}, labels=said, user="10001:10001"),
        platform=platform or f"linux/{machine()}",
    )
    return str(assemble.push(client, image, to))


def wheel(
    folder: Path, name: str, version: str = "1.0", *, tag: str = "py3-none-any", requires: Iterable[str] = (), extra: bytes = b""
) -> Path:
    """A wheel with one module. `extra`: bytes of a data file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    files = {
        f"{name}/__init__.py": f"VERSION = {version!r}\n".encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    if extra:
        files[f"{name}/data.bin"] = extra
    record = "".join(f"{file},,\n" for file in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0)), data)
    return path


@dataclass
class Site:
    """What is around a build pod: the model registry's store, and how image registries are reached."""

    root: Path
    base: str
    repository: str
    store: MemoryStore = field(default_factory=MemoryStore)
    environment: dict[str, str] = field(default_factory=dict)
    attempts: int = 0

    @property
    def registry(self) -> Registry:
        return Registry(self.store)

    def ask(self, code: Mapping[str, str | bytes] = CODE, **changes: Any) -> AppBuildRequest:
        """Leaves a request for the next attempt in the store."""
        import base64

        self.attempts += 1
        text = {name: value for name, value in code.items() if isinstance(value, str)}
        binary = {name: base64.b64encode(value).decode() for name, value in code.items() if isinstance(value, bytes)}
        source, blobs = pin_configmap("team", "code", text, binary)
        for data in blobs.values():
            self.registry.blobs.put_bytes(data)
        fields: dict[str, Any] = {
            "build_id": BUILD_ID,
            "attempt": self.attempts,
            "name": "team/app",
            "source": source,
            "entrypoint": "app:Service",
            "base": self.base,
            "repository": self.repository,
        }
        request = AppBuildRequest.model_validate(fields | changes)
        self.registry.write_request(BUILD_ID, self.attempts, request)
        return request

    def pod(self, *, stop: Stop | None = None, name: str = "") -> Pod:
        """A pod for the last attempt that was asked for, with a work folder of its own."""
        work = self.root / (name or f"pod-{self.attempts}")
        work.mkdir()
        return Pod(
            registry=self.registry,
            stores=lambda bucket: MemoryStore(bucket),
            build_id=BUILD_ID,
            number=self.attempts,
            work=work,
            environment={"PATH": "/usr/bin:/bin", "HOME": str(work), **self.environment},
            log=LogFile(work / "build.log"),
            stop=stop or Stop(),
            sleep=lambda _seconds: None,
        )

    def build(self, code: Mapping[str, str | bytes] = CODE, **changes: Any) -> AppBuildResult:
        """Asks for a build and runs its pod, with pauses between tries left out."""
        self.ask(code, **changes)
        return self.run(self.pod())

    def run(self, pod: Pod, **options: Any) -> AppBuildResult:
        """Runs a pod. `options` go to the registry client's `Options`."""

        def connect(given: Options, credentials: Any) -> RegistryClient:
            from dataclasses import replace

            return RegistryClient(replace(given, **options), credentials, sleep=lambda _seconds: None)

        return run(pod, lambda p, request, draft: build(p, request, draft, connect))
