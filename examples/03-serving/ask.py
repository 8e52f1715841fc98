"""The same with NVIDIA's tritonclient, binary tensors over HTTP and gRPC: ``ask.py HTTP_ADDRESS GRPC_ADDRESS``."""

import sys

import numpy as np
import tritonclient.grpc
import tritonclient.http

WINE = [[14.23, 1.71, 2.43, 15.6, 127, 2.8, 3.06, 0.28, 2.29, 5.64, 1.04, 3.92, 1065]]

for module, address in ((tritonclient.http, sys.argv[1]), (tritonclient.grpc, sys.argv[2])):
    wine = module.InferInput("X", [1, 13], "FP32")
    wine.set_data_from_numpy(np.array(WINE, dtype=np.float32))
    with module.InferenceServerClient(address) as client:
        answer = client.infer("wine", [wine])
        print(module.__name__, answer.as_numpy("label"), answer.as_numpy("probabilities").round(4))
