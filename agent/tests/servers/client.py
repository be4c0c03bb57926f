"""Asks an endpoint over HTTP and over gRPC with NVIDIA's client, which knows nothing of
endpoints. Prints what answered, by protocol and version, and how many answers were not what
that version says."""

import json
import sys

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http

address, endpoint, requests, rows, tensor, datatype, output = sys.argv[1:]
known = json.load(open(rows))
dtype = {"FP32": np.float32, "FP64": np.float64}[datatype]
data = [np.array([row], dtype=dtype) for row in known["rows"]]
counts = {}
wrong = 0


def ask(protocol, client, module, at):
    global wrong
    row = data[at % len(data)]
    asked = module.InferInput(tensor, list(row.shape), datatype)
    plain = {"binary_data": False} if protocol == "http" else {}
    if protocol == "http":
        asked.set_data_from_numpy(row, binary_data=False)
    else:
        asked.set_data_from_numpy(row)
    wanted = [module.InferRequestedOutput(output, **plain)]
    result = client.infer(endpoint, [asked], outputs=wanted)
    answer = result.get_response()
    version = answer["model_version"] if protocol == "http" else answer.model_version
    said = int(np.asarray(result.as_numpy(output)).reshape(-1)[0])
    wrong += said != known["said"][version][at % len(data)]
    key = f"{protocol} {version}"
    counts[key] = counts.get(key, 0) + 1


http = over_http.InferenceServerClient(address)
grpc = over_grpc.InferenceServerClient(address)
assert http.is_model_ready(endpoint) and grpc.is_model_ready(endpoint)
for at in range(int(requests)):
    ask("http", http, over_http, at)
    ask("grpc", grpc, over_grpc, at)
print(json.dumps({"counts": counts, "wrong": wrong}))
