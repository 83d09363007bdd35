"""Second step: train LightGBM, log everything with the stock MLflow client, register a version."""

import json
import os

import lightgbm as lgb
import mlflow
import mlflow.lightgbm
import pandas as pd
from mlflow.models import infer_signature

FEATURES = ["hour", "weekday", "workingday", "holiday", "temperature", "feels_like", "humidity", "windspeed"]
MODEL = "bike-demand"


def main() -> None:
    rows = pd.read_csv("train.csv")
    with open("dataset.json") as f:
        dataset = json.load(f)
    x, y = rows[FEATURES].astype(float), rows["riders"].astype(float)
    if os.environ.get("MODELYARD_PARAM_SHUFFLE") == "yes":
        y = y.sample(frac=1, random_state=7).reset_index(drop=True)

    mlflow.lightgbm.autolog(log_models=False, log_datasets=False)
    with mlflow.start_run() as run:
        source = mlflow.data.from_pandas(rows, source=dataset["url"], name="bike-demand", targets="riders", digest=dataset["digest"][:36])
        mlflow.log_input(source, context="training")
        train = lgb.Dataset(x, y)
        params = {"objective": "regression", "metric": "l1", "learning_rate": 0.05, "num_leaves": 31, "seed": 7, "num_threads": 1, "verbose": -1}
        booster = lgb.train(params, train, num_boost_round=300, valid_sets=[train], valid_names=["train"])
        info = mlflow.lightgbm.log_model(
            booster, name="model", registered_model_name=MODEL,
            signature=infer_signature(x, booster.predict(x.head(5))), input_example=x.head(5),
        )
        mlflow.set_tag("rows", str(len(rows)))
    version = info.registered_model_version
    print(f"run {run.info.run_id}: {MODEL} version {version}")
    with open(os.environ["MODELYARD_OUTPUT"], "a") as f:
        f.write(f"model={MODEL}\nversion={version}\n")


if __name__ == "__main__":
    main()
