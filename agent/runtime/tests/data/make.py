"""Makes the small models that the runtime's tests need beside the demo's; see their names.

    python3 -m venv venv
    venv/bin/pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2 numpy==2.4.6
    venv/bin/python agent/runtime/tests/data/make.py
"""

import pathlib

import numpy
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

HERE = pathlib.Path(__file__).resolve().parent
DATATYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BF16": TensorProto.BFLOAT16,
    "BYTES": TensorProto.STRING,
}


def save(name, model):
    model.ir_version = 10
    (HERE / name).write_bytes(model.SerializeToString())


def graph(name, nodes, inputs, outputs):
    opset = helper.make_opsetid("", 18)
    made = helper.make_graph(nodes, name, inputs, outputs)
    return helper.make_model(made, opset_imports=[opset])


def mirror():
    """Gives every input back, one of each datatype: `in_FP32` as `out_FP32`."""
    tensor = helper.make_tensor_value_info
    save(
        "mirror.onnx",
        graph(
            "mirror",
            [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in DATATYPES],
            [tensor(f"in_{name}", kind, ["n"]) for name, kind in DATATYPES.items()],
            [tensor(f"out_{name}", kind, ["n"]) for name, kind in DATATYPES.items()],
        ),
    )


def halves():
    """Fails on some inputs that fit it: with the value it adds, the count must be even."""
    tensor = helper.make_tensor_value_info
    two = helper.make_node("Constant", [], ["two"], value_ints=[2, -1])
    x = tensor("x", TensorProto.FLOAT, ["n"])
    y = tensor("y", TensorProto.FLOAT, [2, "m"])
    pad = helper.make_node("Concat", ["x", "one"], ["padded"], axis=0)
    one = helper.make_node("Constant", [], ["one"], value_floats=[1.0])
    fold = helper.make_node("Reshape", ["padded", "two"], ["y"])
    save("halves.onnx", graph("halves", [two, one, pad, fold], [x], [y]))


def slow():
    """Multiplies matrices for long enough to be seen in flight: some tens of milliseconds."""
    tensor = helper.make_tensor_value_info
    size = 512
    shape = helper.make_node("Constant", [], ["shape"], value_ints=[size, size])
    nodes = [shape, helper.make_node("Expand", ["x", "shape"], ["m0"])]
    for step in range(16):
        nodes.append(helper.make_node("MatMul", [f"m{step}", f"m{step}"], [f"s{step}"]))
        nodes.append(helper.make_node("Tanh", [f"s{step}"], [f"m{step + 1}"]))
    nodes.append(helper.make_node("ReduceMean", ["m16"], ["y"], keepdims=0))
    x = tensor("x", TensorProto.FLOAT, [1, 1])
    y = tensor("y", TensorProto.FLOAT, [])
    save("slow.onnx", graph("slow", nodes, [x], [y]))


def zipmap():
    """As scikit-learn's exporter writes it by itself: probabilities as a sequence of maps."""
    rows = numpy.array([[0.0], [1.0]], dtype=numpy.float32)
    learner = LogisticRegression().fit(rows, [0, 1])
    (HERE / "zipmap.onnx").write_bytes(to_onnx(learner, rows).SerializeToString())


if __name__ == "__main__":
    mirror()
    halves()
    slow()
    zipmap()
