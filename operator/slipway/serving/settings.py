"""The options of `slipway serve`, and what of them may come from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.serving.errors import ExitCode, StartError

MISSING = ("error", "null")
OTHER = ("refuse", "flag")
VERIFY = ("off", "provenance", "signed")
TERMINATION_LOG = Path("/dev/termination-log")
"""Where the kubelet reads a container's last words, by default."""


@dataclass(frozen=True)
class Options:
    """How to serve. Times in seconds, sizes in bytes. Raises StartError (usage) for values out of range."""

    model: str = ""
    """``NAME``, ``NAME@alias``, ``NAME:7`` in the registry, or the path of a .onnx file, a .skops file or a folder."""
    name: str = ""
    """The name in URLs. Default: the registry name's last part, or the file's name without its suffix."""
    host: str = "127.0.0.1"
    port: int = 8080
    """0: any free one; the log line of the start says which."""
    registry: str = ""
    namespace: str = "default"
    """Where a bare NAME is looked up."""
    digest: str = ""
    """The root digest that the version must have, ``sha256:…``; with a path, that of the folder or of the file."""
    cache: Path = field(default_factory=lambda: Path("~/.cache/slipway/models"))
    """Downloads go to a folder in it that is named by their digest."""
    cache_size: int = 0
    """Bytes that downloads may have together; 0: any."""
    trusted_types: tuple[str, ...] = ()
    """Types that a skops file may hold beyond skops' own list."""
    verify: str = "off"
    """What the version must prove: ``off``, ``provenance`` or ``signed`` (`slipway.provenance.policy`)."""
    public_keys: str = ""
    """Public keys whose signatures count, PEM blocks one after the other."""
    app: str = ""
    """Folder with application code."""
    entrypoint: str = ""
    """``module:Class`` of the application code."""
    models: Path | None = None
    """A file with several models, instead of `model` (`slipway.serving.configuration`)."""
    grpc_port: int = 0
    """0: no gRPC."""
    workers: int = 1
    """Processes that share the port."""
    processes: int = 1
    """Processes for the runs of a model that is no ONNX."""
    api_key_file: Path | None = None
    """One key per line; read again when it changes."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    """PEM files; read again when they change."""
    access_log: bool = False
    payload_log: str = ""
    """Store for requests and answers, and for feedback, as Parquet: ``s3://bucket/prefix``; empty: none is kept."""
    payload_sample: float = 1.0
    """Part of the requests that are kept, from 0 to 1."""
    payload_seconds: float = 60.0
    """After so long a file is stored, however small."""
    online_store: str = field(default="", repr=False)
    """Where features are read by entity key, ``redis://…``; empty: the registry's bucket. May hold a password."""
    online_cache: Path = field(default_factory=lambda: Path("~/.cache/slipway/online"))
    """Where the copy of features out of the registry's bucket lies; it grows with them."""
    missing_features: str = "error"
    """What an entity without a row gives: ``error``, or ``null`` as in a training set."""
    other_definition: str = "refuse"
    """What to do when a view is materialised by another definition than the model was trained on: ``refuse`` or ``flag``."""
    shadow: str = ""
    """``http://…`` of the candidate that copies of requests go to when the operator says so; empty: none are made."""
    termination_log: Path = TERMINATION_LOG
    """Where the reason of a failed start is left, if that can be written."""
    max_body: int = 16 << 20
    max_connections: int = 16_384
    max_rows: int = 10_000
    """Rows in one request."""
    max_batch: int = 256
    """Rows that requests are stacked up to."""
    max_queue: int = 1024
    """Requests that may wait for the model; more are answered 429."""
    timeout: float = 30.0
    """From a request's first byte to its answer."""
    drain: float = 3.0
    """How long SIGTERM leaves the server answering, for proxies to drop it; SIGINT does not wait."""
    grace: float = 20.0
    """How long requests that have begun may take after that."""

    def __post_init__(self) -> None:
        if not self.model.strip() and self.models is None:
            raise _usage("--model: give NAME@alias, NAME:7, or the path of a model file")
        if self.model.strip() and self.models is not None:
            raise _usage("--model and --models: give one of them")
        for option in ("port", "grpc_port"):
            if not 0 <= getattr(self, option) <= 65535:
                raise _usage(f"--{_dashed(option)} {getattr(self, option)}: a port is a number from 0 to 65535")
        for option in ("max_body", "max_rows", "max_batch", "max_queue", "max_connections", "timeout"):
            if not getattr(self, option) > 0:
                raise _usage(f"--{_dashed(option)} {getattr(self, option)}: must be above 0")
        for option in ("workers", "processes"):
            if not 1 <= getattr(self, option) <= 256:
                raise _usage(f"--{_dashed(option)} {getattr(self, option)}: must be from 1 to 256")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise _usage("--tls-cert and --tls-key: give both")
        for option in ("drain", "grace"):
            if not 0 <= getattr(self, option) <= 3600:
                raise _usage(f"--{option} {getattr(self, option)}: must be from 0 to 3600 seconds")
        if self.verify not in VERIFY:
            raise _usage(f"--verify {self.verify}: write one of {', '.join(VERIFY)}")
        if self.missing_features not in MISSING:
            raise _usage(f"--missing-features {self.missing_features}: write one of {', '.join(MISSING)}")
        if self.other_definition not in OTHER:
            raise _usage(f"--other-definition {self.other_definition}: write one of {', '.join(OTHER)}")
        if self.app and not self.entrypoint:
            raise _usage("--app needs --entrypoint, for example --entrypoint app:Service")
        if self.shadow and not self.shadow.startswith("http://"):
            raise _usage(f"--shadow {self.shadow}: write http://host:port, in which {{revision}} may stand")
        if not 0 <= self.payload_sample <= 1:
            raise _usage(f"--payload-sample {self.payload_sample}: a part from 0 to 1")
        if not 0.1 <= self.payload_seconds <= 3600:
            raise _usage(f"--payload-seconds {self.payload_seconds}: must be from 0.1 to 3600")


