"""What the Job of an AppBuild does: base, requirements and application become one image, pushed by digest.

The base is never downloaded: its layers are mounted from where they are. Nothing of the user's code is run, unless packages
without a wheel are allowed.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.images import application, assemble, attest, contract, layer, rebase, requirements, uv, wheels
from slipway.images.assemble import BaseImage, Image, Part
from slipway.images.attempt import Draft, Pod
from slipway.images.blobs import StoredFile
from slipway.images.contract import AppBuildRequest, AppBuildResult, AppLayer
from slipway.images.credentials import Anonymous, Credentials, DockerConfig
from slipway.images.errors import ImageError, InvalidReference
from slipway.images.interpreter import machine, running
from slipway.images.records import LayerRecord, LockRecord, Records, layer_key, lock_key
from slipway.images.reference import Reference, parse, parse_repository
from slipway.images.registry_client import RegistryClient
from slipway.images.runtime import Runtime, runtime_of
from slipway.images.transport import Options
from slipway.images.upload import Progress, Tally
from slipway.provenance.names import CYCLONEDX
from slipway.sources.fetch import fetch_source
from slipway.training.log import every, size_text

PROGRESS_STEP = 64 << 20
Connect = Callable[[Options, Credentials], RegistryClient]


class SecretMissing(ImageError):
    """The Secret with the registries' passwords is not what it should be."""

    reason = contract.SECRET_MISSING


def build(pod: Pod, request: AppBuildRequest, draft: Draft, connect: Connect = RegistryClient) -> None:
    """Makes and pushes the image of `request`; what becomes known of it goes to `draft`. Raises ImageError, SourceError, and
    the store's errors."""
    to = parse_repository(request.repository)
    options = Options(insecure=frozenset(request.insecure_registries))
    with connect(options, _credentials(pod, request)) as client:
        _Assembly(pod, request, draft, client, to).run()


def _credentials(pod: Pod, request: AppBuildRequest) -> Credentials:
    folder = pod.environment.get("DOCKER_CONFIG", "")
    if not folder:
        return Anonymous()
    path = Path(folder) / "config.json"
    if not path.is_file():
        name = request.credentials_secret or "output.credentialsSecret"
        raise SecretMissing(
            f"output.credentialsSecret: there is no Secret {name} of type kubernetes.io/dockerconfigjson in this namespace "
            f"(kubectl create secret docker-registry {name} …)"
        )
    return DockerConfig.load(path)


