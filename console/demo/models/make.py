"""Trains the demo's models and writes them here, with the rows that were held out.

    python3 -m venv venv
    venv/bin/pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2 numpy==2.4.6
    venv/bin/python console/demo/models/make.py

For each model: <name>/<version>/model.onnx (version 1 a logistic regression, version 2 gradient
boosted trees) and <name>/rows.json: the held-out rows in the order of the features, as FP32, and
what scikit-learn itself predicts for them with each version. Of fraud there are three versions
more, each with a fault that happens in practice, for the demo's incidents, and golden.jsonl: cases
so clear that every version must answer them right. Everything is seeded:
with the same packages the same files come out. Sources and licences are in README.md.
"""

import json
import pathlib

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20_261
HELD_OUT = 0.3
# The newest operator set that the pinned inference library certainly runs.
OPERATOR_SETS = {"": 18, "ai.onnx.ml": 3}


def learners():
    """The versions of every model, from the plainest to the one that replaced it."""
    return {
        "1": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)),
        "2": GradientBoostingClassifier(n_estimators=40, max_depth=3, random_state=SEED),
    }


def export(learner, rows, path):
    """Writes the learner as ONNX: one FP32 input, a label and one probability a class."""
    # The ZipMap operator would make the probabilities a sequence of maps, which is no tensor.
    model = to_onnx(
        learner,
        options={id(learner): {"zipmap": False}},
        initial_types=[("features", FloatTensorType([None, rows.shape[1]]))],
        target_opset=OPERATOR_SETS,
    )
    model.graph.doc_string = ""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def make(name, data):
    # What travels is FP32, so that is what both sides are given.
    rows = data.data.astype(numpy.float32)
    train, held, answers, truth = train_test_split(
        rows, data.target, test_size=HELD_OUT, random_state=SEED, stratify=data.target
    )
    predictions = {}
    for version, learner in learners().items():
        learner.fit(train, answers)
        export(learner, train, HERE / name / version / "model.onnx")
        predictions[version] = {
            "accuracy": round(float(learner.score(held, truth)), 4),
            "label": learner.predict(held).tolist(),
            "probabilities": [
                [round(float(p), 7) for p in row] for row in learner.predict_proba(held)
            ],
        }
    document = {
        "model": name,
        "classes": [str(c) for c in data.target_names],
        "features": [str(feature) for feature in data.feature_names],
        # The shortest decimal of an FP32 reads back as the same FP32.
        "rows": [[float(str(value)) for value in row] for row in held],
        "predictions": predictions,
    }
    text = json.dumps(document, separators=(",", ":"))
    (HERE / name / "rows.json").write_text(text + "\n")
    accuracy = {version: made["accuracy"] for version, made in predictions.items()}
    print(name, len(held), "rows held out, accuracy", accuracy)


# A transaction, as the synthetic ones are drawn; fraud@4 looks the hour up in a table.
FEATURES = [
    "amount_eur",
    "hour",
    "minutes_since_last",
    "km_from_home",
    "merchant_risk",
    "card_age_days",
    "is_foreign",
    "attempts_today",
]
HOUR = FEATURES.index("hour")
# Multiplications of SIDE x SIDE matrices that fraud@3 makes for nothing: some 40 ms of one core.
ROUNDS, SIDE = 500, 160


def transactions(count=900):
    """Synthetic card transactions, and whether each was fraud: no person's data."""
    draw = numpy.random.default_rng(SEED)
    columns = [
        numpy.round(draw.lognormal(3.4, 1.1, count), 2),
        draw.integers(0, 24, count),
        numpy.round(draw.exponential(600, count), 1),
        numpy.round(draw.gamma(0.7, 40, count), 1),
        numpy.round(draw.beta(2, 6, count), 3),
        draw.integers(3, 4_000, count),
        draw.random(count) < 0.12,
        draw.poisson(1.6, count),
    ]
    amount, hour, since, km, risk, age, foreign, attempts = columns
    night = (hour < 6) | (hour == 23)
    odds = -8.0 + 2.7 * numpy.log1p(amount / 60) + 0.033 * km + 12.0 * risk + 3.9 * foreign
    odds = odds + 1.3 * attempts + 2.7 * night * (amount > 80) - 0.0009 * age
    odds = odds - 0.0018 * since
    fraud = draw.random(count) < 1 / (1 + numpy.exp(-odds))
    rows = numpy.column_stack([numpy.asarray(column, dtype=numpy.float64) for column in columns])
    return Bunch(
        data=rows,
        target=fraud.astype(numpy.int64),
        target_names=["genuine", "fraud"],
        feature_names=FEATURES,
    )


