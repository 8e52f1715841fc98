"""AppBuild with real pods, the real image registry and the real serving image as base."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx

from local.demo.predictions import first_answer, service_url
from slipway.images import assemble, entries, layer
from slipway.images.assemble import Part
from slipway.images.blobs import StoredFile
from slipway.images.interpreter import machine
from slipway.images.reference import parse
from slipway.images.registry_client import RegistryClient
from slipway.images.transport import Options
from tests.e2e.support import TINY, Chain, code, model_build, poll, ready_message, resource
from tests.fakes.images import wheel

SERVICE = """
    import tiny

    class Service:
        def postprocess(self, outputs):
            return {"version": [tiny.VERSION] * len(next(iter(outputs.values())))}
"""


def app_build(chain: Chain, name: str, source: str, **spec: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "source": {"configMap": {"name": source}},
        "entrypoint": "app:Service",
        "output": {"repository": f"{chain.cluster.info.registry_in_cluster}/{chain.namespace}/{name}"},
        "retry": {"limit": 0},
    }
    return resource("AppBuild", name, **(body | spec))


def with_wheel(source: dict[str, Any], made: Path) -> dict[str, Any]:
    return {**source, "binaryData": {made.name: base64.b64encode(made.read_bytes()).decode()}}


def test_an_application_is_built_changed_found_again_and_served(chain: Chain, tmp_path: Path) -> None:
    tiny = wheel(tmp_path, "tiny", extra=bytes(range(256)) * 1000)
    chain.apply(with_wheel(code("app", app=SERVICE), tiny))
    chain.apply(app_build(chain, "first", "app", requirements=["tiny==1.0"]))
    first = chain.until_ready("appbuild", "first", "Pushed")
    run = first["status"]["build"]
    assert [layer["holds"] for layer in run["layers"] if layer["holds"] != "base"] == ["requirements", "application"]
    assert run["sbom"].startswith("sha256:")
    assert run["reason"] == "FirstBuild"

    chain.apply(with_wheel(code("app", app=SERVICE + "\n    CHANGED = True\n"), tiny))
    chain.until("appbuild", "first", lambda found: found["status"]["image"] != first["status"]["image"])
    second = chain.until_ready("appbuild", "first", "Pushed")
    changed = second["status"]["build"]
    assert changed["reason"] == "SourceChanged"
    assert changed["layers"][:-1] == run["layers"][:-1]
    assert changed["bytesSent"] < 20_000, "one small layer and two documents"

    chain.apply(with_wheel(code("app", app=SERVICE), tiny))
    again = chain.until(
        "appbuild",
        "first",
        lambda found: found["status"]["build"]["outcome"] == "Succeeded" and found["status"]["image"] == first["status"]["image"],
    )
    assert again["status"]["build"]["reason"] == "CacheHit"
    assert again["status"]["build"]["attempt"] == 0, "nothing was built again"
    # A Job may go as soon as its result is there and another build is asked for, so two are the most.
    assert len(chain.names("jobs")) <= 2

    chain.apply(code("tiny", train=TINY))
    chain.apply(model_build("tiny", "tiny"))
    chain.apply(
        resource("ModelDeployment", "tiny", model={"name": "tiny", "alias": "champion"}, app={"name": "first"}, replicas=1)
    )
    chain.until_ready("modeldeployment", "tiny", "Serving")
    answer = predict(chain)
    assert answer["outputs"][0]["data"] == ["1.0"], "the application and its requirement are in the image and at work"


def predict(chain: Chain) -> dict[str, Any]:
    with service_url(chain.cluster, "tiny", chain.namespace) as url:
        first_answer(url, "tiny")
        names = httpx.get(f"{url}/v2/models/tiny").json()["inputs"]
        rows = {"inputs": [{"name": names[0]["name"], "datatype": "FP32", "shape": [1, 3], "data": [0.1, 0.2, 0.3]}]}
        found: dict[str, Any] = httpx.post(f"{url}/v2/models/tiny/infer", json=rows).raise_for_status().json()
        return found


def test_what_goes_wrong_is_told_in_the_condition(chain: Chain) -> None:
    chain.apply(code("app", app="class Service: ...\n"))
    chain.apply(app_build(chain, "typo", "app", entrypoint="app:Servce"))
    chain.apply(app_build(chain, "offline", "app", requirements=["nosuch==1.0"]))
    chain.apply(app_build(chain, "clash", "app", requirements=["numpy"], base={"image": "127.0.0.1:1/nowhere:1"}))
    chain.apply(
        app_build(
            chain,
            "secret",
            "app",
            output={
                "repository": f"{chain.cluster.info.registry_in_cluster}/{chain.namespace}/secret",
                "credentialsSecret": "push-login",
            },
        )
    )
    expected = {
        "typo": ("EntrypointInvalid", "did you mean Service?"),
        "offline": ("IndexUnavailable", "packageIndexUrl"),
        "clash": ("RegistryUnavailable", "127.0.0.1:1"),
        "secret": ("SecretMissing", "push-login"),
    }
    for name, (reason, words) in expected.items():
        build = chain.until_ready("appbuild", name, reason)
        assert words in ready_message(build), name
        assert "image" not in build["status"]


def test_a_build_whose_pod_is_killed_leaves_no_tag_and_is_tried_again(chain: Chain) -> None:
    """The pod is ended with its Job still wanted; the next attempt pushes what the first could not."""
    chain.apply(code("app", app="class Service: ...\n"))
    chain.apply(app_build(chain, "killed", "app", retry={"limit": 3, "backoffSeconds": 1}))
    pod = poll("the pod is there", lambda: chain.names("pods", "slipway.dev/name=killed"))[0]
    chain.cluster.kubectl("delete", pod, "-n", chain.namespace, "--grace-period=1", "--wait=false")
    done = chain.until_ready("appbuild", "killed", "Pushed")
    image = parse(done["status"]["image"])
    host = chain.cluster.info.registry
    with RegistryClient(Options(insecure=frozenset([host]))) as client:
        reference = parse(f"{host}/{image.repository}@{image.digest}")
        manifest = json.loads(client.manifest(reference).data)
        assert all(client.has_blob(reference, layer["digest"]) for layer in manifest["layers"])
        assert {entry.artifact_type for entry in client.referrers(reference)} == {
            "application/vnd.cyclonedx+json",
            "application/vnd.in-toto+json",
        }


def push_serving_image(chain: Chain, tmp_path: Path, mark: str) -> str:
    """The installation's serving image with one small layer more, at a tag that moves; how pods name that tag."""
    cluster = chain.cluster
    serving = cluster.kubectl(
        "get", "deployment", "-n", "slipway-system", "-o",
        "jsonpath={.items[0].spec.template.spec.containers[0].env[?(@.name=='SLIPWAY_SERVING_IMAGE')].value}",
    )  # fmt: skip
    host = cluster.info.registry
    made = layer.pack([entries.text("etc/mark", mark)], tmp_path / f"{mark}.tar.gz")
    with RegistryClient(Options(insecure=frozenset([host]))) as client:
        named = parse(serving)
        base = assemble.read_base(client, parse(f"{host}/{named.repository}@{named.digest}"), f"linux/{machine()}")
        parts = [*assemble.base_parts(client, base), Part(made.descriptor, made.diff_id, "mark", StoredFile.of(made))]
        image = assemble.compose(parts, assemble.Changes(), platform=base.config.platform, base=base)
        assemble.push(client, image, parse(f"{host}/{chain.namespace}/base"), tags=["moving"])
    return f"{cluster.info.registry_in_cluster}/{chain.namespace}/base:moving"


def test_a_base_whose_tag_moves_is_put_below_the_application(chain: Chain, tmp_path: Path) -> None:
    chain.apply(code("app", app="class Service: ...\n"))
    chain.apply(app_build(chain, "rebased", "app", base={"image": push_serving_image(chain, tmp_path, "one")}))
    first = chain.until_ready("appbuild", "rebased", "Pushed")
    chain.delete("configmap", "app")
    push_serving_image(chain, tmp_path, "two")
    second = chain.until("appbuild", "rebased", lambda found: found["status"]["image"] != first["status"]["image"])
    before, after = first["status"]["build"], second["status"]["build"]
    assert after["reason"] == "BaseChanged"
    assert after["base"] != before["base"]
    assert after["layers"][-1] == before["layers"][-1], "the application's layer is the same"
    assert after["bytesSent"] < 20_000
