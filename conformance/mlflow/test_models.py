"""Logged models, the registry, loading by every form of URI, and autologging."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException, RestException
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

RNG = np.random.default_rng(7)
X = pd.DataFrame(RNG.random((60, 3)), columns=["a", "b", "c"])
Y = X.a * 2 - X.b + 0.5


def log_linear(name="model", **kw):
    model = LinearRegression().fit(X, Y)
    # requirements are given, as inferring them starts a process per model
    info = mlflow.sklearn.log_model(model, name=name, signature=infer_signature(X, Y), input_example=X.head(2), pip_requirements=["scikit-learn"], **kw)
    return model, info


def test_log_register_and_load(client):
    with mlflow.start_run() as run:
        mlflow.log_metric("rmse", 0.25)
        model, info = log_linear()
    want = model.predict(X)
    v1 = mlflow.register_model(f"runs:/{run.info.run_id}/model", "bike")
    v2 = mlflow.register_model(info.model_uri, "bike")
    assert (v1.version, v2.version, v1.status, v1.run_id) == ("1", "2", "READY", run.info.run_id)
    client.set_registered_model_alias("bike", "champion", 1)
    for uri in [info.model_uri, f"models:/{info.model_id}", f"runs:/{run.info.run_id}/model", "models:/bike/1", "models:/bike@champion", "models:/bike/latest", info.artifact_path]:
        np.testing.assert_allclose(mlflow.pyfunc.load_model(uri).predict(X), want)
        np.testing.assert_allclose(mlflow.sklearn.load_model(uri).predict(X), want)
    logged = client.get_logged_model(info.model_id)
    assert str(logged.status) == "READY" and logged.source_run_id == run.info.run_id and logged.name == "model"
    assert {m.key: m.value for m in logged.metrics} == {"rmse": 0.25}
    assert [m.model_id for m in client.get_run(run.info.run_id).outputs.model_outputs] == [info.model_id]
    signature = mlflow.models.get_model_info("models:/bike/1").signature
    assert signature.inputs.input_names() == ["a", "b", "c"]


def test_logged_models(client, experiment):
    data = mlflow.data.from_pandas(X.assign(y=Y), name="holdout", targets="y")
    for depth in (1, 2, 3):
        with mlflow.start_run():
            model = mlflow.initialize_logged_model(name=f"tree-{depth}", params={"depth": str(depth)}, tags={"kind": "tree"})
            mlflow.log_metric("mae", 10 / depth, model_id=model.model_id, dataset=data)
            mlflow.finalize_logged_model(model.model_id, "READY")
    eid = experiment.experiment_id

    def search(**kw):
        return [m.name for m in mlflow.search_logged_models(experiment_ids=[eid], output_format="list", **kw)]

    assert search() == ["tree-3", "tree-2", "tree-1"]
    assert search(filter_string="metrics.mae < 6 AND params.depth = '2'") == ["tree-2"]
    assert search(filter_string="name LIKE 'tree-%' AND tags.kind = 'tree'", order_by=[{"field_name": "metrics.mae", "ascending": True}]) == ["tree-3", "tree-2", "tree-1"]
    assert search(filter_string="metrics.mae > 0", datasets=[{"dataset_name": "other"}]) == []
    page = client.search_logged_models([eid], max_results=2)
    assert len(page) == 2 and len(client.search_logged_models([eid], max_results=2, page_token=page.token)) == 1
    first = page[0]
    mlflow.set_logged_model_tags(first.model_id, {"stage": "test"})
    mlflow.delete_logged_model_tag(first.model_id, "kind")
    assert mlflow.get_logged_model(first.model_id).tags["stage"] == "test"
    client.delete_logged_model(first.model_id)
    assert len(search()) == 2
    with pytest.raises(MlflowException, match="not found"):
        mlflow.get_logged_model(first.model_id)


def test_registry(client):
    with mlflow.start_run():
        _, info = log_linear(registered_model_name="house")
    with pytest.raises(RestException) as e:
        client.create_registered_model("house")
    assert e.value.error_code == "RESOURCE_ALREADY_EXISTS"
    client.update_registered_model("house", description="prices")
    client.set_registered_model_tag("house", "team", "x")
    got = client.get_registered_model("house")
    assert got.description == "prices" and got.tags == {"team": "x"} and got.latest_versions[0].version == "1"
    v2 = client.create_model_version("house", info.model_uri, tags={"t": "1"}, description="second", run_link="https://elsewhere.example/#/runs/1")
    assert int(v2.version) == 2
    assert v2.run_link == "https://elsewhere.example/#/runs/1" == client.get_model_version("house", "2").run_link
    client.update_model_version("house", "2", description="changed")
    client.set_model_version_tag("house", "2", "u", "2")
    client.delete_model_version_tag("house", "2", "t")
    mv = client.get_model_version("house", "2")
    assert mv.description == "changed" and mv.tags == {"u": "2"}
    client.set_registered_model_alias("house", "challenger", "2")
    assert client.get_model_version_by_alias("house", "challenger").version == "2"
    assert client.get_registered_model("house").aliases == {"challenger": "2"}
    assert client.get_model_version("house", "2").aliases == ["challenger"]
    client.set_registered_model_alias("house", "challenger", "1")
    client.delete_registered_model_alias("house", "challenger")
    with pytest.raises(MlflowException, match="alias challenger not found"):
        client.get_model_version_by_alias("house", "challenger")
    for bad in ("latest", "v1", ""):
        with pytest.raises(MlflowException):
            client.set_registered_model_alias("house", bad, "1")
    assert [m.name for m in client.search_registered_models("name LIKE 'hou%' AND tags.team = 'x'")] == ["house"]
    assert "house" in [m.name for m in client.search_registered_models(order_by=["last_updated_timestamp DESC"])]
    assert [v.version for v in client.search_model_versions("name = 'house'", order_by=["version_number DESC"])] == ["2", "1"]
    assert [v.version for v in client.search_model_versions("tags.u = '2'")] == ["2"]
    copy = client.copy_model_version("models:/house/1", "house-prod")
    assert copy.name == "house-prod" and copy.version == "1"
    np.testing.assert_allclose(mlflow.pyfunc.load_model("models:/house-prod/1").predict(X), Y)
    client.rename_registered_model("house-prod", "home")
    client.delete_registered_model("home")
    client.delete_model_version("house", "2")
    with pytest.raises(MlflowException) as e:
        client.get_model_version("house", "2")
    assert e.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    v3 = client.create_model_version("house", info.model_uri)
    assert int(v3.version) == 3  # numbers are never given twice
    for source in ("file:///etc", "/etc", "s3://b/../x", "mlflow-artifacts:/../../etc"):
        with pytest.raises(MlflowException):
            client.create_model_version("house", source)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_model_in_an_object_store(client):
    client.create_registered_model("elsewhere")
    v = client.create_model_version("elsewhere", "s3://bucket/team/model", tags={"team": "a"})
    client.set_registered_model_alias("elsewhere", "champion", v.version)
    got = client.get_model_version_by_alias("elsewhere", "champion")
    assert got.source == "s3://bucket/team/model" and got.status == "READY" and got.tags == {"team": "a"}
    assert client.get_model_version_download_uri("elsewhere", v.version) == "s3://bucket/team/model"


def test_stages(client):
    with mlflow.start_run():
        _, info = log_linear(registered_model_name="staged")
    client.create_model_version("staged", info.model_uri)
    client.transition_model_version_stage("staged", "1", "Production")
    client.transition_model_version_stage("staged", "2", "Production", archive_existing_versions=True)
    stages = {v.version: v.current_stage for v in client.search_model_versions("name = 'staged'")}
    assert stages == {"1": "Archived", "2": "Production"}
    assert [v.version for v in client.get_latest_versions("staged", ["Production"])] == ["2"]
    np.testing.assert_allclose(mlflow.pyfunc.load_model("models:/staged/Production").predict(X), Y)


def test_version_outlives_its_run(client):
    with mlflow.start_run() as run:
        _, info = log_linear(registered_model_name="lasting")
    client.delete_logged_model(info.model_id)
    client.delete_run(run.info.run_id)
    np.testing.assert_allclose(mlflow.pyfunc.load_model("models:/lasting/1").predict(X), Y)


def test_custom_pyfunc(client):
    class Double(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input * 2

    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(name="double", python_model=Double(), pip_requirements=[])
    assert mlflow.pyfunc.load_model(info.model_uri).predict(X).a.iloc[0] == X.a.iloc[0] * 2


def test_autolog_sklearn(client, experiment):
    mlflow.autolog(log_models=True)
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeRegressor

    with mlflow.start_run() as run:
        GridSearchCV(DecisionTreeRegressor(random_state=0), {"max_depth": [1, 2]}, cv=2).fit(X, Y)
    got = client.get_run(run.info.run_id)
    assert got.data.params["best_max_depth"] == "2" and "training_mean_squared_error" in got.data.metrics
    assert got.inputs.dataset_inputs and got.outputs.model_outputs
    children = client.search_runs([experiment.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert len(children) == 2 and all(c.info.status == "FINISHED" for c in children)


def test_autolog_lightgbm(client):
    import lightgbm

    mlflow.lightgbm.autolog()
    data = lightgbm.Dataset(X, Y)
    with mlflow.start_run() as run:
        booster = lightgbm.train({"objective": "regression", "verbosity": -1, "min_data_in_leaf": 2}, data, num_boost_round=5, valid_sets=[data], valid_names=["train"])
    got = client.get_run(run.info.run_id)
    assert len(client.get_metric_history(run.info.run_id, "train-l2")) == 5
    assert "feature_importance_gain.json" in [f.path for f in client.list_artifacts(run.info.run_id)]
    uri = "models:/" + got.outputs.model_outputs[0].model_id
    np.testing.assert_allclose(mlflow.pyfunc.load_model(uri).predict(X), booster.predict(X))


def test_autolog_xgboost(client):
    import xgboost

    mlflow.xgboost.autolog()
    data = xgboost.DMatrix(X, Y)
    with mlflow.start_run() as run:
        booster = xgboost.train({"max_depth": 2}, data, num_boost_round=5, evals=[(data, "train")], verbose_eval=False)
    got = client.get_run(run.info.run_id)
    assert got.data.params["max_depth"] == "2" and len(client.get_metric_history(run.info.run_id, "train-rmse")) == 5
    uri = "models:/" + got.outputs.model_outputs[0].model_id
    np.testing.assert_allclose(mlflow.pyfunc.load_model(uri).predict(X), booster.predict(data), rtol=1e-6)


def test_evaluate(client):
    with mlflow.start_run() as run:
        _, info = log_linear()
        result = mlflow.models.evaluate(info.model_uri, X.assign(y=Y), targets="y", model_type="regressor", evaluator_config={"log_explainer": False})
    assert result.metrics["mean_absolute_error"] < 1e-9
    assert "mean_absolute_error" in client.get_run(run.info.run_id).data.metrics
