"""What clients of the Open Inference Protocol see: by hand, and with the clients that people use."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest

from bench.serving.envs import peer_python
from tests.fakes.serving import Served, infer_body

ROWS = np.array([[1.5, -2.0, 3.25], [0.1, 0.2, 0.3]], dtype=np.float32)


def test_json_in_json_out(both: Served) -> None:
    answer = both.post("/v2/models/echo/infer", infer_body(ROWS) | {"id": "mine"}).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("echo", "local", "mine")
    y, s = answer["outputs"]
    assert (y["name"], y["datatype"], y["shape"]) == ("Y", "FP32", [2, 3])
    np.testing.assert_array_equal(np.array(y["data"], dtype=np.float32).reshape(2, 3), ROWS)
    np.testing.assert_allclose(s["data"], ROWS.sum(axis=1), rtol=1e-6)


def test_one_row_is_answered_as_many_are(both: Served) -> None:
    """The quick way for single rows gives the same document as the general one."""
    one = both.post("/v2/models/echo/infer", infer_body(ROWS[:1])).json()
    many = both.post("/v2/models/echo/infer", infer_body(ROWS)).json()
    assert one["outputs"][0] | {"data": 0} == many["outputs"][0] | {"data": 0, "shape": [1, 3]}
    assert one["outputs"][0]["data"] == many["outputs"][0]["data"][:3]
    assert one["outputs"][1]["data"] == many["outputs"][1]["data"][:1]


def test_outputs_can_be_chosen(both: Served) -> None:
    answer = both.post("/v2/models/echo/infer", infer_body(ROWS) | {"outputs": [{"name": "S"}]}).json()
    assert [output["name"] for output in answer["outputs"]] == ["S"]


def test_a_version_has_routes_of_its_own(both: Served) -> None:
    assert both.post("/v2/models/echo/versions/local/infer", infer_body(ROWS)).status_code == 200
    missing = both.post("/v2/models/echo/versions/9/infer", infer_body(ROWS))
    assert missing.status_code == 404
    assert "/v2/models/echo/versions" in missing.json()["error"]


def test_v1_and_records(both: Served) -> None:
    assert both.get("/v1/models").json() == {"models": ["echo", "text"]}
    v1 = both.post("/v1/models/echo:predict", {"instances": ROWS.tolist()}).json()
    assert [row["S"] for row in v1["predictions"]] == pytest.approx(ROWS.sum(axis=1).tolist())
    records = both.post("/predict/text", {"records": [{"T": "a", "N": 1}, {"T": "ä€", "N": 41}]}).json()
    assert records["predictions"] == [{"U": "a", "M": 2}, {"U": "ä€", "M": 42}]


def test_the_page_and_the_description_name_every_model(both: Served) -> None:
    page = both.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "/v2/models/echo/infer" in page.text
    assert "/predict/text" in page.text
    assert "src=" not in page.text, "the page asks for nothing else"
    paths = both.get("/openapi.json").json()["paths"]
    assert {"/v2/models/echo/infer", "/v2/models/text/infer", "/predict/echo", "/v2/repository/index"} <= paths.keys()


def test_a_compressed_body_is_taken(both: Served) -> None:
    body = gzip.compress(json.dumps(infer_body(ROWS)).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    answer = httpx.post(f"{both.url}/v2/models/echo/infer", content=body, headers=headers)
    assert answer.json()["outputs"][1]["data"] == pytest.approx(ROWS.sum(axis=1).tolist())
    headers["content-encoding"] = "br"
    assert httpx.post(f"{both.url}/v2/models/echo/infer", content=body, headers=headers).status_code == 415


def run_client(name: str, program: str, *words: str) -> str:
    """Runs a client program in the environment that holds it; gives what it printed."""
    path = Path(__file__).parent / "clients" / program
    done = subprocess.run([peer_python(name), path, *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_tritonclient(both: Served, grpc_port: int) -> None:
    run_client("clients", "triton_client.py", both.address, f"127.0.0.1:{grpc_port}")


def test_kserves_clients(both: Served, grpc_port: int) -> None:
    got = json.loads(run_client("kserve", "kserve_client.py", both.url, str(grpc_port)).splitlines()[-1])
    assert len(got) == 5
    for how, rows in got.items():
        np.testing.assert_array_equal(np.array(rows, dtype=np.float32), ROWS, err_msg=how)
