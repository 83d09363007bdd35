"""Experiments, runs, metrics, parameters, tags, inputs, artifacts and search, as scripts use them."""

import math
import time

import mlflow
import pandas as pd
import pytest
from mlflow.entities import Dataset, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException, RestException


def test_experiments(client):
    a = client.create_experiment("exp/a b", tags={"team": "x"})
    assert client.get_experiment(a).tags == {"team": "x"}
    assert client.get_experiment_by_name("exp/a b").experiment_id == a
    assert client.get_experiment_by_name("none") is None
    assert client.get_experiment("0").name == "Default"
    with pytest.raises(RestException) as e:
        client.create_experiment("exp/a b")
    assert e.value.error_code == "RESOURCE_ALREADY_EXISTS"
    client.rename_experiment(a, "renamed")
    client.set_experiment_tag(a, "team", "y")
    assert [x.name for x in client.search_experiments(filter_string="tags.team = 'y' AND name LIKE 'ren%'")] == ["renamed"]
    client.delete_experiment_tag(a, "team")
    run = client.create_run(a)
    client.delete_experiment(a)
    assert client.get_experiment(a).lifecycle_stage == "deleted"
    assert a in [x.experiment_id for x in client.search_experiments(view_type=ViewType.DELETED_ONLY)]
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        client.create_run(a)
    client.restore_experiment(a)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"
    first = client.search_experiments(max_results=1, order_by=["name ASC"])
    second = client.search_experiments(max_results=1, order_by=["name ASC"], page_token=first.token)
    assert first[0].name < second[0].name


def test_run_with_everything(client, tmp_path, experiment):
    with mlflow.start_run(run_name="first", tags={"a": "1"}, description="about it") as run:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "name with space": "x", "nested/key": "y"})
        mlflow.log_metric("acc", 0.5, step=1)
        mlflow.log_metric("acc", 0.75, step=2)
        mlflow.log_metrics({"nan": float("nan"), "inf": float("inf"), "ninf": float("-inf"), "tiny": 5e-324, "big": 1.7976931348623157e308})
        mlflow.set_tags({"b": "2", "emoji": "naïve 🚲"})
        with mlflow.start_run(nested=True) as child:
            mlflow.log_param("child", 1)
    rid = run.info.run_id
    got = client.get_run(rid)
    assert got.info.status == "FINISHED" and got.info.run_name == "first" and got.info.end_time >= got.info.start_time
    assert got.data.params == {"lr": "0.1", "depth": "3", "name with space": "x", "nested/key": "y"}
    assert got.data.metrics["acc"] == 0.75 and math.isnan(got.data.metrics["nan"])
    assert got.data.metrics["inf"] == math.inf and got.data.metrics["ninf"] == -math.inf
    assert got.data.metrics["tiny"] == 5e-324 and got.data.metrics["big"] == 1.7976931348623157e308
    assert got.data.tags["emoji"] == "naïve 🚲" and got.data.tags["mlflow.note.content"] == "about it"
    assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == rid
    assert [(m.step, m.value) for m in client.get_metric_history(rid, "acc")] == [(1, 0.5), (2, 0.75)]
    assert got.info.artifact_uri == f"mlflow-artifacts:/{experiment.experiment_id}/{rid}/artifacts"
    client.update_run(rid, name="second", status="FAILED")
    got = client.get_run(rid)
    assert got.info.run_name == "second" and got.data.tags["mlflow.runName"] == "second" and got.info.status == "FAILED"
    client.delete_tag(rid, "b")
    assert "b" not in client.get_run(rid).data.tags
    with pytest.raises(MlflowException, match="No tag with name"):
        client.delete_tag(rid, "b")
    client.delete_run(rid)
    assert client.get_run(rid).info.lifecycle_stage == "deleted"
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        client.log_param(rid, "late", 1)
    client.restore_run(rid)
    client.log_param(rid, "late", 1)


def test_failed_run_is_marked(client):
    with pytest.raises(ZeroDivisionError):
        with mlflow.start_run() as run:
            1 / 0
    assert client.get_run(run.info.run_id).info.status == "FAILED"