def _dashed(option: str) -> str:
    return option.replace("_", "-")


def environment() -> Mapping[str, str]:
    """The process environment: defaults of options that are not given (`FROM_ENVIRONMENT`)."""
    return os.environ


FROM_ENVIRONMENT = {
    "model": "SLIPWAY_MODEL",
    "models": "SLIPWAY_MODELS",
    "api_key_file": "SLIPWAY_API_KEY_FILE",
    "tls_cert": "SLIPWAY_TLS_CERT",
    "tls_key": "SLIPWAY_TLS_KEY",
    "registry": "SLIPWAY_REGISTRY",
    "cache": "SLIPWAY_CACHE",
    "cache_size": "SLIPWAY_CACHE_SIZE",
    "trusted_types": "SLIPWAY_TRUSTED_TYPES",
    "verify": "SLIPWAY_VERIFY",
    "public_keys": "SLIPWAY_PUBLIC_KEYS",
    "app": "SLIPWAY_APP",
    "entrypoint": "SLIPWAY_ENTRYPOINT",
    "payload_log": "SLIPWAY_PAYLOAD_LOG",
    "payload_sample": "SLIPWAY_PAYLOAD_SAMPLE",
    "online_store": "SLIPWAY_ONLINE_STORE",
    "online_cache": "SLIPWAY_ONLINE_CACHE",
    "missing_features": "SLIPWAY_MISSING_FEATURES",
    "other_definition": "SLIPWAY_OTHER_DEFINITION",
    "shadow": "SLIPWAY_SHADOW",
}
"""Options that a variable of the environment can give; the command line goes before it."""

HELP = {
    "model": "NAME, NAME@alias or NAME:7 in the registry, or the path of a .onnx file, a .skops file or a folder.",
    "name": "Name in URLs. Default: the registry name's last part, or the file's name without its suffix.",
    "host": "Address to listen on.",
    "port": "Port to listen on; 0: any free one.",
    "registry": "Model registry, s3://bucket/prefix. Default: SLIPWAY_REGISTRY.",
    "namespace": "Where a bare NAME is looked up.",
    "digest": "Root digest that the version must have, sha256:…",
    "cache": "Folder for downloads, which are named by their digest.",
    "cache_size": "Space for downloads, as 20Gi: those not used for longest make room for new ones. Default: any.",
    "trusted_types": "Types that a skops file may hold beyond skops' own list, comma-separated.",
    "verify": "What the version must prove before it is loaded: off, provenance or signed.",
    "public_keys": "Public keys whose signatures count, as PEM text. Default: SLIPWAY_PUBLIC_KEYS.",
    "app": "Folder with application code.",
    "entrypoint": "module:Class of the application code.",
    "models": "File that names several models, to be served at once.",
    "grpc_port": "Port for gRPC; 0: none.",
    "workers": "Processes that share the port.",
    "processes": "Processes for a model that is no ONNX.",
    "api_key_file": "File with the API keys that clients may use, one a line.",
    "tls_cert": "PEM file with the certificate chain: answer HTTPS.",
    "tls_key": "PEM file with its private key.",
    "access_log": "Log every request.",
    "payload_log": "Keep requests, answers and feedback as Parquet there, s3://bucket/prefix.",
    "payload_sample": "Part of the requests that are kept, from 0 to 1.",
    "payload_seconds": "Seconds after which a file is stored, however small.",
    "online_store": "Where features are read by entity key, redis://host:6379/0. Default: the registry's bucket.",
    "online_cache": "Folder for the copy of features out of the registry's bucket.",
    "missing_features": "What an entity without features gives: error, or null as in a training set.",
    "other_definition": "When features are there by another definition than the model was trained on: refuse or flag.",
    "shadow": "http://host:port of a candidate, which gets copies of requests when the operator says so.",
    "termination_log": "File for the reason of a failed start.",
    "max_body": "Bytes of a request's body.",
    "max_connections": "Connections that may be open.",
    "max_rows": "Rows in one request.",
    "max_batch": "Rows that requests are stacked up to.",
    "max_queue": "Requests that may wait for the model; more are answered 429.",
    "timeout": "Seconds from a request's first byte to its answer.",
    "drain": "Seconds that SIGTERM leaves the server answering, for proxies to drop it.",
    "grace": "Seconds that requests which have begun may take after that.",
}
"""What each option is, for --help."""


def split_list(text: str) -> tuple[str, ...]:
    """``a,b`` as ``("a", "b")``; blanks and empty parts are dropped."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def bytes_of(text: str) -> int:
    """``20Gi``, ``500M`` or ``1048576`` in bytes. Raises StartError (usage)."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise _usage(f"--cache-size {text}: write a number of bytes, or one with Ki, Mi, Gi, Ti, k, M, G, T, for example 20Gi")
    return int(float(found[1]) * _UNITS[found[2] or ""])


_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kMGT]|[KMGT]i)?")


def _usage(message: str) -> StartError:
    return StartError(message, ExitCode.USAGE)
