"""Makes digits.txt and model.onnx: small images, and a model that takes them.

    python3 -m venv venv
    venv/bin/pip install scikit-learn==1.9.1 onnx==1.23.2 numpy==2.4.6
    venv/bin/python tests/data/digits/make.py

digits.txt has an image a line, in an order that was drawn: 8 rows of 8 pixels, each of 17 levels
from 0 to g. The images are scikit-learn's copy of "Optical Recognition of Handwritten Digits"
(E. Alpaydin and C. Kaynak 1998, UCI Machine Learning Repository, doi 10.24432/C50P49, CC BY 4.0).
The model learnt nothing: its embedding is eight sums over the pixels, with weights that the test
knows, in quarters, so that every sum is exact.
"""

import pathlib

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

HERE = pathlib.Path(__file__).resolve().parent
LEVELS = "0123456789abcdefg"
WIDTH = 8

images = load_digits().images.astype(int)
numpy.random.default_rng(20_261).shuffle(images)
lines = ("".join(LEVELS[pixel] for pixel in image.flat) for image in images)
(HERE / "digits.txt").write_text("\n".join(lines) + "\n")

pixels = WIDTH * WIDTH
weights = [[(at * 7 + to * 3) % 5 - 2 for to in range(WIDTH)] for at in range(pixels)]
weights = numpy.array(weights, dtype=numpy.float32) / 4
graph = helper.make_graph(
    [
        helper.make_node("Flatten", ["image"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["embedding"]),
    ],
    "digits",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", WIDTH, WIDTH])],
    [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", WIDTH])],
    [numpy_helper.from_array(weights, "weights")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
onnx.checker.check_model(model)
onnx.save(model, HERE / "model.onnx")
