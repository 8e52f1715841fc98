"""The programs that are built here: the Kubernetes binary, Helm, the pause image. Built once per digest of their inputs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import oci
from local.errors import CommandError, PreflightError
from local.progress import Progress
from local.settings import Settings, search_path
from local.shell import run
from local.toolchain import Go, find_go, need_go

SOURCES = Path(__file__).parent
KUBERNETES = "v1.34.4"
HELM = "v3.19.5"
PAUSE_IMAGE = "localhost/pause:1"
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
    "coredns",
)


@dataclass(frozen=True)
class Product:
    """One Go module and what it builds to."""

    name: str
    """File name of the program, and the folder of its module unless `module` says otherwise."""
    module: str
    package: str
    flags: tuple[str, ...]
    about: str
    """What a person reads while it is built."""
    names: tuple[str, ...] = ()
    """Names of links to the program, which does what the name says that it was started under."""
    files: tuple[tuple[str, str, str], ...] = ()
    """What is copied beside the program from the modules that it was built from: (folder, module, pattern)."""

    @property
    def source(self) -> Path:
        """Folder of the Go module."""
        return SOURCES / self.module


def _linker_flags() -> str:
    # Without these the node reports v0.0.0-master, and clients name no version in their user agent.
    values = {
        "gitVersion": KUBERNETES,
        "gitMajor": KUBERNETES[1:].split(".")[0],
        "gitMinor": KUBERNETES.split(".")[1],
        "gitTreeState": "clean",
        "gitCommit": "go-module",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {package}.{name}={value}" for package in packages for name, value in values.items())])


def _helm_flags() -> str:
    # Without the last ones `helm template` and `helm lint` believe that they render for Kubernetes 1.20.
    major, minor = KUBERNETES[1:].split(".")[:2]
    values = {"internal/version.version": HELM, "internal/version.gitTreeState": "clean"}
    for package in ("pkg/chartutil", "pkg/lint/rules"):
        values |= {f"{package}.k8sVersionMajor": major, f"{package}.k8sVersionMinor": minor}
    return " ".join(["-s -w", *(f"-X helm.sh/helm/v3/{name}={value}" for name, value in values.items())])


HK = Product(
    "hk", "hk", ".", ("-trimpath", "-tags", "grpcnotrace", "-ldflags", _linker_flags()),
    f"Kubernetes {KUBERNETES[1:]}, etcd and CoreDNS (first time: 6 to 10 minutes)",
    names=COMPONENTS,
)  # fmt: skip
HELM_CLI = Product(
    "helm", "tools", "helm.sh/helm/v3/cmd/helm", ("-trimpath", "-tags", "grpcnotrace", "-ldflags", _helm_flags()),
    f"Helm {HELM[1:]}",
)  # fmt: skip
CRANE = Product(
    "crane", "crane", "github.com/google/go-containerregistry/cmd/crane", ("-trimpath", "-ldflags", "-s -w"),
    "crane, which tests check images with",
)  # fmt: skip
CONTOUR = Product(
    "contour", "contour", "github.com/projectcontour/contour/cmd/contour", ("-trimpath", "-ldflags", "-s -w"),
    "Contour, a Gateway API controller that tests meet (first time: 2 minutes)",
    files=(
        # Contour does not start without the kinds of Gateway API's experimental channel (TCPRoute)
        ("crds", "sigs.k8s.io/gateway-api", "config/crd/experimental/gateway.networking.k8s.io_*.yaml"),
        ("crds", "github.com/projectcontour/contour", "examples/contour/*-crds.yaml"),
    ),
)  # fmt: skip
CONTOUR_GO = (1, 26)
ARGO = Product(
    "argo", "argo", ".", ("-trimpath", "-ldflags", "-s -w"),
    "Argo CD, which tests meet (first time: 7 minutes)",
    names=("argocd", "argocd-application-controller", "argocd-repo-server", "kustomize", "redis"),
    files=(
        ("crds", "github.com/argoproj/argo-cd/v3", "manifests/crds/app*-crd.yaml"),
        ("config", "github.com/argoproj/argo-cd/v3", "manifests/base/config/argocd-*.yaml"),
    ),
)  # fmt: skip
ARGO_GO = (1, 25)
KWOK = Product(
    "kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", ("-trimpath", "-ldflags", "-s -w"),
    "kwok, whose nodes benchmarks run pods on (first time: 2 minutes)",
)  # fmt: skip
PAUSE = Product("pause", "pause", ".", ("-trimpath", "-ldflags", "-s -w"), "the pause image")


@dataclass(frozen=True)
class Binaries:
    """Where the built programs are. All folders are complete: they appear in one step."""

    kubernetes: Path
    """Folder with ``hk`` and a link to it for each name in COMPONENTS."""
    helm: Path
    pause_archive: Path
    """OCI archive of PAUSE_IMAGE."""

    def component(self, name: str) -> str:
        """Path of one of COMPONENTS."""
        return str(self.kubernetes / name)


def key(product: Product, go_version: str) -> str:
    """Digest of everything that decides what the build gives: sources, pins, flags, toolchain, machine."""
    digest = hashlib.sha256()
    for path in sorted([*product.source.glob("go.*"), *product.source.glob("*.go")]):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    digest.update("\0".join([product.package, *product.flags, go_version, os.uname().machine]).encode())
    digest.update("".join(map("\0".join, product.files)).encode())
    return f"{product.name}-{digest.hexdigest()[:16]}"


def ensure(settings: Settings, progress: Progress) -> Binaries:
    """All programs a whole cluster needs; builds those that are missing.

    Raises PreflightError without a Go toolchain, CommandError if a build fails.
    """
    go = need_go(settings, progress)
    hk, helm, pause = (_ensure(product, go, settings, progress) for product in (HK, HELM_CLI, PAUSE))
    return Binaries(kubernetes=hk, helm=helm / "helm", pause_archive=pause / "pause.tar")


def ensure_kubernetes(settings: Settings, progress: Progress) -> Path:
    """Only the folder with the Kubernetes programs; builds it if it is missing."""
    return _ensure(HK, need_go(settings, progress), settings, progress)


def ensure_crane(settings: Settings, progress: Progress) -> Path:
    """The program crane; builds it if it is missing."""
    return _ensure(CRANE, need_go(settings, progress), settings, progress) / CRANE.name


def ensure_contour(settings: Settings, progress: Progress) -> Path:
    """The folder with ``contour`` and ``crds/``: its own kinds, and Gateway API's; builds it if it is missing."""
    return _ensure(CONTOUR, need_go(settings, progress, CONTOUR_GO), settings, progress)