def test_log_batch(client, experiment):
    run = client.create_run(experiment.experiment_id)
    rid = run.info.run_id
    client.log_batch(
        rid,
        metrics=[Metric(f"m{i % 10}", i / 3, 1000 + i, i) for i in range(800)],
        params=[Param(f"p{i}", str(i)) for i in range(100)],
        tags=[RunTag(f"t{i}", str(i)) for i in range(100)],
    )
    got = client.get_run(rid)
    assert len(got.data.params) == 100 and len(got.data.metrics) == 10 and got.data.metrics["m9"] == 799 / 3
    assert len(client.get_metric_history(rid, "m3")) == 80
    client.log_batch(rid, metrics=[Metric("curve", i, 5000 + i, i) for i in range(3000)])  # the client splits it
    history = client.get_metric_history(rid, "curve")
    assert [m.value for m in history] == list(range(3000))
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_batch(rid, metrics=[Metric("orphan", 1, 1, 1)], params=[Param("p1", "other")])
    assert "orphan" not in client.get_run(rid).data.metrics
    with mlflow.start_run(run_id=rid):
        mlflow.log_params({f"q{i}": "v" for i in range(250)})
    assert len(client.get_run(rid).data.params) == 350


def test_errors_have_mlflow_codes(client, experiment):
    for call, code in [
        (lambda: client.get_run("0" * 32), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.get_experiment("123456"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.search_runs([experiment.experiment_id], "metrics.a LIKE 'x'"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.search_runs([experiment.experiment_id], "nothing = 'x'"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.create_experiment("elsewhere", artifact_location="s3://bucket/x"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.get_registered_model("none"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.get_logged_model("m-" + "0" * 32), "RESOURCE_DOES_NOT_EXIST"),
    ]:
        with pytest.raises(MlflowException) as e:
            call()
        assert e.value.error_code == code
    run = client.create_run(experiment.experiment_id)
    client.log_param(run.info.run_id, "once", "1")
    client.log_param(run.info.run_id, "once", "1")
    with pytest.raises(MlflowException, match="Changing param values"):
        client.log_param(run.info.run_id, "once", "2")


def test_artifacts(client, tmp_path):
    (tmp_path / "dir" / "deep").mkdir(parents=True)
    (tmp_path / "dir" / "deep" / "x y.txt").write_text("deep")
    (tmp_path / "big.bin").write_bytes(bytes(range(256)) * 8192)
    (tmp_path / "empty").write_bytes(b"")
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(tmp_path / "big.bin"))
        mlflow.log_artifact(str(tmp_path / "empty"), artifact_path="sub")
        mlflow.log_artifacts(str(tmp_path / "dir"), artifact_path="tree")
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_dict({"a": [1, 2]}, "notes/a.json")
        mlflow.log_dict({"a": 1}, "notes/a.yaml")
        mlflow.log_table({"q": ["a", "b"], "n": [1, 2]}, "table.json")
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        figure, axes = pyplot.subplots()
        axes.plot([1, 2])
        mlflow.log_figure(figure, "plots/f.png")
    rid = run.info.run_id
    assert sorted(f.path for f in client.list_artifacts(rid)) == ["big.bin", "notes", "plots", "sub", "table.json", "tree"]
    assert [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(rid, "tree/deep")] == [("tree/deep/x y.txt", False, 4)]
    assert client.list_artifacts(rid, "nothing") == []
    local = mlflow.artifacts.download_artifacts(run_id=rid, artifact_path="big.bin", dst_path=str(tmp_path / "out"))
    assert open(local, "rb").read() == bytes(range(256)) * 8192
    whole = mlflow.artifacts.download_artifacts(artifact_uri=f"runs:/{rid}/tree", dst_path=str(tmp_path / "out"))
    assert open(whole + "/deep/x y.txt").read() == "deep"
    assert mlflow.artifacts.load_text(run.info.artifact_uri + "/notes/a.txt") == "hello"
    assert mlflow.artifacts.load_dict(run.info.artifact_uri + "/notes/a.json") == {"a": [1, 2]}
    assert mlflow.load_table("table.json", run_ids=[rid])["n"].tolist() == [1, 2]
    with pytest.raises(Exception, match="Failed to download artifacts"):
        mlflow.artifacts.download_artifacts(run_id=rid, artifact_path="gone.txt")


def test_inputs(client, experiment):
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    data = mlflow.data.from_pandas(frame, source="https://example.org/data.csv", name="bike", targets="y")
    with mlflow.start_run() as run:
        mlflow.log_input(data, context="training", tags={"k": "v"})
        mlflow.log_input(data, context="training")  # the same data again is the same input
    inputs = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert len(inputs) == 1 and inputs[0].dataset.name == "bike" and inputs[0].dataset.digest == data.digest
    assert {t.key: t.value for t in inputs[0].tags}["mlflow.data.context"] == "training"
    assert mlflow.data.get_source(inputs[0]).to_dict()["url"] == "https://example.org/data.csv"
    found = mlflow.search_runs([experiment.experiment_id], filter_string="datasets.name = 'bike' AND dataset.context = 'training'")
    assert found.run_id.tolist() == [run.info.run_id]
    assert isinstance(inputs[0].dataset, Dataset)


def test_search_runs(client, experiment):
    eid = experiment.experiment_id
    ids = []
    for i in range(25):
        run = client.create_run(eid, start_time=1_700_000_000_000 + i, run_name=f"run-{i}", tags={"parity": "even" if i % 2 == 0 else "odd"})
        client.log_batch(run.info.run_id, metrics=[Metric("acc", i / 25, 1, 0)] if i else [], params=[Param("lr", str(i % 5)), Param("odd key", "x")])
        ids.append(run.info.run_id)

    def search(filter_string="", **kw):
        return [ids.index(r.info.run_id) for r in client.search_runs([eid], filter_string, **kw)]

    assert search() == list(range(24, -1, -1))
    assert search("metrics.acc > 0.5 and params.lr = '1'", order_by=["metrics.acc DESC"]) == [21, 16]
    assert search("metrics.acc <= 0.08 AND tags.parity != 'odd'") == [2]
    assert search("params.`odd key` LIKE 'x%' AND attributes.run_name ILIKE 'RUN-1'") == [1]
    assert search(f"run_id IN ('{ids[3]}', '{ids[4]}')") == [4, 3]
    assert search("start_time >= 1700000000022") == [24, 23, 22]
    assert search("tags.none IS NULL AND params.lr = '0'", max_results=2) == [20, 15]
    assert search("`run name` = 'run-7' OR (tags.parity = 'even' AND metrics.acc > 0.9)") == [24, 7]
    assert search("", order_by=["metrics.acc ASC"], max_results=2) == [1, 2]
    assert search("", order_by=["metrics.acc ASC"])[-1] == 0  # no value sorts last
    assert search("", order_by=["params.lr ASC", "metrics.acc DESC"], max_results=3) == [20, 15, 10]
    seen, token = [], None
    while True:
        page = client.search_runs([eid], "tags.parity = 'odd'", max_results=5, order_by=["metrics.acc DESC"], page_token=token)
        seen += [ids.index(r.info.run_id) for r in page]
        token = page.token
        if not token:
            break
    assert seen == list(range(23, 0, -2))
    frame = mlflow.search_runs([eid], "params.lr = '3'", order_by=["start_time ASC"])
    assert frame["tags.mlflow.runName"].tolist() == [f"run-{i}" for i in (3, 8, 13, 18, 23)] and frame["metrics.acc"].iloc[0] == 3 / 25
    client.delete_run(ids[0])
    assert search("", run_view_type=ViewType.DELETED_ONLY) == [0]
    assert len(search("", run_view_type=ViewType.ALL)) == 25
    assert len(mlflow.search_runs(experiment_names=[experiment.name, "none"])) == 24


def test_tracing_does_not_break_a_run():
    """Traces are not kept yet: a script that makes them goes on."""
    with mlflow.start_run() as run:
        with mlflow.start_span("work"):
            mlflow.log_metric("m", 1)
    mlflow.flush_trace_async_logging()
    assert mlflow.get_run(run.info.run_id).data.metrics == {"m": 1}


def test_async_logging(client):
    with mlflow.start_run() as run:
        for i in range(50):
            mlflow.log_metric("m", i, step=i, synchronous=False)
        mlflow.flush_async_logging()
    assert [m.value for m in client.get_metric_history(run.info.run_id, "m")] == list(range(50))


def test_kill_and_restart(tmp_path):
    """What was acknowledged before kill -9 is there afterwards."""
    from server import Server

    own = Server(tmp_path / "own").start()
    try:
        client = mlflow.MlflowClient(own.url)
        rid = client.create_run("0", run_name="survivor").info.run_id
        for i in range(30):
            client.log_metric(rid, "m", i, step=i)
        client.log_param(rid, "p", "1")
        mlflow.set_tracking_uri(own.url)
        client.log_text(rid, "kept", "a.txt")
        before = time.monotonic()
        own.kill_and_restart()
        print(f"killed and ready again in {time.monotonic() - before:.2f} s")
        got = client.get_run(rid)
        assert got.data.params == {"p": "1"} and [m.value for m in client.get_metric_history(rid, "m")] == list(range(30))
        assert mlflow.artifacts.load_text(got.info.artifact_uri + "/a.txt") == "kept"
    finally:
        own.stop()
