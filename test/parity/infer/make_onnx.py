"""Converts small scikit-learn, XGBoost and LightGBM models to ONNX, logs them through MLflow and writes what ONNX Runtime answers.

    .venv/bin/python make_onnx.py ../../../internal/infer/testdata/onnx
"""

import json
import logging
import os
import shutil
import sys
import warnings
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import lightgbm as lgb
import mlflow
import numpy as np
import onnx
import onnxmltools
import onnxruntime as rt
import pandas as pd
import xgboost as xgb
from onnxmltools.convert.common.data_types import FloatTensorType as OFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

OUT = Path(sys.argv[1])
rng = np.random.default_rng(5)
N = 200
X = rng.normal(size=(N, 4)).astype(np.float32)
T = rng.normal(size=(12, 4)).astype(np.float32)
y = X[:, 0] * 2 + np.sin(X[:, 1] * 3) + (X[:, 2] > 0)
binary, multi = (y > 1).astype(int), np.digitize(y, [0, 1.5])
words = np.array(["low", "mid", "high"])[multi]


def plain(v):
    if isinstance(v, list) and v and isinstance(v[0], dict):
        return [[float(x) for x in row.values()] for row in v]
    v = np.asarray(v)
    return v.tolist() if v.dtype.kind in "OUSb" else v.astype(float).tolist()


def write(name, graph, feeds, columns, rows):
    graph.ir_version = min(graph.ir_version, 10)
    path = OUT / name
    shutil.rmtree(path, ignore_errors=True)
    mlflow.onnx.save_model(graph, str(path), pip_requirements=[], save_as_external_data=False)
    for f in path.iterdir():
        if f.name not in ("MLmodel", "model.onnx"):
            f.unlink()
    session = rt.InferenceSession(graph.SerializeToString())
    got = session.run(None, feeds)
    case = {"columns": columns, "rows": rows, "outputs": {o.name: plain(g) for o, g in zip(session.get_outputs(), got)}}
    (path / "case.json").write_text(json.dumps(case, separators=(",", ":")))
    print(name, sorted({n.op_type for n in graph.graph.node}))


def skl(name, model, target, **options):
    model.fit(X, target)
    graph = to_onnx(model, X[:1], options=options or None, target_opset={"": 17, "ai.onnx.ml": 3})
    write(name, graph, {"X": T}, [f"f{i}" for i in range(4)], T.astype(float).tolist())


clf = dict(zipmap=False)
skl("linear", LinearRegression(), y)
skl("scaled-logistic", make_pipeline(StandardScaler(), LogisticRegression()), binary)
skl("logistic-multi-text", make_pipeline(MinMaxScaler(), LogisticRegression()), words)
skl("normalizer-linear", make_pipeline(Normalizer("l2"), LinearRegression()), y)
skl("tree-text", DecisionTreeClassifier(max_depth=4), words)
skl("forest", RandomForestClassifier(5, max_depth=4), multi)
skl("forest-binary", RandomForestClassifier(5, max_depth=4), binary)
skl("forest-regressor", RandomForestRegressor(5, max_depth=4), y)
skl("gradient-boosting", GradientBoostingRegressor(n_estimators=6, max_depth=3), y)
skl("mlp", MLPRegressor(hidden_layer_sizes=(8,), max_iter=50), y)
XN, TN = X.copy(), T.copy()
XN[::7, 0], TN[::3, 0] = np.nan, np.nan
for name, model, target in [
    ("xgb-binary", xgb.XGBClassifier(n_estimators=5, max_depth=3), binary),
    ("xgb-multi", xgb.XGBClassifier(n_estimators=4, max_depth=3), multi),
    ("xgb-regressor", xgb.XGBRegressor(n_estimators=5, max_depth=3, base_score=0.5), y),
]:
    model.fit(XN, target)
    g = onnxmltools.convert_xgboost(model, initial_types=[("X", OFloat([None, 4]))])
    write(name, g, {"X": TN}, [f"f{i}" for i in range(4)], [[None if np.isnan(v) else float(v) for v in r] for r in TN])
for name, model, target in [
    ("lgb-binary", lgb.LGBMClassifier(n_estimators=5, num_leaves=7, verbose=-1), binary),
    ("lgb-multi", lgb.LGBMClassifier(n_estimators=4, num_leaves=7, verbose=-1), multi),
    ("lgb-regressor", lgb.LGBMRegressor(n_estimators=5, num_leaves=7, verbose=-1), y),
]:
    model.fit(X, target)
    g = onnxmltools.convert_lightgbm(model, initial_types=[("X", OFloat([None, 4]))], zipmap=(name == "lgb-binary"))
    write(name, g, {"X": T}, [f"f{i}" for i in range(4)], T.astype(float).tolist())

d = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "city": rng.choice(["x", "y", "z"], N), "k": rng.integers(0, 4, N)})
t = pd.DataFrame({"a": T[:, 0], "b": T[:, 1], "city": rng.choice(["x", "y", "q"], 12), "k": rng.integers(0, 5, 12)})
mixed = make_pipeline(
    ColumnTransformer([("n", StandardScaler(), ["a", "b"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["city"]), ("k", OneHotEncoder(handle_unknown="ignore"), ["k"])]),
    LogisticRegression(),
).fit(d, binary)
types = [("a", FloatTensorType([None, 1])), ("b", FloatTensorType([None, 1])), ("city", StringTensorType([None, 1])), ("k", Int64TensorType([None, 1]))]
g = to_onnx(mixed, initial_types=types, target_opset={"": 17, "ai.onnx.ml": 3})
write("mixed", g, {c: t[[c]].to_numpy(dtype={"city": object, "k": np.int64}.get(c, np.float32)) for c in t}, list(t.columns), t.astype(object).to_numpy().tolist())
