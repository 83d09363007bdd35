"""Writes models of an older XGBoost release, whose files differ (base_score as one number, booleans, no iteration_indptr).

    uv run -p 3.11 --no-project --with xgboost==1.7.6 --with "numpy<2" --with "scipy<1.14" --with "scikit-learn<1.6" make_old_xgboost.py OUT v1
    uv run -p 3.11 --no-project --with xgboost-cpu==2.1.4 --with "numpy<2" --with "scikit-learn<1.6" make_old_xgboost.py OUT v2
"""

import json
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import numpy as np
import xgboost as xgb

out, tag = Path(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(3)


def data(n):
    x = rng.normal(size=(n, 5))
    x[:, 4] = rng.integers(0, 9, n)
    x[rng.random((n, 5)) < 0.1] = np.nan
    return x


X, T = data(200), data(25)
y = np.nan_to_num(X[:, 0]) * 2 + np.nan_to_num(X[:, 1]) + (np.nan_to_num(X[:, 4]) > 4)
binary, multi, pos = (y > 1).astype(int), np.digitize(y, [-1, 2]), np.abs(y) + 0.1


def write(name, model, expected, cls="xgboost.core.Booster", proba=None, suffix="json"):
    path = out / f"xgb-{tag}-{name}"
    path.mkdir(parents=True, exist_ok=True)
    model.save_model(str(path / f"model.{suffix}"))
    (path / "MLmodel").write_text(
        "flavors:\n  python_function:\n    data: model.%s\n    loader_module: mlflow.xgboost\n"
        "  xgboost:\n    data: model.%s\n    model_class: %s\n    xgb_version: %s\n" % (suffix, suffix, cls, xgb.__version__)
    )
    case = {
        "note": "xgboost " + xgb.__version__,
        "columns": [f"f{i}" for i in range(5)],
        "rows": [[None if np.isnan(v) else float(v) for v in row] for row in T],
        "predict": np.asarray(expected).astype(float).tolist(),
    }
    if proba is not None:
        case["proba"] = np.asarray(proba).astype(float).tolist()
    (path / "case.json").write_text(json.dumps(case, separators=(",", ":")))


def booster(name, params, target, suffix="json", **kw):
    m = xgb.train({"max_depth": 3, "seed": 1, **params}, xgb.DMatrix(X, target), 4, **kw)
    write(name, m, m.predict(xgb.DMatrix(T)), suffix=suffix)


booster("regression", {}, y)
booster("logistic", {"objective": "binary:logistic", "base_score": 0.3}, binary, suffix="ubj")
booster("logitraw", {"objective": "binary:logitraw", "base_score": 0.3}, binary)
booster("softprob", {"objective": "multi:softprob", "num_class": 3}, multi)
if tag == "v1":  # the same files in v2
    booster("poisson", {"objective": "count:poisson"}, np.round(pos), suffix="ubj")
    booster("dart", {"booster": "dart", "rate_drop": 0.5}, y)
    booster("linear", {"booster": "gblinear"}, y)
    m = xgb.XGBClassifier(n_estimators=4, max_depth=3).fit(X, multi)
    write("sk-multi", m, m.predict(T), "xgboost.sklearn.XGBClassifier", m.predict_proba(T))
m = xgb.XGBRegressor(n_estimators=40, max_depth=3, learning_rate=0.9, early_stopping_rounds=2).fit(X[:120], y[:120], eval_set=[(X[120:], y[120:])], verbose=False)
write("sk-early-stop", m, m.predict(T), "xgboost.sklearn.XGBRegressor")