def ensure_kwok(settings: Settings, progress: Progress) -> Path:
    """The program kwok; builds it if it is missing."""
    return _ensure(KWOK, need_go(settings, progress), settings, progress) / KWOK.name


def ensure_argo(settings: Settings, progress: Progress) -> Path:
    """The folder with the programs of `ARGO`, and Argo CD's kinds and settings in ``crds/`` and ``config/``; builds it if it is
    missing."""
    return _ensure(ARGO, need_go(settings, progress, ARGO_GO), settings, progress)


def present(settings: Settings) -> Binaries | None:
    """The programs if all are built already; never builds."""
    go = find_go(settings)
    if go is None:
        return None
    hk, helm, pause = (settings.binaries / key(product, go.version) for product in (HK, HELM_CLI, PAUSE))
    if not all(folder.is_dir() for folder in (hk, helm, pause)):
        return None
    return Binaries(kubernetes=hk, helm=helm / "helm", pause_archive=pause / "pause.tar")


def _ensure(product: Product, go: Go, settings: Settings, progress: Progress) -> Path:
    folder = settings.binaries / key(product, go.version)
    if folder.is_dir():
        return folder
    settings.binaries.mkdir(parents=True, exist_ok=True)
    with _lock(settings.binaries / f".{product.name}.lock", product, progress):
        if not folder.is_dir():  # somebody else may have built it while we waited
            _build(product, go, folder, progress)
    return folder


@contextmanager
def _lock(path: Path, product: Product, progress: Progress) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"waiting for another run that builds {product.about}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(product: Product, go: Go, folder: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{product.name}-") as name:
        work, compiled = Path(name) / "out", [0]
        work.mkdir(mode=0o755)
        with progress.step(f"build {product.about}", alive=lambda: f"{compiled[0]} packages compiled"):
            _go_build(product, go, work / product.name, compiled)
        for link in product.names:
            (work / link).symlink_to(product.name)
        if product is PAUSE:
            oci.write_archive(work / "pause.tar", PAUSE_IMAGE, {"pause": work / "pause"}, entrypoint=["/pause"])
        for target, module, pattern in product.files:
            _copy(product, go, module, pattern, work / target)
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)


def _copy(product: Product, go: Go, module: str, pattern: str, target: Path) -> None:
    target.mkdir(exist_ok=True)
    words = [str(go.path), "list", "-m", "-f", "{{.Dir}}", module]
    for path in sorted(Path(run(words, cwd=product.source, env=go.environment()).strip()).glob(pattern)):
        (target / path.name).write_bytes(path.read_bytes())


def _go_build(product: Product, go: Go, target: Path, compiled: list[int]) -> None:
    # -v names each package on stderr once it is compiled: that is the sign of life.
    argv = [str(go.path), "build", "-v", *product.flags, "-o", str(target), product.package]
    tail: list[str] = []
    with subprocess.Popen(
        argv, cwd=product.source, env=go.environment(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            compiled[0] += not line.startswith(("#", "go:", "\t"))
            tail = [*tail[-30:], line]
    if process.returncode != 0:
        text = "".join(tail)
        if "no space left" in text:
            raise PreflightError(["the disk is full: a first build needs 5 GB below the home folder and 2 GB in TMPDIR"])
        raise CommandError(argv[:2], process.returncode, text)


def container_tools() -> tuple[Path, ...]:
    """Folders in which Linux distributions put CNI plugins, the first that exists first."""
    return tuple(folder for folder in map(Path, ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")) if folder.is_dir())


def path_with(folder: Path) -> str:
    """A search path on which the programs of `folder` come first."""
    return f"{folder}:{search_path()}"
