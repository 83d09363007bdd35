"""A 2.x client against the same server: models are artifacts of runs, and the registry takes them from there."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

X = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 3.0]})
Y = X.a * 2 - X.b


def test_it_is_the_old_client():
    assert mlflow.__version__.startswith("2.22.")


def test_runs(client, experiment, tmp_path):
    (tmp_path / "f.txt").write_text("hello")
    with mlflow.start_run(run_name="old", tags={"k": "v"}, description="note") as run:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({f"p{i}": i for i in range(5)})
        for i in range(3):
            mlflow.log_metric("loss", 1 / (i + 1), step=i)
        mlflow.log_artifact(str(tmp_path / "f.txt"), "deep")
        mlflow.log_dict({"a": 1}, "d.json")
        mlflow.log_table({"q": ["x"]}, "t.json")
        mlflow.log_input(mlflow.data.from_pandas(X, name="frame"), context="training")
        with mlflow.start_run(nested=True):
            mlflow.log_metric("inner", 1)
    got = client.get_run(run.info.run_id)
    assert got.info.status == "FINISHED" and got.data.params["lr"] == "0.1" and got.data.metrics["loss"] == 1 / 3
    assert got.data.tags["mlflow.note.content"] == "note" and got.inputs.dataset_inputs[0].dataset.name == "frame"
    assert [m.value for m in client.get_metric_history(run.info.run_id, "loss")] == [1, 1 / 2, 1 / 3]
    assert mlflow.artifacts.load_text(run.info.artifact_uri + "/deep/f.txt") == "hello"
    assert sorted(f.path for f in client.list_artifacts(run.info.run_id)) == ["d.json", "deep", "t.json"]
    assert len(mlflow.search_runs([experiment.experiment_id], "metrics.loss < 0.5", order_by=["metrics.loss"])) == 1
    client.log_batch(run.info.run_id, [Metric("m", 1, 2, 3)], [Param("q", "1")], [RunTag("t", "u")])
    client.delete_run(run.info.run_id)
    assert len(client.search_runs([experiment.experiment_id], run_view_type=ViewType.DELETED_ONLY)) == 1
    client.restore_run(run.info.run_id)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_models(client):
    model = LinearRegression().fit(X, Y)
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(model, "model", signature=infer_signature(X, Y), input_example=X, pip_requirements=["scikit-learn"], registered_model_name="old")
    assert info.model_uri == f"runs:/{run.info.run_id}/model"
    assert "mlflow.log-model.history" in client.get_run(run.info.run_id).data.tags
    second = mlflow.register_model(info.model_uri, "old", tags={"t": "1"})
    assert (second.version, second.status, second.run_id) in ((2, "READY", run.info.run_id), ("2", "READY", run.info.run_id))
    client.set_registered_model_alias("old", "champion", 1)
    client.transition_model_version_stage("old", "2", "Staging")
    for uri in (info.model_uri, "models:/old/1", "models:/old@champion", "models:/old/latest", "models:/old/Staging"):
        np.testing.assert_allclose(mlflow.pyfunc.load_model(uri).predict(X), Y, atol=1e-9)
    assert [v.version for v in client.get_latest_versions("old", ["Staging"])] == ["2"]
    assert client.get_model_version_by_alias("old", "champion").run_id == run.info.run_id
    assert [m.name for m in client.search_registered_models("name = 'old'")] == ["old"]
    copy = client.copy_model_version("models:/old/1", "old-prod")
    assert copy.name == "old-prod" and str(copy.version) == "1"
    client.delete_registered_model("old-prod")
    with pytest.raises(MlflowException) as e:
        client.get_registered_model("old-prod")
    assert e.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_autolog(client, experiment):
    mlflow.sklearn.autolog(log_models=False)
    with mlflow.start_run() as run:
        LinearRegression().fit(X, Y)
    got = client.get_run(run.info.run_id)
    assert got.data.params["fit_intercept"] == "True" and "training_mean_squared_error" in got.data.metrics


def test_prompts():
    mlflow.register_prompt(name="old-greet", template="Hello {{name}}", tags={"a": "b"})
    assert mlflow.load_prompt("prompts:/old-greet/1").format(name="Ann") == "Hello Ann"
    mlflow.set_prompt_alias("old-greet", "live", 1)
    assert int(mlflow.load_prompt("prompts:/old-greet@live").version) == 1


def test_errors(client, experiment):
    with pytest.raises(MlflowException) as e:
        client.create_experiment(experiment.name)
    assert e.value.error_code == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(MlflowException) as e:
        client.search_runs([experiment.experiment_id], "nothing = 1")
    assert e.value.error_code == "INVALID_PARAMETER_VALUE"
