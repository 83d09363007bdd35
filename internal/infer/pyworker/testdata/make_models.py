"""Logs the models of the integration tests into the folder named on the command line."""

import sys

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

out, requirements = sys.argv[1], sys.argv[2:]

rng = np.random.default_rng(7)
x = pd.DataFrame({
    "city": rng.choice(["Delft", "Ulm", "Åbo"], 200),
    "age": rng.uniform(20, 70, 200),
    "visits": rng.integers(0, 30, 200),
    "member": rng.random(200) > 0.5,
})
y = np.where(x["age"] + 20 * (x["city"] == "Ulm") + x["visits"] > 65, "buys", "leaves")
columns = ColumnTransformer(
    [("city", OneHotEncoder(handle_unknown="ignore"), ["city"]), ("rest", StandardScaler(), ["age", "visits", "member"])]
)
pipeline = Pipeline([("columns", columns), ("model", LogisticRegression())]).fit(x, y)
mlflow.sklearn.save_model(
    pipeline, out + "/pipeline", signature=infer_signature(x, pipeline.predict(x)), input_example=x.head(3), pip_requirements=requirements
)
some = x.head(20)
pd.DataFrame(
    {**{c: some[c] for c in some}, "label": pipeline.predict(some), "p0": pipeline.predict_proba(some)[:, 0], "p1": pipeline.predict_proba(some)[:, 1]}
).to_json(out + "/expected.json", orient="records", double_precision=15)

many = LinearRegression().fit(rng.random((50, 3)), rng.random((50, 2)))
mlflow.sklearn.save_model(
    many, out + "/tensor", pip_requirements=requirements,
    signature=ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 3))]), Schema([TensorSpec(np.dtype("float64"), (-1, 2))])),
)


class Odd(mlflow.pyfunc.PythonModel):
    """Does what its input says."""

    def predict(self, context, model_input, params=None):
        import os
        import time

        what = model_input["what"].iloc[0]
        n = len(model_input)
        if what == "crash":
            os._exit(9)
        if what == "exit":
            sys.exit(3)
        if what == "hang":
            time.sleep(1000)
        if what == "hog":
            hold = []
            while True:
                hold.append(np.ones(4 << 20))
        if what == "raise":
            raise KeyError("no such thing")
        if what == "env":
            return pd.DataFrame([{"env": sorted(os.environ), "home": os.environ["HOME"], "mode": os.stat(os.environ["HOME"]).st_mode & 0o777}])
        if what == "pid":
            return [os.getpid()] * n
        if what == "child":
            import subprocess

            return [subprocess.Popen(["sleep", "1000"]).pid] * n
        if what == "frame":
            return pd.DataFrame({
                "n": range(n), "x": np.linspace(0, 1, n), "s": ["ü%d" % i if i else None for i in range(n)],
                "t": pd.date_range("2024-01-01", periods=n), "b": [i % 2 == 0 for i in range(n)],
                "j": [{"i": i, "l": [1.5] * i} for i in range(n)], "c": pd.Categorical(["k"] * n),
            })
        if what == "series":
            return pd.Series(np.arange(n) * 0.5, name="half")
        if what == "matrix":
            return np.arange(n * 6, dtype="float32").reshape(n, 2, 3)
        if what == "strings":
            return ["a", "bb", ""][:n] + ["x"] * (n - 3)
        if what == "short":
            return [1]
        if what == "params":
            return [params["scale"] * 2] * n
        if what == "echo":
            return model_input.drop(columns="what")
        if what == "bad":
            return [object()] * n
        return [what] * n


mlflow.pyfunc.save_model(out + "/odd", python_model=Odd(), pip_requirements=requirements)
mlflow.pyfunc.save_model(
    out + "/params", python_model=Odd(), pip_requirements=requirements,
    signature=ModelSignature(Schema([ColSpec("string", "what")]), None, ParamSchema([ParamSpec("scale", "double", 1.0)])),
)
