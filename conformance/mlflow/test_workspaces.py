"""Workspaces with the stock client: mlflow.set_workspace, MLFLOW_WORKSPACE, the calls on workspaces themselves."""

import os
import subprocess
import sys

import mlflow
import mlflow.sklearn
import pytest
from mlflow.exceptions import MlflowException


@pytest.fixture(autouse=True)
def back_to_default():
    yield
    mlflow.set_workspace(None)


@pytest.fixture
def two(request):
    """Two workspaces of the test's own."""
    names = [request.node.name.replace("_", "-")[:40] + "-" + x for x in "ab"]
    for n in names:
        mlflow.create_workspace(n, description="of " + n)
    return names


def names(things):
    return {t.name for t in things}


def test_workspaces_themselves():
    made = mlflow.create_workspace("team-rocket", description="first")
    assert (made.name, made.description) == ("team-rocket", "first")
    assert {"default", "team-rocket"} <= names(mlflow.list_workspaces())
    assert mlflow.get_workspace("team-rocket").description == "first"
    assert mlflow.update_workspace("team-rocket", description="second").description == "second"
    with pytest.raises(MlflowException, match="already exists") as e:
        mlflow.create_workspace("team-rocket")
    assert e.value.error_code == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(MlflowException, match="not found") as e:
        mlflow.get_workspace("nobody")
    assert e.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException, match="reserved"):
        mlflow.delete_workspace("default")
    with pytest.raises(MlflowException, match="Workspace name"):
        mlflow.create_workspace("Not_OK")
    mlflow.delete_workspace("team-rocket")
    assert "team-rocket" not in names(mlflow.list_workspaces())
    mlflow.set_workspace("team-rocket")
    with pytest.raises(MlflowException, match="not found"):
        mlflow.search_experiments()


def test_one_name_in_two(two, client):
    ids, runs = {}, {}
    for w in two:
        mlflow.set_workspace(w)
        assert mlflow.search_experiments() == [] or names(mlflow.search_experiments()) <= {"Default"}
        ids[w] = mlflow.set_experiment("same name").experiment_id
        with mlflow.start_run() as run:
            mlflow.log_param("where", w)
            mlflow.log_metric("m", 1)
            mlflow.log_text("in " + w, "notes/a.txt")
        runs[w] = run.info.run_id
    assert ids[two[0]] != ids[two[1]]
    for mine, other in (two, two[::-1]):
        mlflow.set_workspace(mine)
        assert mlflow.get_experiment_by_name("same name").experiment_id == ids[mine]
        assert list(mlflow.search_runs(experiment_names=["same name"])["run_id"]) == [runs[mine]]
        assert list(mlflow.search_runs(experiment_ids=list(ids.values()))["run_id"]) == [runs[mine]]
        assert mlflow.artifacts.load_text(f"runs:/{runs[mine]}/notes/a.txt") == "in " + mine
        for call in (lambda: client.get_run(runs[other]), lambda: client.get_experiment(ids[other]), lambda: client.log_metric(runs[other], "m", 2), lambda: client.delete_run(runs[other]),
                     lambda: client.delete_experiment(ids[other]), lambda: mlflow.artifacts.load_text(f"runs:/{runs[other]}/notes/a.txt")):
            with pytest.raises(MlflowException) as e:
                call()
            assert e.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    mlflow.set_workspace(None)
    with pytest.raises(MlflowException):
        client.get_run(runs[two[0]])
    assert mlflow.get_experiment_by_name("same name") is None


