"""Trains the demo's models and writes them here, with the rows that were held out.

    python3 -m venv venv
    venv/bin/pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2 numpy==2.4.6
    venv/bin/python console/demo/models/make.py

For each model: <name>/<version>/model.onnx (version 1 a logistic regression, version 2 gradient
boosted trees) and <name>/rows.json: the held-out rows in the order of the features, as FP32, and
what scikit-learn itself predicts for them with each version. Everything is seeded: with the same
packages the same files come out. Sources and licences are in README.md.
"""

import json
import pathlib

import numpy
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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


if __name__ == "__main__":
    make("tumour", load_breast_cancer())
    make("wine", load_wine())