@dataclass
class _Assembly:
    """The steps of one build, in their order."""

    pod: Pod
    request: AppBuildRequest
    draft: Draft
    client: RegistryClient
    to: Reference

    def run(self) -> None:
        draft, pod = self.draft, self.pod
        with draft.step("base"):
            base = self._base()
            runtime = runtime_of(base)
        draft.base = self.request.base
        pod.tell(
            f"base {base.reference}: Python {runtime.python_version}, {runtime.platform}, {len(base.manifest.layers)} layers"
        )
        own = self._rebased(runtime) or self._built(runtime)
        image = self._compose(base, runtime, draft.requirements, [*assemble.base_parts(self.client, base), *own])
        with draft.step("push"):
            self._push(image)
        with draft.step("attest"):
            self._attest(base, runtime, image)
        pod.check()
        tally = Tally()
        assemble.tag(self.client, image, self.to, self.request.tags, tally=tally)
        draft.bytes_sent += tally.bytes_sent
        pod.tell(f"pushed {draft.image}: {size_text(draft.bytes_sent)} sent")

    def _rebased(self, runtime: Runtime) -> tuple[Part, ...]:
        """The layers of the build before, when they fit the new base; else none."""
        pod, draft, previous = self.pod, self.draft, self.request.previous
        if previous is None:
            return ()
        with draft.step("rebase"):
            done = pod.patiently(lambda: pod.registry.read_result(previous.build_id, previous.attempt, AppBuildResult))
            parts = rebase.own_parts(self.client, done, runtime) if done is not None else rebase.Unfit("its result is lost")
        if isinstance(parts, rebase.Unfit):
            pod.tell(f"the layers of the build before cannot stay: {parts.why}")
            return ()
        draft.source, draft.requirements, draft.rebased = done.source, done.requirements, True
        pod.tell(f"only the base changed: {len(parts)} layers stay as they are")
        return parts

    def _built(self, runtime: Runtime) -> list[Part]:
        """The layers of requirements and application, made from the source."""
        draft, parts = self.draft, []
        with draft.step("fetch"):
            source = self._fetch()
        with draft.step("resolve"):
            draft.requirements = lock = self._resolve(runtime, source)
        if lock:
            with draft.step("install"):
                parts.append(self._requirements_part(lock, runtime, source))
        with draft.step("layers"):
            parts.append(self._application_part(runtime, source))
        return parts

    def _base(self) -> BaseImage:
        try:
            reference = parse(self.request.base)
        except InvalidReference as error:
            raise InvalidReference(f"base.image: {error}") from error
        return assemble.read_base(self.client, reference, self.request.platform or f"linux/{machine()}")

    def _fetch(self) -> Path:
        pod, request = self.pod, self.request
        source = pod.work / "source"
        source.mkdir()
        self.draft.source = pod.patiently(lambda: fetch_source(request.source, source, pod.stores, pod.registry.blobs))
        pod.tell(f"source {request.source.uri} fetched")
        application.check_source(source)
        if request.entrypoint is not None:
            application.check_entrypoint(request.entrypoint, source)
        return source

    # ---- requirements ----

    def _resolve(self, runtime: Runtime, source: Path) -> tuple[str, ...]:
        """The lock: recorded, or resolved now."""
        pod, request = self.pod, self.request
        lines = requirements.gather(request.requirements, source)
        if not lines:
            return ()
        own, records = requirements.own_wheels(source), Records(pod.registry.store)
        index = " ".join(value for name, value in sorted(pod.environment.items()) if name.startswith("UV_") and "INDEX" in name)
        key = lock_key(lines, runtime, sorted(requirements.digests(own)), index, sdists=request.allow_sdists)
        known = None if request.refresh else pod.patiently(lambda: records.lock(key))
        if known is not None:
            pod.tell(f"{len(lines)} requirements: as resolved before, {len(known.requirements)} packages beside the base's")
            return tuple(known.requirements)
        pod.tell(f"resolving {len(lines)} requirements for Python {runtime.python_version} on {runtime.platform}")
        lock = requirements.resolve(
            lines, runtime, work=_folder(pod.work, "resolve"), environ=self._uv_environ(), own=own, sdists=request.allow_sdists
        )
        pod.patiently(lambda: records.keep_lock(key, LockRecord(requirements=lock)))
        names = ", ".join(line.partition(" ")[0] for line in lock[:20])
        pod.tell(f"{len(lock)} packages beside the base's" + (f": {names}" if names else ""))
        return lock

    def _requirements_part(self, lock: Sequence[str], runtime: Runtime, source: Path) -> Part:
        """The layer of a lock: where it was pushed before, or made now."""
        pod, records = self.pod, Records(self.pod.registry.store)
        python = _python(runtime)
        key = layer_key(lock, runtime, platform.python_version() if python else "")
        known = pod.patiently(lambda: records.layer(key))
        if known is not None and self._can_be_had(known):
            pod.tell(f"layer of requirements: as made before ({size_text(known.size)})")
            return Part(known.descriptor, known.diff_id, "requirements", None, (parse_repository(known.repository),))
        pod.tell(f"installing {len(lock)} packages")
        work = _folder(pod.work, "install")
        target = work / "packages"
        own = requirements.own_wheels(source)
        alone = ["--no-index"] if requirements.covers(own, lock) else []
        try:
            uv.install(
                "".join(f"{line}\n" for line in lock),
                target,
                work=work,
                environ=self._uv_environ(),
                python_version=runtime.python_version,
                platform=runtime.wheel_platform,
                sdists=self.request.allow_sdists,
                options=[*alone, *requirements.find_links(own)],
            )
        except uv.UvFailed as error:
            raise requirements.explained(error.words, runtime) from error
        wheels.tidy(target)
        found = wheels.layer_entries(target, contract.REQUIREMENTS_DIR, work, python=python, trim=False)
        made = layer.pack(found, work / "layer.tar.gz")
        record = LayerRecord(digest=made.digest, size=made.descriptor.size, diff_id=made.diff_id, repository=self.to.name)
        content = StoredFile.of(made)
        pod.check()
        self._push_early(content)
        pod.patiently(lambda: records.keep_layer(key, record))
        return Part(made.descriptor, made.diff_id, "requirements", content)

    def _can_be_had(self, known: LayerRecord) -> bool:
        """Whether the layer is in the target repository, or now is, mounted from where it was pushed."""
        if self.client.has_blob(self.to, known.digest, action="pull,push"):
            return True
        return self.client.mount(self.to, known.digest, (parse_repository(known.repository),))

    def _push_early(self, content: StoredFile) -> None:
        """Sends the largest layer before anything else can fail: the next attempt finds it."""
        tally = Tally()
        try:
            self.client.push_blob(self.to, content, tally=tally, progress=self._progress("requirements", content.size))
        finally:
            self.draft.bytes_sent += tally.bytes_sent

    def _uv_environ(self) -> Mapping[str, str]:
        """For uv and, where they are allowed, the build scripts of packages: without the store's credentials."""
        cache = self.pod.work / "uv-cache"
        kept = {name: value for name, value in self.pod.environment.items() if not name.startswith(("AWS_", "SLIPWAY_"))}
        return {**kept, "UV_CACHE_DIR": str(cache), "UV_NO_CONFIG": "1"}

    # ---- the image ----

    def _application_part(self, runtime: Runtime, source: Path) -> Part:
        work = _folder(self.pod.work, "application")
        found = application.layer_entries(source, work, python=_python(runtime))
        made = layer.pack(found, work / "layer.tar.gz")
        self.pod.tell(f"layer of the application: {size_text(made.descriptor.size)}")
        return Part(made.descriptor, made.diff_id, "application", StoredFile.of(made))

    def _compose(self, base: BaseImage, runtime: Runtime, lock: Sequence[str], parts: Sequence[Part]) -> Image:
        request = self.request
        before = base.config.config.variables.get("PYTHONPATH", "")
        paths = dict.fromkeys([contract.APP_DIR, contract.REQUIREMENTS_DIR, *filter(None, before.split(":"))])
        variables = {"PYTHONPATH": ":".join(paths)}
        if request.entrypoint is not None:
            variables[contract.ENTRYPOINT_ENV] = request.entrypoint
        added = {str(package) for line in lock if (package := wheels.locked(line))}
        changes = assemble.Changes(
            environment=variables,
            labels={contract.PACKAGES_LABEL: " ".join(sorted({*runtime.packages, *added}))},
            working_dir=contract.APP_DIR,
        )
        image = assemble.compose(
            parts,
            changes,
            platform=runtime.platform,
            base=base,
            annotations=attest.image_annotations(request, base, self.draft.source),
        )
        self.draft.layers = tuple(
            AppLayer.model_validate({"digest": part.descriptor.digest, "size": part.descriptor.size, "holds": part.holds})
            for part in parts
        )
        return image

    def _push(self, image: Image) -> None:
        self.pod.check()
        total = sum(part.descriptor.size for part in image.parts if isinstance(part.content, StoredFile))
        tally = Tally()
        try:
            pinned = assemble.push(self.client, image, self.to, tally=tally, progress=self._progress("layers", total))
        finally:
            self.draft.bytes_sent += tally.bytes_sent
        self.draft.image, self.draft.digest = str(pinned), image.digest
        self.pod.tell(f"{tally.existing} blobs were there, {tally.mounted} mounted, {tally.sent} sent")

    def _attest(self, base: BaseImage, runtime: Runtime, image: Image) -> None:
        draft, pod = self.draft, self.pod
        pod.check()
        tally = Tally()
        facts = attest.Facts(self.request, base, runtime, image, draft.requirements, draft.source, draft.started_at, pod.clock())
        made = attest.attach_all(self.client, self.to, facts, tally)
        draft.attestations = made
        draft.sbom = next((item.digest for item in made if item.type == CYCLONEDX), None)
        draft.attestation_bytes_sent = tally.bytes_sent

    def _progress(self, what: str, total: int) -> Progress:
        told = every(PROGRESS_STEP, lambda done: self.pod.tell(f"{what}: {size_text(done)} of {size_text(total)} sent"))

        def advance(count: int) -> None:
            if self.pod.left.is_set():
                self.pod.check()
            told(count)

        return advance


def _python(runtime: Runtime) -> Path | None:
    """The interpreter that compiles for the base: this one, when bytecode of it runs there."""
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    return running() if runtime.minor == minor else None


def _folder(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir(parents=True)
    return folder