def test_models_and_prompts_in_two(two, client):
    from sklearn.linear_model import LinearRegression

    for i, w in enumerate(two):
        mlflow.set_workspace(w)
        mlflow.set_experiment("models")
        model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0 + i])
        with mlflow.start_run():
            mlflow.sklearn.log_model(model, name="m", registered_model_name="Churn", skops_trusted_types=[])
        client.set_registered_model_alias("Churn", "champion", 1)
        client.set_model_version_tag("Churn", 1, "team", w)
        mlflow.genai.register_prompt(name="ask", template=f"{w}: {{{{q}}}}?")
    for i, w in enumerate(two):
        mlflow.set_workspace(w)
        assert names(client.search_registered_models()) == {"Churn"}
        assert [v.version for v in client.search_model_versions("name = 'Churn'")] in (["1"], [1])
        v = client.get_model_version_by_alias("Churn", "champion")
        assert v.name == "Churn" and v.tags["team"] == w
        for uri in ("models:/Churn/1", "models:/Churn@champion"):
            assert mlflow.pyfunc.load_model(uri).predict([[1.0]])[0] == pytest.approx(1.0 + i)
        assert mlflow.genai.load_prompt("prompts:/ask/1").format(q="why") == w + ": why?"
    copied = client.copy_model_version("models:/Churn/1", "Churn copy")
    assert copied.source == "models:/Churn/1"
    assert mlflow.pyfunc.load_model("models:/Churn copy/1").predict([[1.0]])[0] == pytest.approx(2.0)
    mlflow.set_workspace(None)
    assert "Churn" not in names(client.search_registered_models())
    with pytest.raises(MlflowException):
        client.get_registered_model("Churn")


def test_traces_and_datasets_in_two(two):
    from mlflow.genai.datasets import create_dataset, get_dataset, search_datasets

    @mlflow.trace
    def answer(q):
        return q.upper()

    found = {}
    for w in two:
        mlflow.set_workspace(w)
        e = mlflow.set_experiment("traced")
        answer("in " + w)
        mlflow.flush_trace_async_logging()
        tid = mlflow.get_last_active_trace_id()
        mlflow.log_feedback(trace_id=tid, name="good", value=True)
        ds = create_dataset(name="golden", experiment_id=[e.experiment_id])
        ds.merge_records([{"inputs": {"q": w}}])
        found[w] = (e.experiment_id, tid, ds.dataset_id)
    for mine, other in (two, two[::-1]):
        mlflow.set_workspace(mine)
        exp, tid, ds = found[mine]
        assert [t.info.trace_id for t in mlflow.search_traces(locations=[exp], filter_string="trace.text LIKE '%in " + mine + "%'", return_type="list")] == [tid]
        assert mlflow.search_traces(locations=[found[other][0]], return_type="list") == []
        assert mlflow.get_trace(found[other][1]) is None
        assert [d.dataset_id for d in search_datasets()] == [ds]
        with pytest.raises(MlflowException):
            get_dataset(dataset_id=found[other][2])


def test_environment_variable(two, server, tmp_path):
    script = "import mlflow; mlflow.set_experiment('by variable'); r = mlflow.start_run(); mlflow.log_artifact(__file__); mlflow.end_run(); print(r.info.experiment_id)"
    path = tmp_path / "train.py"
    path.write_text(script)
    env = {**os.environ, "MLFLOW_TRACKING_URI": server.url, "MLFLOW_WORKSPACE": two[0]}
    out = subprocess.run([sys.executable, path], env=env, capture_output=True, text=True, timeout=300)
    assert out.returncode == 0, out.stderr
    mlflow.set_workspace(two[0])
    assert mlflow.get_experiment_by_name("by variable").experiment_id == out.stdout.split()[-1]
    mlflow.set_workspace(None)
    assert mlflow.get_experiment_by_name("by variable") is None


def test_three_ways_to_delete(two, client):
    for w in two:
        mlflow.set_workspace(w)
        mlflow.set_experiment("left " + w)
        with mlflow.start_run():
            mlflow.log_metric("m", 1)
        client.create_registered_model("Left " + w)
    mlflow.set_workspace(None)
    with pytest.raises(MlflowException, match="still contains") as e:
        mlflow.delete_workspace(two[0])
    assert e.value.error_code == "INVALID_STATE"
    mlflow.delete_workspace(two[0], mode="SET_DEFAULT")
    assert len(mlflow.search_runs(experiment_names=["left " + two[0]])) == 1
    assert client.get_registered_model("Left " + two[0]).name == "Left " + two[0]
    mlflow.delete_workspace(two[1], mode="CASCADE")
    assert mlflow.get_experiment_by_name("left " + two[1]) is None
    mlflow.create_workspace(two[1])
    mlflow.set_workspace(two[1])
    assert "left " + two[1] not in names(mlflow.search_experiments(view_type=3)) and client.search_registered_models() == []
