"""Trains tiny XGBoost and LightGBM models through MLflow and writes what their library answers.

    uv venv -p 3.11 .venv && uv pip install -p .venv -r requirements.txt
    .venv/bin/python make_trees.py ../../../internal/infer/testdata/parity

A case is a folder as MLflow saves it (MLmodel and the model file; environment files are left out) plus case.json:
the rows that were asked, what mlflow.pyfunc's predict answered, and predict_proba where the model has one.
Expected values are float64 texts; the Go tests compare to 1e-6 (absolute or relative, whichever is larger).
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
import pandas as pd
import xgboost as xgb
from mlflow.models import infer_signature

OUT = Path(sys.argv[1])
KEEP = ("MLmodel", "model.")
WITH_EXAMPLE = ("xgb-sk-regressor", "lgb-sk-multi")  # the others would only repeat it
rng = np.random.default_rng(7)


def frame(n, category=False):
    """Doubles with holes, a mostly-zero double, a whole number, a boolean, a category code."""
    d = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b b": rng.normal(size=n) * 100,
            "c": rng.exponential(size=n),
            "zero": np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n)),
            "n": rng.integers(-5, 20, n),
            "flag": rng.random(n) < 0.4,
        }
    )
    d.loc[rng.random(n) < 0.15, "a"] = np.nan
    d.loc[rng.random(n) < 0.10, "zero"] = np.nan
    d["k"] = rng.integers(0, 40, n)
    if category:
        d["s"] = pd.Categorical(rng.choice(["north", "south", "east", "west", "mid"], n), categories=["east", "mid", "north", "south", "west"])
    return d


def score(d):
    s = d["a"].fillna(0.7) * 2 + np.sin(d["b b"] / 30) + d["c"] * (d["n"] > 5) + d["zero"].fillna(-2) + d["flag"] * 1.5
    s = s + np.where(d["k"] % 3 == 0, 2.0, -1.0)
    if "s" in d:
        s = s + d["s"].map({"north": 3.0, "south": -1.0, "east": 0.5, "west": -2.0, "mid": 0.0}).astype(float)
    return s


def plain(v):
    """JSON values without NaN: a missing number is null, a non-finite one text."""
    if isinstance(v, (list, tuple, np.ndarray)):
        return [plain(x) for x in v]
    if v is None or v is pd.NA:
        return None
    if isinstance(v, (np.bool_, bool)):
        return bool(v)
    if isinstance(v, (np.integer, int)):
        return int(v)
    if isinstance(v, (np.floating, float)):
        return None if np.isnan(v) else float(v)
    return str(v)


def write(flavor, name, model, test, predict, proba=None, signature_frame=None, note="", **kw):
    path = OUT / name
    shutil.rmtree(path, ignore_errors=True)
    sf = test if signature_frame is None else signature_frame
    sig = infer_signature(sf, predict)
    getattr(mlflow, flavor).save_model(model, str(path), signature=sig, input_example=sf.head(2), pip_requirements=[], **kw)
    try:
        got = mlflow.pyfunc.load_model(str(path)).predict(sf)
        assert np.asarray(got).shape == np.asarray(predict).shape, (np.asarray(got).shape, np.asarray(predict).shape)
        assert (np.asarray(got) == np.asarray(predict)).all(), name
        predict = got
    except Exception as e:  # category frames do not pass MLflow's own schema check; the library's answer stands
        note += f" pyfunc: {type(e).__name__}: {str(e)[:120]}"
    case = {
        "note": note.strip(),
        "columns": list(test.columns),
        "rows": [[plain(x) for x in row] for row in test.astype(object).itertuples(index=False)],
        "predict": plain(np.asarray(predict)),
        "dtype": str(np.asarray(predict).dtype),
    }
    if proba is not None:
        case["proba"] = plain(np.asarray(proba, dtype=float))
    (path / "case.json").write_text(json.dumps(case, separators=(",", ":")))
    for f in path.iterdir():
        if not f.name.startswith(KEEP + ("input_example", "serving_input") * (name in WITH_EXAMPLE)) and f.name != "case.json":
            f.unlink()
    print(f"{name:32s} {sum(f.stat().st_size for f in path.iterdir())//1024:5d} kB  {note}")


def labels(s, k):
    return np.clip(np.digitize(s, np.quantile(s, np.linspace(0, 1, k + 1)[1:-1])), 0, k - 1)


def xgboost_cases():
    X, T = frame(300), frame(30)
    y = score(X)
    pos = np.abs(y) + 0.1
    binary = (y > y.quantile(0.6)).astype(int)
    p = {"max_depth": 4, "seed": 1, "eta": 0.3}

    def booster(name, params, target, rounds=5, data=X, ask=T, **kw):
        dtrain = kw.pop("dtrain", None) or xgb.DMatrix(data, target, enable_categorical=True)
        m = xgb.train({**p, **params}, dtrain, rounds)
        write("xgboost", name, m, ask, m.predict(xgb.DMatrix(ask, enable_categorical=True)), **kw)
        return m

    targets = {
        "reg:squarederror": y, "reg:absoluteerror": y, "reg:pseudohubererror": y, "reg:squaredlogerror": pos,
        "reg:gamma": pos, "reg:tweedie": pos, "count:poisson": np.round(pos), "reg:logistic": 1 / (1 + np.exp(-y)),
        "binary:logistic": binary, "binary:logitraw": binary, "binary:hinge": binary,
        "survival:cox": pos, "rank:pairwise": binary, "rank:ndcg": binary,
    }
    for objective, target in targets.items():
        booster("xgb-" + objective.replace(":", "-"), {"objective": objective}, target)
    booster("xgb-quantile", {"objective": "reg:quantileerror", "quantile_alpha": 0.8}, y)
    booster("xgb-quantiles", {"objective": "reg:quantileerror", "quantile_alpha": np.array([0.1, 0.5, 0.9])}, y)
    aft = xgb.DMatrix(X)
    aft.set_float_info("label_lower_bound", pos)
    aft.set_float_info("label_upper_bound", pos * 1.5)
    booster("xgb-survival-aft", {"objective": "survival:aft"}, None, dtrain=aft)
    booster("xgb-multi-softprob", {"objective": "multi:softprob", "num_class": 4}, labels(y, 4), model_format="json")
    booster("xgb-multi-softmax", {"objective": "multi:softmax", "num_class": 4}, labels(y, 4))
    booster("xgb-base-score", {"objective": "binary:logistic", "base_score": 0.2}, binary, model_format="json")
    booster("xgb-dart", {"booster": "dart", "rate_drop": 0.5, "one_drop": 1}, y, rounds=8)
    booster("xgb-dart-binary", {"booster": "dart", "rate_drop": 0.5, "objective": "binary:logistic"}, binary)
    booster("xgb-forest", {"num_parallel_tree": 3, "subsample": 0.7}, y, rounds=3)
    booster("xgb-json", {}, y, model_format="json")
    X0, T0 = X.drop(columns="flag"), T.drop(columns="flag")
    booster("xgb-gblinear", {"booster": "gblinear", "objective": "count:poisson"}, np.round(pos), data=X0, ask=T0)
    booster("xgb-gblinear-multi", {"booster": "gblinear", "objective": "multi:softprob", "num_class": 3}, labels(y, 3), data=X0, ask=T0)
    multi = xgb.DMatrix(X, np.column_stack([y, -y + X.c]))
    booster("xgb-multi-target", {}, None, dtrain=multi)

    # categorical: codes with feature type "c", and pandas categories of text
    C, CT = X.copy(), T.copy()
    C["k"] = pd.Categorical(C["k"], categories=range(40))
    CT["k"] = pd.Categorical(CT["k"], categories=range(40))
    booster("xgb-categorical", {"max_cat_to_onehot": 2}, y, data=C, ask=CT, signature_frame=T)
    booster("xgb-categorical-onehot", {"max_cat_to_onehot": 64}, y, data=C, ask=CT, signature_frame=T)
    S, ST = frame(300, True), frame(30, True)
    ss = ST.copy()
    ss["s"] = ss["s"].astype(str)
    ST.loc[3:5, "s"] = np.nan
    booster("xgb-category-text", {"max_cat_to_onehot": 2}, score(S), data=S, ask=ST, signature_frame=ss)

    # the scikit-learn classes
    kw = dict(n_estimators=4, max_depth=4, random_state=1)
    m = xgb.XGBRegressor(**kw).fit(X, y)
    write("xgboost", "xgb-sk-regressor", m, T, m.predict(T))
    m = xgb.XGBClassifier(**kw).fit(X, binary)
    write("xgboost", "xgb-sk-binary", m, T, m.predict(T), m.predict_proba(T))
    m = xgb.XGBClassifier(**kw).fit(X, labels(y, 5))
    write("xgboost", "xgb-sk-multi", m, T, m.predict(T), m.predict_proba(T), model_format="json")
    m = xgb.XGBClassifier(objective="binary:logitraw", **kw).fit(X, binary)
    write("xgboost", "xgb-sk-logitraw", m, T, m.predict(T))
    ml = np.column_stack([binary, (X.c > 1).astype(int), (X.n > 5).astype(int)])
    m = xgb.XGBClassifier(**kw).fit(X, ml)
    write("xgboost", "xgb-sk-multilabel", m, T, m.predict(T))
    m = xgb.XGBRFClassifier(n_estimators=5, max_depth=4, random_state=1).fit(X, labels(y, 3))
    write("xgboost", "xgb-sk-rf", m, T, m.predict(T), m.predict_proba(T))
    m = xgb.XGBRegressor(n_estimators=60, max_depth=5, learning_rate=0.9, early_stopping_rounds=2).fit(X[:200], y[:200], eval_set=[(X[200:], y[200:])], verbose=False)
    assert m.best_iteration < m.get_booster().num_boosted_rounds() - 1
    write("xgboost", "xgb-sk-early-stop", m, T, m.predict(T))
    m = xgb.XGBClassifier(n_estimators=60, max_depth=5, learning_rate=0.9, early_stopping_rounds=2).fit(X[:200], labels(y, 3)[:200], eval_set=[(X[200:], labels(y, 3)[200:])], verbose=False)
    write("xgboost", "xgb-sk-early-stop-multi", m, T, m.predict(T), m.predict_proba(T))
    m = xgb.XGBRanker(**kw).fit(X, labels(y, 3), qid=np.repeat(np.arange(10), 30))
    write("xgboost", "xgb-sk-ranker", m, T, m.predict(T))
    A, AT = X.to_numpy(dtype=np.float32), T.to_numpy(dtype=np.float32)
    m = xgb.train(p, xgb.DMatrix(A, y), 5)
    write("xgboost", "xgb-no-names", m, pd.DataFrame(AT.astype(float), columns=[f"x{i}" for i in range(7)]), m.predict(xgb.DMatrix(AT)))


def lightgbm_cases():
    X, T = frame(400), frame(30)
    y = score(X)
    pos = np.abs(y) + 0.1
    binary = (y > y.quantile(0.6)).astype(int)
    p = {"verbose": -1, "num_leaves": 12, "min_data_in_leaf": 8, "seed": 1, "num_threads": 1}

    def booster(name, params, target, rounds=5, data=X, ask=T, cat="auto", **kw):
        m = lgb.train({**p, **params}, lgb.Dataset(data, target, categorical_feature=cat), rounds)
        write("lightgbm", name, m, ask, m.predict(ask), **kw)
        return m

    targets = {
        "regression": y, "regression_l1": y, "huber": y, "fair": y, "quantile": y, "mape": pos,
        "poisson": np.round(pos), "gamma": pos, "tweedie": pos, "binary": binary,
        "cross_entropy": 1 / (1 + np.exp(-y)), "cross_entropy_lambda": 1 / (1 + np.exp(-y)),
    }
    for objective, target in targets.items():
        booster("lgb-" + objective.replace("_", "-"), {"objective": objective}, target)
    booster("lgb-sqrt", {"objective": "regression", "reg_sqrt": True}, y)
    booster("lgb-sigmoid", {"objective": "binary", "sigmoid": 2.5, "is_unbalance": True}, (y > 3).astype(int))
    booster("lgb-multiclass", {"objective": "multiclass", "num_class": 4}, labels(y, 4))
    booster("lgb-multiclassova", {"objective": "multiclassova", "num_class": 4}, labels(y, 4))
    booster("lgb-rf", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, y)
    booster("lgb-rf-binary", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "objective": "binary"}, binary)
    booster("lgb-dart", {"boosting": "dart", "drop_rate": 0.5}, y, rounds=10)
    booster("lgb-zero-as-missing", {"zero_as_missing": True}, y)
    booster("lgb-no-missing", {"use_missing": False}, y)
    full = X.copy().fillna(0.5)
    booster("lgb-missing-unseen", {}, score(full), data=full)
    booster("lgb-categorical", {"min_data_per_group": 5, "cat_smooth": 1, "max_cat_to_onehot": 2}, y, cat=["k"])
    KT = T.copy()
    KT["k"] = KT["k"].astype(float)
    KT.loc[0, "k"], KT.loc[1, "k"], KT.loc[2, "k"], KT.loc[3, "k"] = np.nan, -1, 1000, 3.7
    booster("lgb-categorical-odd", {"min_data_per_group": 5, "cat_smooth": 1, "max_cat_to_onehot": 2}, y, cat=["k"], ask=KT)
    S, ST = frame(400, True), frame(30, True)
    ss = ST.copy()
    ss["s"] = ss["s"].astype(str)
    ST.loc[3:5, "s"] = np.nan
    booster("lgb-category-text", {"min_data_per_group": 5, "cat_smooth": 1, "max_cat_to_onehot": 2}, score(S), data=S, ask=ST, signature_frame=ss)
    booster("lgb-stump", {"min_data_in_leaf": 10000}, y)
    booster("lgb-linear", {"linear_tree": True}, y)
    m = lgb.train({**p, "objective": "lambdarank"}, lgb.Dataset(X, labels(y, 3), group=[40] * 10), 5)
    write("lightgbm", "lgb-lambdarank", m, T, m.predict(T))
    m = lgb.train({**p, "learning_rate": 0.9}, lgb.Dataset(X[:250], y[:250]), 80, valid_sets=[lgb.Dataset(X[250:], y[250:])], callbacks=[lgb.early_stopping(2, verbose=False)])
    write("lightgbm", "lgb-early-stop", m, T, m.predict(T))

    kw = dict(n_estimators=4, num_leaves=10, min_child_samples=8, verbose=-1, random_state=1, n_jobs=1)
    m = lgb.LGBMClassifier(**kw).fit(X, binary)
    write("lightgbm", "lgb-sk-binary", m, T, m.predict(T), m.predict_proba(T))
    m = lgb.LGBMClassifier(**kw).fit(X, np.array([10, 20, 70])[labels(y, 3)])
    write("lightgbm", "lgb-sk-multi", m, T, m.predict(T), m.predict_proba(T))
    m = lgb.LGBMClassifier(**kw).fit(X, np.array(["low", "mittel ü", "high"])[labels(y, 3)])
    write("lightgbm", "lgb-sk-text", m, T, m.predict(T), m.predict_proba(T))
    m = lgb.LGBMClassifier(**kw).fit(X, binary == 1)
    write("lightgbm", "lgb-sk-bool", m, T, m.predict(T), m.predict_proba(T))
    m = lgb.LGBMRegressor(**{**kw, "n_estimators": 80}, learning_rate=0.9).fit(X[:250], y[:250], eval_set=[(X[250:], y[250:])], callbacks=[lgb.early_stopping(2, verbose=False)])
    write("lightgbm", "lgb-sk-early-stop", m, T, m.predict(T))
    m = lgb.LGBMClassifier(**kw).fit(X, binary)
    write("lightgbm", "lgb-sk-pickle", m, T, m.predict(T), m.predict_proba(T), serialization_format="pickle", note="a pickle: goes to Python")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    xgboost_cases()
    lightgbm_cases()
