"""Trains the model of the benchmark, logs it and leaves the very same ONNX file for the peer: train.py bikes.csv model.onnx"""

import sys

import mlflow
import mlflow.onnx
import pandas as pd
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingRegressor

FEATURES = ["hour", "weekday", "workingday", "holiday", "temperature", "feels_like", "humidity", "windspeed"]

rows = pd.read_csv(sys.argv[1])
x, y = rows[FEATURES].astype("float32"), rows["riders"].astype("float32")
model = GradientBoostingRegressor(n_estimators=100, max_depth=6, random_state=1).fit(x.to_numpy(), y)
onnx = to_onnx(model, x.to_numpy()[:1])
with open(sys.argv[2], "wb") as f:
    f.write(onnx.SerializeToString())
mlflow.set_experiment("bench")
with mlflow.start_run():
    mlflow.onnx.log_model(onnx, name="model", registered_model_name="bench", signature=infer_signature(x.head(5), model.predict(x.to_numpy()[:5]).astype("float32")), save_as_external_data=False)