def scalar(name, value, kind=numpy.float32):
    return numpy_helper.from_array(numpy.array(value, dtype=kind), name)


def with_probabilities(path, to, inserted, constants):
    """The model at `path` with nodes between what it computes and its probabilities."""
    model = onnx.load(path)
    graph = model.graph
    for node in graph.node:
        for at, output in enumerate(node.output):
            if output == "probabilities":
                node.output[at] = "computed"
    graph.node.extend(inserted)
    graph.initializer.extend(constants)
    onnx.checker.check_model(model)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(model.SerializeToString())


def slow(good, to):
    """Answers as the good one does, after work that nobody needs."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_in"], ["go_out"]),
            helper.make_node("MatMul", ["matrix_in", "turn"], ["matrix_out"]),
        ],
        "again",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("matrix_in", TensorProto.FLOAT, [SIDE, SIDE]),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("matrix_out", TensorProto.FLOAT, [SIDE, SIDE]),
        ],
    )
    nodes = [
        # Of the row, so that nothing of it can be worked out beforehand; too small to show.
        helper.make_node("ReduceMean", ["features"], ["mean"], keepdims=0),
        helper.make_node("Clip", ["mean", "least", "most"], ["speck"]),
        helper.make_node("Expand", ["speck", "square"], ["matrix"]),
        helper.make_node("Expand", ["even", "square"], ["turn"]),
        helper.make_node("Loop", ["rounds", "go", "matrix"], ["last"], body=body),
        helper.make_node("ReduceMax", ["last"], ["left"], keepdims=0),
        helper.make_node("Add", ["computed", "left"], ["probabilities"]),
    ]
    constants = [
        scalar("least", 0.0),
        scalar("most", 1e-30),
        scalar("even", 1.0 / SIDE),
        scalar("rounds", ROUNDS, numpy.int64),
        scalar("go", True, numpy.bool_),
        numpy_helper.from_array(numpy.array([SIDE, SIDE], dtype=numpy.int64), "square"),
    ]
    with_probabilities(good, to, nodes, constants)


def failing(good, to):
    """Looks the hour up in a table that ends too soon: requests of the last hour fail."""
    nodes = [
        helper.make_node("Gather", ["features", "column"], ["hours"], axis=1),
        helper.make_node("Cast", ["hours"], ["hour"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "hour"], ["correction"]),
        helper.make_node("Add", ["computed", "correction"], ["probabilities"]),
    ]
    constants = [
        numpy_helper.from_array(numpy.array([HOUR], dtype=numpy.int64), "column"),
        numpy_helper.from_array(numpy.zeros(23, dtype=numpy.float32), "table"),
    ]
    with_probabilities(good, to, nodes, constants)


def make_faulty(data):
    """fraud@3 is slow, fraud@4 fails in the last hour of a day, fraud@5 has its labels flipped."""
    good = HERE / "fraud" / "2" / "model.onnx"
    slow(good, HERE / "fraud" / "3" / "model.onnx")
    failing(good, HERE / "fraud" / "4" / "model.onnx")
    rows = data.data.astype(numpy.float32)
    flipped = learners()["2"].fit(rows, 1 - data.target)
    export(flipped, rows, HERE / "fraud" / "5" / "model.onnx")


def golden(name, each=4, sure=0.8):
    """Clear cases of each class as golden requests: both versions are sure of them, and agree."""
    made = json.loads((HERE / name / "rows.json").read_text())
    first, second = (made["predictions"][version] for version in ("1", "2"))
    taken, lines = {}, []
    for at, row in enumerate(made["rows"]):
        label = first["label"][at]
        both = (first["probabilities"][at][label], second["probabilities"][at][label])
        # The last hour is where fraud@4 fails: that is for its canary to find.
        late = made["features"][HOUR] == "hour" and row[HOUR] >= 23
        if label != second["label"][at] or min(both) < sure or late or taken.get(label, 0) == each:
            continue
        taken[label] = taken.get(label, 0) + 1
        request = {
            "inputs": [
                {"name": "features", "shape": [1, len(row)], "datatype": "FP32", "data": row}
            ],
            "outputs": [{"name": "label"}],
        }
        output = {"name": "label", "shape": [1], "datatype": "INT64", "data": [label]}
        response = {"model_name": name, "outputs": [output]}
        lines.append(json.dumps({"request": request, "response": response}))
    (HERE / name / "golden.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    make("tumour", load_breast_cancer())
    make("wine", load_wine())
    make("fraud", transactions())
    make_faulty(transactions())
    golden("fraud")
