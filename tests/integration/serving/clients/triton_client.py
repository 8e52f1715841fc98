"""NVIDIA's tritonclient against a server with the models echo and text: run by its own Python, for it wants an older protobuf
than ours. ``triton_client.py HTTP_ADDRESS GRPC_ADDRESS``; ends with 0 when all holds."""

import sys

import numpy as np
import tritonclient.grpc as by_grpc
import tritonclient.http as by_http

ROWS = np.array([[1.5, -2.0, 3.25], [0.1, 0.2, 0.3]], dtype=np.float32)


def texts(module, binary=None):
    text, number = module.InferInput("T", [2], "BYTES"), module.InferInput("N", [2], "INT64")
    more = {} if binary is None else {"binary_data": binary}
    text.set_data_from_numpy(np.array(["eins", "zwölf"], dtype=object), **more)
    number.set_data_from_numpy(np.array([1, 12], dtype=np.int64), **more)
    return [text, number]


def floats(module, rows):
    given = module.InferInput("X", list(rows.shape), "FP32")
    given.set_data_from_numpy(rows)
    return [given]


def check_texts(result):
    assert result.as_numpy("M").tolist() == [2, 13]
    assert [v.decode() if isinstance(v, bytes) else v for v in result.as_numpy("U")] == ["eins", "zwölf"]


def refused(work, *parts):
    try:
        work()
    except (by_http.InferenceServerException, by_grpc.InferenceServerException) as error:
        missing = [part for part in parts if part not in str(error)]
        assert not missing, f"{missing} not in {error}"
    else:
        raise AssertionError(f"not refused: {parts}")


def http(address):
    with by_http.InferenceServerClient(address) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("text") and client.is_model_ready("text", "local")
        assert not client.is_model_ready("nobody")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        assert client.get_model_metadata("text")["inputs"][0] == {"name": "T", "datatype": "BYTES", "shape": [-1]}
        assert {model["name"] for model in client.get_model_repository_index()} == {"echo", "text"}
        for binary_in in (True, False):
            for binary_out in (True, False):
                wanted = [by_http.InferRequestedOutput(name, binary_data=binary_out) for name in ("M", "U")]
                result = client.infer("text", texts(by_http, binary_in), outputs=wanted, request_id="7")
                check_texts(result)
                assert result.get_response()["id"] == "7"
        for algorithm in (None, "gzip", "deflate"):
            result = client.infer("echo", floats(by_http, ROWS), request_compression_algorithm=algorithm)
            np.testing.assert_array_equal(result.as_numpy("Y"), ROWS)
        refused(lambda: client.infer("echo", floats(by_http, ROWS[:, :2])), "inputs[0].shape")


def grpc(address):
    with by_grpc.InferenceServerClient(address) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("text") and not client.is_model_ready("nobody")
        assert client.get_server_metadata().name == "slipway"
        assert list(client.get_model_metadata("echo").inputs[0].shape) == [-1, 3]
        assert {model.name for model in client.get_model_repository_index().models} == {"echo", "text"}
        result = client.infer("text", texts(by_grpc), request_id="8")
        check_texts(result)
        assert result.get_response().id == "8"
        np.testing.assert_array_equal(client.infer("echo", floats(by_grpc, ROWS)).as_numpy("Y"), ROWS)
        refused(lambda: client.infer("echo", floats(by_grpc, ROWS[:, :2])), "INVALID_ARGUMENT", "inputs[0].shape")
        refused(lambda: client.infer("nobody", floats(by_grpc, ROWS)), "NOT_FOUND")


if __name__ == "__main__":
    http(sys.argv[1])
    grpc(sys.argv[2])
