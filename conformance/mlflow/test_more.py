"""What scripts do beyond the basics: nested runs, images, system metrics, several processes at once, the command line."""

import json
import multiprocessing
import os
import subprocess
import time

import mlflow
import numpy as np
import pytest
from mlflow.entities import Metric, ViewType
from mlflow.exceptions import MlflowException


def test_nested_runs(client, experiment):
    with mlflow.start_run(run_name="parent") as parent:
        for i in range(3):
            with mlflow.start_run(run_name=f"child-{i}", nested=True) as child:
                mlflow.log_metric("loss", 1 / (i + 1))
                with mlflow.start_run(nested=True, description="deep"):
                    pass
        assert mlflow.active_run().info.run_id == parent.info.run_id
    children = mlflow.search_runs([experiment.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'", order_by=["metrics.loss ASC"])
    assert children["tags.mlflow.runName"].tolist() == ["child-2", "child-1", "child-0"]
    assert mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id
    assert mlflow.last_active_run() is not None


def test_images_and_tables(client, experiment, tmp_path):
    from PIL import Image

    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    with mlflow.start_run() as run:
        mlflow.log_image(picture, "pictures/black.png")
        mlflow.log_image(Image.fromarray(picture + 255), key="white", step=3, timestamp=1700000000000)
        mlflow.log_image(mlflow.Image(picture), key="white", step=4)
        mlflow.log_table({"q": ["a"], "score": [0.5]}, "tables/t.json")
        mlflow.log_table({"q": ["b"], "score": [0.7]}, "tables/t.json")  # is appended
        mlflow.log_dict({"deep": {"list": [1, 2, {"x": None}]}}, "d.json")
    rid = run.info.run_id
    assert mlflow.artifacts.load_image(run.info.artifact_uri + "/pictures/black.png").size == (8, 8)
    names = [f.path for f in client.list_artifacts(rid, "images")]
    assert len(names) == 4 and all(n.startswith("images/white+step+") for n in names)  # names with + in them
    local = mlflow.artifacts.download_artifacts(run_id=rid, artifact_path="images", dst_path=str(tmp_path))
    assert len(os.listdir(local)) == 4
    table = mlflow.load_table("tables/t.json", run_ids=[rid], extra_columns=["run_id"])
    assert table["score"].tolist() == pytest.approx([0.5, 0.7]) and set(table["run_id"]) == {rid}
    assert len(mlflow.load_table("tables/t.json")) == 2
    assert json.loads(mlflow.get_run(rid).data.tags["mlflow.loggedArtifacts"])[0]["path"] == "tables/t.json"


def test_system_metrics(client):
    with mlflow.start_run(log_system_metrics=True) as run:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(run.info.run_id, sampling_interval=0.05, samples_before_logging=1)
        monitor.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not client.get_run(run.info.run_id).data.metrics:
            time.sleep(0.02)
        monitor.finish()
    metrics = client.get_run(run.info.run_id).data.metrics
    assert "system/cpu_utilization_percentage" in metrics and client.get_metric_history(run.info.run_id, "system/system_memory_usage_megabytes")


def write(url, eid, name, shared):
    mlflow.set_tracking_uri(url)
    with mlflow.start_run(experiment_id=eid, run_name=name):
        for i in range(40):
            mlflow.log_metric("m", i, step=i)
        mlflow.log_params({f"p{i}": name for i in range(20)})
        mlflow.log_text(name, "who.txt")
        mlflow.log_metric("shared", int(name), run_id=shared)


def test_parallel_processes(server, client, experiment, monkeypatch):
    shared = client.create_run(experiment.experiment_id, run_name="shared").info.run_id
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # no writer is ever told to come back later
    fork = multiprocessing.get_context("fork")  # what trains in parallel on one machine does; each has connections of its own
    writers = [fork.Process(target=write, args=(server.url, experiment.experiment_id, str(i), shared)) for i in range(4)]
    for w in writers:
        w.start()
    for w in writers:
        w.join(60)
    assert [w.exitcode for w in writers] == [0, 0, 0, 0]
    runs = client.search_runs([experiment.experiment_id], "attributes.run_name != 'shared' and status = 'FINISHED'")
    assert sorted(r.info.run_name for r in runs) == ["0", "1", "2", "3"]
    for r in runs:
        assert set(r.data.params.values()) == {r.info.run_name} and r.data.metrics["m"] == 39
        assert len(client.get_metric_history(r.info.run_id, "m")) == 40
        assert mlflow.artifacts.load_text(r.info.artifact_uri + "/who.txt") == r.info.run_name
    assert sorted(m.value for m in client.get_metric_history(shared, "shared")) == [0, 1, 2, 3]


def test_delete_and_restore(client):
    eid = client.create_experiment("to be deleted", tags={"k": "v"})
    run = client.create_run(eid)
    client.log_metric(run.info.run_id, "m", 1)
    client.delete_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        client.log_metric(run.info.run_id, "m", 2)
    assert client.search_runs([eid]) == [] and len(client.search_runs([eid], run_view_type=ViewType.ALL)) == 1
    client.restore_run(run.info.run_id)
    client.log_metric(run.info.run_id, "m", 2)
    client.delete_experiment(eid)
    assert client.get_experiment(eid).lifecycle_stage == "deleted" and client.get_experiment_by_name("to be deleted").lifecycle_stage == "deleted"
    assert eid not in [e.experiment_id for e in client.search_experiments()]
    assert eid in [e.experiment_id for e in client.search_experiments(view_type=ViewType.DELETED_ONLY)]
    with pytest.raises(MlflowException):
        client.create_run(eid)
    with pytest.raises(MlflowException, match="deleted"):
        mlflow.set_experiment("to be deleted")
    with pytest.raises(MlflowException):
        client.create_experiment("to be deleted")  # the name is taken until it is gone for good
    client.restore_experiment(eid)
    assert client.get_run(run.info.run_id).data.metrics == {"m": 2} and client.get_run(run.info.run_id).info.lifecycle_stage == "active"


def test_the_job_of_gc(server, client, tmp_path):
    """`mlflow gc` works on a database alone; `modelyard trash purge` does its work here: what clients deleted goes for good, with its files."""

    def purge(*args):
        command = [os.environ["MODELYARD_BIN"], "trash", "purge", *args, "--server", server.url, "-o", "json", "--yes"]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    eid = client.create_experiment("to be collected")
    kept, gone = (client.create_run(eid).info.run_id for _ in range(2))
    (tmp_path / "big.bin").write_bytes(os.urandom(100_000))
    client.log_artifact(gone, str(tmp_path / "big.bin"))
    client.log_text(kept, "stays", "a.txt")
    client.delete_run(gone)
    dry = purge("run:" + gone, "--dry-run")
    assert dry["dry_run"] and dry["count"] == 1 and dry["freed_bytes"] >= 100_000
    assert client.get_run(gone).info.lifecycle_stage == "deleted"
    assert {k: v for k, v in purge("run:" + gone).items() if k != "dry_run"} == {k: v for k, v in dry.items() if k != "dry_run"}
    for ask in (client.get_run, client.list_artifacts, client.restore_run):
        with pytest.raises(MlflowException) as e:
            ask(gone)
        assert e.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert mlflow.artifacts.load_text(client.get_run(kept).info.artifact_uri + "/a.txt") == "stays"
    client.delete_experiment(eid)  # its runs go with it, and its name is free again
    assert purge("experiment:" + eid)["count"] == 1
    with pytest.raises(MlflowException, match="not found"):
        client.get_run(kept)
    assert client.create_experiment("to be collected") != eid


def test_limits(client, experiment):
    rid = client.create_run(experiment.experiment_id).info.run_id
    client.log_param(rid, "long", "x" * 6000)
    client.set_tag(rid, "long", "x" * 8000)
    client.log_metric(rid, "m" * 250, 1)
    client.log_param(rid, "longer", "x" * 6001)  # cut off, as MLflow does
    client.set_tag(rid, "longer", "y" * 8001)
    got = client.get_run(rid).data
    assert got.params["longer"] == "x" * 6000 and got.tags["longer"] == "y" * 8000
    for call in [
        lambda: client.log_metric(rid, "m" * 251, 1),
        lambda: client.log_metric(rid, "../up", 1),
        lambda: client.log_param(rid, "", 1),
        lambda: client.create_experiment("e" * 501),
        lambda: client.search_runs([experiment.experiment_id], max_results=50001),
        lambda: client.search_registered_models(max_results=1001),
        lambda: client.search_runs([experiment.experiment_id], page_token="nonsense"),
        lambda: client.search_runs([experiment.experiment_id], order_by=["nothing.x"]),
    ]:
        with pytest.raises(MlflowException) as e:
            call()
        assert e.value.error_code == "INVALID_PARAMETER_VALUE", e.value


def test_metric_history_pages(client, experiment):
    rid = client.create_run(experiment.experiment_id).info.run_id
    for start in range(0, 30_000, 1000):
        client.log_batch(rid, metrics=[Metric("s", i, 1, i) for i in range(start, start + 1000)])
    assert [m.value for m in client.get_metric_history(rid, "s")] == list(range(30_000))  # the client reads it in pages of 25,000
    store = client._tracking_client.store
    seen = store.get_metric_history_bulk_interval_from_steps(rid, "s", [0, 7, 29_999], max_results=10) if hasattr(store, "get_metric_history_bulk_interval_from_steps") else None
    assert seen is None or [m.step for m in seen] == [0, 7, 29_999]


def test_scorers():
    from mlflow.tracking._tracking_service.utils import _get_store

    store, eid = _get_store(), mlflow.set_experiment("scored").experiment_id
    body = json.dumps({"name": "polite", "builtin_scorer_class": "Safety", "builtin_scorer_pydantic_data": {"name": "polite"}})
    assert store.register_scorer(eid, "polite", body).scorer_version == 1
    assert store.register_scorer(eid, "polite", body).scorer_version == 2
    assert [s.scorer_version for s in store.list_scorers(eid)] == [2]
    assert [s.scorer_version for s in store.list_scorer_versions(eid, "polite")] == [1, 2]
    assert store.get_scorer(eid, "polite").scorer_version == 2 and store.get_scorer(eid, "polite", 1).scorer_name == "polite"
    store.delete_scorer(eid, "polite", 1)
    store.delete_scorer(eid, "polite")
    with pytest.raises(MlflowException, match="not found"):
        store.get_scorer(eid, "polite")


def test_dataset_search_and_model_inputs(client, experiment):
    import pandas as pd

    data = mlflow.data.from_pandas(pd.DataFrame({"x": [1.0]}), name="frame")
    with mlflow.start_run() as run:
        model = mlflow.create_external_model(name="outside", tags={"k": "v"})
        mlflow.log_input(data, context="eval", model=None)
        mlflow.log_inputs(datasets=[data], contexts=["again"], tags_list=[{"a": "b"}], models=None)
        mlflow.log_metrics({"f1": 0.5}, model_id=model.model_id, dataset=data)
    logged = client.get_logged_model(model.model_id)
    assert [(m.key, m.dataset_name) for m in logged.metrics] == [("f1", "frame")]
    assert [i.dataset.name for i in client.get_run(run.info.run_id).inputs.dataset_inputs] == ["frame"]


def test_command_line(server, client, tmp_path):
    from click.testing import CliRunner
    from mlflow.cli import cli

    def run(*args):  # in this process: starting mlflow takes seconds
        result = CliRunner().invoke(cli, args, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    run("experiments", "create", "-n", "from the shell")
    eid = client.get_experiment_by_name("from the shell").experiment_id
    rid = client.create_run(eid, run_name="shell-run").info.run_id
    (tmp_path / "a.txt").write_text("hello")
    run("artifacts", "log-artifact", "--local-file", str(tmp_path / "a.txt"), "--run-id", rid, "--artifact-path", "deep")
    run("artifacts", "log-artifacts", "--local-dir", str(tmp_path), "--run-id", rid)
    assert "deep" in run("artifacts", "list", "--run-id", rid)
    run("artifacts", "download", "--run-id", rid, "--artifact-path", "deep/a.txt", "--dst-path", str(tmp_path / "out"))
    assert next((tmp_path / "out").rglob("a.txt")).read_text() == "hello"
    assert rid in run("runs", "list", "--experiment-id", eid)
    assert json.loads(run("runs", "describe", "--run-id", rid))["info"]["run_id"] == rid
    run("runs", "delete", "--run-id", rid)
    run("runs", "restore", "--run-id", rid)
    run("experiments", "rename", "--experiment-id", eid, "--new-name", "renamed in the shell")
    assert "renamed in the shell" in run("experiments", "search")
    run("experiments", "csv", "-x", eid, "-o", str(tmp_path / "runs.csv"))
    assert rid in (tmp_path / "runs.csv").read_text()
    run("experiments", "delete", "-x", eid)
    run("experiments", "restore", "-x", eid)
