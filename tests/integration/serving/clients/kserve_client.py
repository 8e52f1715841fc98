"""KServe's own clients against a server with the model echo. ``kserve_client.py URL GRPC_PORT``; prints what each gave."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig


async def main(url, grpc_port):
    rows = np.array([[1.5, -2.0, 3.25], [0.1, 0.2, 0.3]], dtype=np.float32)
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_ready(url) and await client.is_server_live(url)
    assert await client.is_model_ready(url, "echo")
    got = {}
    for binary in (True, False):
        given = InferInput("X", list(rows.shape), "FP32")
        given.set_data_from_numpy(rows, binary_data=binary)
        answer = await client.infer(url, InferRequest("echo", [given], request_id="k"), model_name="echo")
        got[f"rest binary={binary}"] = answer.outputs[0].as_numpy().tolist()
    v1 = InferenceRESTClient(RESTConfig(protocol="v1"))
    answer = await v1.infer(url, {"instances": rows.tolist()}, model_name="echo")
    got["v1"] = [row["Y"] for row in answer["predictions"]]
    grpc = InferenceGRPCClient(f"127.0.0.1:{grpc_port}")
    assert await grpc.is_server_ready() and await grpc.is_model_ready("echo")
    for binary in (True, False):
        given = InferInput("X", list(rows.shape), "FP32")
        given.set_data_from_numpy(rows, binary_data=binary)
        answer = await grpc.infer(InferRequest("echo", [given], request_id="k"))
        got[f"grpc binary={binary}"] = answer.outputs[0].as_numpy().tolist()
    await grpc.close()
    print(json.dumps(got))


asyncio.run(main(sys.argv[1], sys.argv[2]))
