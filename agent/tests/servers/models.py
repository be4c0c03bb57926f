"""Writes two models of breast tumours into a folder: 1.joblib, and 2.joblib, which says the
opposite of everything, so that an answer shows which of them gave it. Beside them rows.json:
real rows, and what each of them says."""

import json
import pathlib
import sys

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

folder = pathlib.Path(sys.argv[1])
data = load_breast_cancer()
said = {}
for version, target in (("1", data.target), ("2", 1 - data.target)):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(data.data, target)
    joblib.dump(model, folder / f"{version}.joblib")
    said[version] = model.predict(data.data[:64]).tolist()
rows = {"rows": data.data[:64].tolist(), "said": said}
(folder / "rows.json").write_text(json.dumps(rows))
