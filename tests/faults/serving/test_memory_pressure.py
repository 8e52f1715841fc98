"""A server whose memory runs out while it answers: what does not fit is refused, the rest is answered right."""

from __future__ import annotations

import json
import resource
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.fakes.serving import DEADLINE, Served, echo_model, infer_body, serving

ROWS = 250_000


def limit(served: Served, more: int) -> None:
    """`more` bytes of address space beyond what the server has now."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    now = int(status.split("VmSize:")[1].split()[0]) << 10
    resource.prlimit(served.process.pid, resource.RLIMIT_AS, (now + more, resource.RLIM_INFINITY))


def json_body() -> tuple[bytes, dict[str, str]]:
    return json.dumps(infer_body([[7.0, 8.0, 9.0]] * ROWS)).encode(), {"content-type": "application/json"}


def binary_body() -> tuple[bytes, dict[str, str]]:
    parameters = {"parameters": {"binary_data_size": ROWS * 12}}
    head = json.dumps({"inputs": [{"name": "X", "shape": [ROWS, 3], "datatype": "FP32", **parameters}]}).encode()
    kind = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))}
    return head + bytes(ROWS * 12), kind


@pytest.mark.parametrize(("made", "more"), [(json_body, 48 << 20), (binary_body, 7 << 20)], ids=["json", "binary"])
def test_what_does_not_fit_is_refused_and_the_others_do_not_notice(
    tmp_path: Path, made: Callable[[], tuple[bytes, dict[str, str]]], more: int
) -> None:
    model = echo_model(tmp_path / "echo.onnx")
    body, headers = made()
    answers: Counter[int] = Counter()
    wrong: list[object] = []
    with serving(tmp_path, f"--model={model}", f"--max-rows={ROWS}", "--timeout=60", OPENBLAS_NUM_THREADS="1") as own:
        url = f"{own.url}/v2/models/echo/infer"

        def large() -> None:
            for _ in range(2):
                answer = httpx.post(url, content=body, headers=headers, timeout=DEADLINE)
                answers[answer.status_code] += 1
                if answer.status_code == 503 and not (answer.headers["retry-after"] and "memory" in answer.json()["error"]):
                    wrong.append(answer.text)

        def small(number: int) -> None:
            for at in range(20):
                value = float(number * 1000 + at)
                got = httpx.post(url, json=infer_body([[value, 1, 1]]), timeout=DEADLINE)
                if got.status_code != 200 or got.json()["outputs"][1]["data"] != [value + 2]:
                    wrong.append((value, got.status_code, got.text[:200]))

        own.post("/v2/models/echo/infer", infer_body([[1, 1, 1]]))
        limit(own, more)
        threads = [threading.Thread(target=large) for _ in range(2)]
        threads += [threading.Thread(target=small, args=(number,)) for number in range(1, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert set(answers) <= {200, 503}
        assert answers[503] > 0, answers
        limit(own, 1 << 40)
        whole = httpx.post(url, content=body, headers=headers, timeout=DEADLINE)
        assert whole.status_code == 200, "what did not fit does when there is room again"
        assert own.stop() == 0
