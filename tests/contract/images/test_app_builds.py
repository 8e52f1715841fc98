"""The pod of an AppBuild against the real CNCF distribution registry: what a user gets, and what he is told when it fails."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from slipway.images import contract
from slipway.images.contract import AppBuildResult
from slipway.images.oci import ImageConfig
from slipway.images.reference import Reference, parse
from slipway.images.registry_client import RegistryClient
from slipway.training.process import Stop
from tests.contract.images.servers import Fault, Proxy, Running, Seen, layer_files
from tests.fakes.images import BUILD_ID, CODE, Site, push_base, wheel
from tests.fakes.package_index import package_index


def config_of(client: RegistryClient, image: str) -> ImageConfig:
    reference = parse(image)
    manifest = json.loads(client.manifest(reference).data)
    return ImageConfig.model_validate_json(client.blob(reference, manifest["config"]["digest"]))


def holds(result: AppBuildResult) -> list[str]:
    return [layer.holds for layer in result.layers]


def image_of(result: AppBuildResult) -> str:
    assert result.outcome == "Succeeded", f"{result.reason}: {result.message}"
    assert result.image is not None
    return result.image


def failure(result: AppBuildResult, reason: str) -> str:
    assert (result.outcome, result.reason) == ("Failed", reason), result.message
    assert result.image is None
    assert reason in contract.FAILURES
    return result.message


# ---- what a user gets ----


def test_the_files_lie_on_the_base_and_the_server_finds_them(site: Site, client: RegistryClient) -> None:
    result = site.build()
    image = image_of(result)
    assert holds(result) == ["base", "application"]
    settings = config_of(client, image).config
    assert settings.variables["PYTHONPATH"].split(":")[0] == "/slipway/app"
    assert settings.variables["SLIPWAY_ENTRYPOINT"] == "app:Service"
    assert settings.user == "10001:10001", "what the base says stays"
    files = layer_files(client, parse(image), result.layers[-1].digest)
    assert files["slipway/app/app.py"] == CODE["app.py"].encode()


def test_a_changed_file_sends_one_layer_and_small_documents(site: Site, client: RegistryClient) -> None:
    tiny = wheel(site.root / "wheels", "tiny", extra=bytes(range(256)) * 4000)
    wheels: dict[str, str | bytes] = {tiny.name: tiny.read_bytes(), "requirements.txt": "tiny\n"}
    first = site.build({**CODE, **wheels})
    assert holds(first) == ["base", "requirements", "application"]
    second = site.build({**CODE, **wheels, "app.py": CODE["app.py"] + "# changed\n"})
    assert image_of(second) != image_of(first)
    assert second.layers[:2] == first.layers[:2]
    manifest = len(client.manifest(parse(image_of(second))).data)
    config = len(config_of(client, image_of(second)).to_json())
    assert second.bytes_sent == second.layers[-1].size + config + manifest
    assert second.requirements == first.requirements != ()


def test_the_same_request_gives_the_same_digest_and_sends_nothing(site: Site) -> None:
    first, again = site.build(), site.build()
    assert again.image == first.image
    assert again.bytes_sent == 0
    assert again.sbom == first.sbom


def test_layers_pushed_for_one_application_are_mounted_for_another(site: Site, repository: Reference) -> None:
    tiny = wheel(site.root / "wheels", "tiny", extra=bytes(range(256)) * 4000)
    code = {**CODE, tiny.name: tiny.read_bytes(), "requirements.txt": "tiny\n"}
    size = site.build(code).layers[1].size
    other = site.build(code, repository=f"{repository.name}-other")
    assert holds(other) == ["base", "requirements", "application"]
    assert other.bytes_sent < size


def test_requirements_come_from_an_index_and_from_the_base(site: Site) -> None:
    with package_index(wheel(site.root / "i", "tiny", requires=["numpy"]), wheel(site.root / "i", "numpy", "2.3.4")) as index:
        site.environment["UV_DEFAULT_INDEX"] = index.url
        result = site.build(requirements=["tiny>=1"])
        image_of(result)
        assert [line.partition(" ")[0] for line in result.requirements] == ["tiny==1.0"], "numpy is in the base already"
        asked = len(index.seen)
        site.build({**CODE, "more.py": ""}, requirements=["tiny>=1"])
        assert len(index.seen) == asked, "neither resolved nor downloaded again"


def test_an_image_says_what_is_in_it_and_where_it_came_from(site: Site, client: RegistryClient) -> None:
    tiny = wheel(site.root / "wheels", "tiny")
    result = site.build({**CODE, tiny.name: tiny.read_bytes(), "requirements.txt": "tiny\n"})
    image = parse(image_of(result))
    found: dict[str, Any] = {}
    for referrer in client.referrers(image):
        manifest = json.loads(client.manifest(image.with_digest(referrer.digest)).data)
        assert manifest["subject"]["digest"] == image.digest
        found[manifest["artifactType"]] = json.loads(client.blob(image, manifest["layers"][0]["digest"]))
    bom = found["application/vnd.cyclonedx+json"]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is None
    assert {(c["name"], c.get("version")) for c in bom["components"]} >= {("tiny", "1.0"), ("numpy", "2.3.4")}
    statement = found["application/vnd.in-toto+json"]
    assert statement["subject"] == [{"name": image.name, "digest": {"sha256": str(image.digest).partition(":")[2]}}]
    materials = {entry["name"] for entry in statement["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert materials == {"base", "source", "tiny"}
    assert result.sbom in {attestation.digest for attestation in result.attestations}


def test_tags_name_the_image_in_the_end(site: Site, client: RegistryClient, repository: Reference) -> None:
    result = site.build(tags=["build-1", "latest"])
    assert client.find(repository.with_tag("latest")) == result.digest


def test_an_image_can_be_the_base_of_another(site: Site, client: RegistryClient) -> None:
    tiny = wheel(site.root / "wheels", "tiny")
    first = image_of(site.build({**CODE, tiny.name: tiny.read_bytes(), "requirements.txt": "tiny\n"}))
    second = site.build({"more.py": "class More: ...\n"}, base=first, entrypoint="more:More", requirements=["tiny==1.0"])
    assert second.requirements == (), "the base has it"
    assert holds(second) == ["base", "base", "base", "application"]
    assert config_of(client, image_of(second)).config.variables["SLIPWAY_ENTRYPOINT"] == "more:More"


def test_a_new_base_is_put_below_by_the_manifest_alone(site: Site, client: RegistryClient, registry: Running) -> None:
    tiny = wheel(site.root / "wheels", "tiny", extra=bytes(range(256)) * 4000)
    code = {**CODE, tiny.name: tiny.read_bytes(), "requirements.txt": "tiny\n"}
    first = site.build(code)
    newer = push_base(client, Reference(registry.host, "slipway/serving"), site.root / "newer", files={"etc/new": b"new"})
    previous = {"build_id": BUILD_ID, "attempt": site.attempts}
    unreachable = {"kind": "git", "uri": "https://127.0.0.1:1/x", "digest": "sha256:" + "0" * 64}
    rebased = site.build(base=newer, previous=previous, source=unreachable)
    assert rebased.rebased
    assert rebased.layers[1:] == first.layers[1:]
    assert rebased.layers[0] != first.layers[0]
    assert rebased.requirements == first.requirements
    assert rebased.bytes_sent < 5000
    whole = site.build(code, base=newer)
    assert not whole.rebased
    assert [layer.digest for layer in whole.layers] == [layer.digest for layer in rebased.layers]
    assert config_of(client, image_of(whole)) == config_of(client, image_of(rebased))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"python": "3.12.1"}, "Python 3.11.2"),
        ({"packages": ["numpy==2.4.0"]}, "other packages"),
    ],
)
def test_layers_that_do_not_fit_a_new_base_are_built_again(
    change: dict[str, Any], words: str, site: Site, client: RegistryClient, registry: Running
) -> None:
    tiny = wheel(site.root / "wheels", "tiny", requires=["numpy"])
    code = {**CODE, tiny.name: tiny.read_bytes(), "requirements.txt": "tiny\n"}
    site.build(code)
    newer = push_base(client, Reference(registry.host, "slipway/serving"), site.root / "newer", **change)
    result = site.build(code, base=newer, previous={"build_id": BUILD_ID, "attempt": site.attempts})
    image_of(result)
    assert not result.rebased
    assert words in site.registry.blobs.read(result.logs[0].digest).decode()


# ---- what he is told when it fails ----


@pytest.mark.parametrize(
    ("entrypoint", "words"),
    [
        ("app:Servce", "did you mean Service?"),
        ("ap:Service", "did you mean app?"),
        ("app.py", "module:Class"),
        ("broken:Service", "line 1"),
    ],
)
def test_a_wrong_entrypoint_is_found_without_running_it(site: Site, entrypoint: str, words: str) -> None:
    code = {**CODE, "broken.py": "class Service(:\n", "other.py": "raise SystemExit\n"}
    assert words in failure(site.build(code, entrypoint=entrypoint), "EntrypointInvalid")


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        ("tiny==9", "RequirementsUnsatisfiable", "tiny==9"),
        ("nosuch", "RequirementsUnsatisfiable", "nosuch"),
        ("numpy<2", "RequirementsUnsatisfiable", "numpy"),
        ("tiny ====== 1", "RequirementsInvalid", "tiny"),
        ("--index-url https://example.com", "RequirementsInvalid", "packageIndexUrl"),
        ("./tiny-1.0-py3-none-any.whl", "RequirementsInvalid", "is a path"),
        ("tiny @ git+https://example.com/tiny", "RequirementsInvalid", "version control"),
        ("winonly", "WheelMissing", "winonly"),
    ],
)
def test_requirements_that_cannot_be_had(site: Site, line: str, reason: str, words: str) -> None:
    folder = site.root / "i"
    wheels = [wheel(folder, "tiny"), wheel(folder, "numpy", "2.3.4"), wheel(folder, "winonly", tag="cp311-cp311-win_amd64")]
    with package_index(*wheels) as index:
        site.environment["UV_DEFAULT_INDEX"] = index.url
        message = failure(site.build(requirements=[line]), reason)
    assert words in message
    assert len(message) < 2000


def test_an_index_that_does_not_answer_is_named_with_a_way_out(site: Site) -> None:
    with package_index() as index:
        pass
    site.environment |= {"UV_DEFAULT_INDEX": index.url, "UV_HTTP_RETRIES": "0"}
    message = failure(site.build(requirements=["tiny"]), "IndexUnavailable")
    assert index.url in message
    assert "packageIndexUrl" in message


def test_a_requirements_file_cannot_climb_out_of_the_source(site: Site) -> None:
    message = failure(site.build({**CODE, "requirements.txt": "-r ../../etc/passwd\n"}), "RequirementsInvalid")
    assert "leads out of the source" in message


def test_source_that_would_hide_slipway_is_refused(site: Site) -> None:
    assert "rename it" in failure(site.build({"slipway.py": ""}, entrypoint=None), "SourceInvalid")


def test_a_base_that_is_none(site: Site, client: RegistryClient, registry: Running) -> None:
    plain = push_base(client, Reference(registry.host, "other/plain"), site.root / "plain", labels={})
    assert "dev.slipway.packages" in failure(site.build(base=plain), "BaseIncompatible")
    other = ({"linux/amd64", "linux/arm64"} - {config_of(client, site.base).platform}).pop()
    assert other in failure(site.build(platform=other), "BaseIncompatible")
    gone = f"{registry.host}/slipway/serving@sha256:{'0' * 64}"
    failure(site.build(base=gone), "BaseMissing")


def test_a_secret_that_is_not_there(site: Site, tmp_path: Path) -> None:
    site.environment["DOCKER_CONFIG"] = str(tmp_path / "docker")
    assert "push-secret" in failure(site.build(credentials_secret="push-secret"), "SecretMissing")


def test_nothing_was_asked(site: Site) -> None:
    site.attempts = 1
    assert "SLIPWAY_ATTEMPT" in failure(site.run(site.pod()), "RequestInvalid")


def test_a_pod_that_is_started_again_goes_by_the_first_result(site: Site) -> None:
    first = site.build()
    again = site.run(site.pod(name="again"))
    assert again == first


# ---- the registry fails ----


def through(site: Site, proxy: Proxy) -> Site:
    """The same site, with the target repository behind the proxy."""
    site.repository = site.repository.replace(proxy.upstream, proxy.host)
    return site


def pushes(seen: Seen) -> bool:
    return seen.method in ("PATCH", "PUT", "POST")


def test_a_registry_that_is_down(site: Site) -> None:
    site.repository = "127.0.0.1:1/team/app"
    assert "127.0.0.1:1" in failure(site.build(), "RegistryUnavailable")


def test_a_registry_that_is_full(site: Site, proxy: Proxy) -> None:
    body = b'{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"Err":28}}]}'
    proxy.script = lambda seen: Fault(status=500, body=body) if seen.method in ("PUT", "PATCH") else None
    assert "make room" in failure(through(site, proxy).build(), "RegistryFull")


def test_a_registry_that_refuses(site: Site, proxy: Proxy) -> None:
    proxy.script = lambda seen: Fault(status=403) if pushes(seen) else None
    assert "push" in failure(through(site, proxy).build(), "RegistryDenied")


def test_a_connection_that_drops_leaves_nothing_tagged_and_the_next_attempt_goes_on(
    site: Site, proxy: Proxy, client: RegistryClient, repository: Reference
) -> None:
    tiny = wheel(site.root / "wheels", "tiny", extra=bytes(range(256)) * 4000)
    code = {**CODE, tiny.name: tiny.read_bytes(), "requirements.txt": "tiny\n"}
    proxy.script = lambda seen: Fault(cut_after=10) if seen.method == "PUT" and "/manifests/" in seen.path else None
    failure(through(site, proxy).build(code, tags=["latest"]), "RegistryUnavailable")
    assert client.find(repository.with_tag("latest")) is None
    proxy.script = lambda seen: None
    again = site.build(code, tags=["latest"])
    image_of(again)
    assert again.bytes_sent < 10_000, "layers that had arrived are not sent again"
    assert client.find(repository.with_tag("latest")) == again.digest


# ---- the pod is ended ----


def test_a_deadline_ends_the_build_and_nothing_becomes_visible(
    site: Site, proxy: Proxy, client: RegistryClient, repository: Reference
) -> None:
    entered, release = threading.Event(), threading.Event()

    def hold(seen: Seen) -> Fault | None:
        if "/manifests/" in seen.path and seen.method == "HEAD":
            proxy.lock.release()
            entered.set()
            release.wait(20)
            proxy.lock.acquire()
        return None

    proxy.script = hold
    result = through(site, proxy).build(tags=["latest"], deadline_seconds=0.5)
    assert "deadlineSeconds" in failure(result, "DeadlineExceeded")
    assert entered.is_set()
    release.set()
    assert client.find(repository.with_tag("latest")) is None


def test_a_pod_that_is_told_to_end_says_so(site: Site) -> None:
    stop = Stop()
    stop.set()
    site.ask()
    assert "evicted" in failure(site.run(site.pod(stop=stop)), "PodFailed")


# ---- secrets ----


def test_the_log_is_kept_and_tells_no_secret(site: Site) -> None:
    site.environment |= {
        "AWS_SECRET_ACCESS_KEY": "very-secret-key",
        "UV_DEFAULT_INDEX": "http://ann:pass-word@127.0.0.1:1/simple",
    }
    site.environment["UV_HTTP_RETRIES"] = "0"
    result = site.build(requirements=["tiny"])
    log = site.registry.blobs.read(result.logs[0].digest).decode()
    assert "resolving" in log
    for text in (log, result.message):
        assert "pass-word" not in text
        assert "very-secret-key" not in text
