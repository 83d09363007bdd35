"""From a real MLflow server to ours, and from ours to another one: the same things in all three, seen by MLflow's own client."""

import json
import os
import signal
import subprocess

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

import story
from conftest import BIN


def client(server):
    return MlflowClient(server.url, server.url)


def counts(report, what):
    return {noun: c[what] for noun, c in report["by"].items() if c[what]}


def assert_same(got, want):
    for noun, things in want.items():
        for name, thing in things.items():
            assert name in got[noun], f"{noun} {name} is missing"
            for field, value in thing.items():
                assert got[noun][name].get(field) == value, f"{noun} {name} {field}"


def test_import_from_a_server(source, ours):
    r = ours.report("import", "mlflow", "--from", source.url)
    assert not r["problems"] and counts(r, "same") == counts(r, "source")
    assert r["by"]["runs"]["created"] == 7 and r["by"]["logged models"]["created"] == 1 and r["by"]["prompts"]["created"] == 1
    assert_same(story.dump(ours.url), source.dump)

    again = ours.report("import", "mlflow", "--from", source.url)
    assert not counts(again, "created") and not counts(again, "updated") and again["points"] == again["files"] == 0
    assert counts(again, "same") == counts(again, "source")

    full = ours.report("import", "mlflow", "--from", source.url, "--full")
    assert not counts(full, "created") and not full["problems"] and full["points"] > 100
    assert_same(story.dump(ours.url), source.dump)


def test_models_load_after_the_import(source, ours):
    ours.run("import", "mlflow", "--from", source.url, "-q")
    mlflow.set_tracking_uri(ours.url)
    mlflow.set_registry_uri(ours.url)
    x = np.arange(12.0).reshape(6, 2)
    model_id = next(iter(source.dump["logged_models"]))
    for uri in ["models:/wine-quality/2", "models:/wine-quality@champion", f"models:/{model_id}"]:
        np.testing.assert_allclose(mlflow.pyfunc.load_model(uri).predict(x), x[:, 0], atol=1e-9)
    assert mlflow.genai.load_prompt("prompts:/greeting@live").template == "Good day {{name}}"
    history = ours.run("model", "history", "wine-quality").stdout
    assert "imported" in history and "champion" in history


def test_the_same_source_by_file(source, ours):
    """The server's database and its artifact folder give what the server gives."""
    r = ours.report("import", "mlflow", "--from", f"sqlite:///{source.folder}/mlflow.db")
    assert not r["problems"] and r["by"]["files"]["created"] > 5
    assert_same(story.dump(ours.url), source.dump)
    by_server = ours.report("import", "mlflow", "--from", source.url)
    assert not counts(by_server, "created") and not counts(by_server, "updated"), "the same runs, however they are reached"


def test_what_has_changed_is_brought_up_to_date(second, ours):
    ids = story.fill(second.url, points=10)
    ours.run("import", "mlflow", "--from", second.url, "-q")
    mine, theirs = client(ours), client(second)
    mine.set_tag(ids["child"], "added here", "stays")
    theirs.log_metric(ids["child"], "loss", 0.1, 1_700_000_009_000, 9)
    theirs.set_tag(ids["child"], "added there", "comes")
    story.put(theirs, ids["run"], "late.txt", b"later")
    theirs.set_registered_model_alias("wine-quality", "champion", "1")
    c = theirs.create_run(ids["experiment"], run_name="new")
    r = ours.report("import", "mlflow", "--from", second.url)
    assert r["by"]["runs"]["created"] == 1 and r["by"]["runs"]["updated"] == 1 and r["by"]["files"]["created"] == 1 and not r["problems"]
    child = mine.get_run(ids["child"])
    assert child.data.tags["added here"] == "stays" and child.data.tags["added there"] == "comes" and child.data.metrics["loss"] == 0.1
    assert len(mine.get_metric_history(ids["child"], "loss")) == 2
    assert mine.get_registered_model("wine-quality").aliases["champion"] in (1, "1")
    assert mine.get_run(c.info.run_id).info.run_name == "new"
    # a run that was moved here stays where it was moved to
    elsewhere = mine.create_experiment("elsewhere")
    ours.run("run", "move", ids["child"], "--to", "elsewhere")
    theirs.set_tag(ids["child"], "more", "1")
    ours.run("import", "mlflow", "--from", second.url, "-q")
    assert mine.get_run(ids["child"]).info.experiment_id == elsewhere


def test_kill_and_go_on(second, ours):
    """kill -9 in the middle, again and again, until one call gets to the end."""
    c = client(second)
    e = c.create_experiment("many")
    for i in range(40):
        run = c.create_run(e, start_time=1_700_000_000_000 + i).info.run_id
        c.log_batch(run, metrics=[Metric("m", j / 7, 1_700_000_000_000 + j, j) for j in range(200)])
        story.put(c, run, "f.bin", bytes([i]) * 10_000)
        c.set_terminated(run)
    seen = []  # runs that were here when it was killed
    for _ in range(60):
        p = subprocess.Popen([BIN, "import", "mlflow", "--from", second.url, "--experiment", "many", "-q", "-o", "json"], stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "MODELYARD_SERVER": ours.url})
        try:
            out, _ = p.communicate(timeout=0.25 + 0.05 * len(seen))
            break
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGKILL)
            p.communicate()
            e = client(ours).get_experiment_by_name("many")
            seen.append(len(client(ours).search_runs([e.experiment_id])) if e else 0)
    assert p.returncode == 0 and seen, "it was killed at least once"
    r = json.loads(out)
    runs = next(x for x in r["counts"] if x["noun"] == "runs")
    assert runs["source"] == runs["same"] == 40 and runs["unchanged"] > 0, (seen, r)
    got, want = story.dump(ours.url), story.dump(second.url)
    assert_same(got, {"runs": {i: r for i, r in want["runs"].items() if r["experiment"] == "many"}})


def test_names_that_are_taken(source, ours):
    client(ours).create_experiment("wines")
    out = ours.run("import", "mlflow", "--from", source.url, ok=False)
    assert out.returncode == 5 and "--prefix" in out.stderr and "--into-existing" in out.stderr
    r = ours.report("import", "mlflow", "--from", source.url, "--prefix", "old/", "--experiment", "wines", "--experiment", "other/one")
    assert not r["problems"] and r["by"]["experiments"]["created"] == 2
    names = {e.name for e in client(ours).search_experiments()}
    assert names == {"Default", "wines", "old/wines", "old/other/one"}, "the refused call left nothing behind"


def test_filters(source, ours):
    r = ours.report("import", "mlflow", "--from", source.url, "--experiment", "other/one", "--no-artifacts")
    assert r["by"]["runs"]["source"] == 1 and r["by"]["files"]["source"] == 0 and r["by"]["registered models"]["source"] == 0
    r = ours.report("import", "mlflow", "--from", source.url, "--since", "2023-11-14T22:13:23Z", "--experiment", "wines")
    assert r["by"]["runs"]["source"] == 3, "running, gone and real"
    out = ours.run("import", "mlflow", "--from", source.url, "--experiment", "no such", ok=False)
    assert out.returncode == 3


def test_export_and_back(source, ours, third):
    ours.run("import", "mlflow", "--from", source.url, "-q")
    r = ours.report("export", "mlflow", "--to", third.url)
    assert not r["problems"] and counts(r, "same") == counts(r, "source")
    again = ours.report("export", "mlflow", "--to", third.url)
    assert not counts(again, "created") and not counts(again, "updated") and again["points"] == again["files"] == 0, again
    got, want = story.dump(third.url), source.dump
    c = client(third)
    run_of, model_of = {}, {}
    for e in c.search_experiments(view_type=mlflow.entities.ViewType.ALL):
        for run in c.search_runs([e.experiment_id], run_view_type=mlflow.entities.ViewType.ALL):
            run_of[run.data.tags["modelyard.source_run_id"]] = run.info.run_id
        for m in c.search_logged_models([e.experiment_id]):
            model_of[m.tags["modelyard.source_model_id"]] = m.model_id
    text = json.dumps(want)
    for old, new in {**run_of, **model_of}.items():
        text = text.replace(old, new)
    want = json.loads(text)
    for name, e in want["experiments"].items():
        assert got["experiments"][name] == e or name == "Default"
    # histories that went through SQL twice are equal to the last digit
    assert_same({"runs": without_inner_ids(got["runs"])}, {"runs": without_inner_ids(want["runs"])})
    for name, m in want["models"].items():
        there = got["models"][name]
        assert there["aliases"] == m["aliases"] and there["description"] == m["description"]
        for number, v in m["versions"].items():
            x = there["versions"][number]
            assert {k: x[k] for k in ["run", "description", "stage", "model_id"]} == {k: v[k] for k in ["run", "description", "stage", "model_id"]}
            assert v["tags"].items() <= x["tags"].items()
    mlflow.set_tracking_uri(third.url)
    mlflow.set_registry_uri(third.url)
    x = np.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(mlflow.pyfunc.load_model("models:/wine-quality@champion").predict(x), x[:, 0], atol=1e-9)


def without_inner_ids(runs):
    """Files written by the model's flavour name the run and model inside; they are compared by their checksums with the originals."""
    return {i: {k: v for k, v in r.items() if k not in ("user",)} for i, r in runs.items()}


@pytest.mark.parametrize("children", [True, False])
def test_moving_runs_keeps_files_in_reach(ours, tmp_path, children):
    mlflow.set_tracking_uri(ours.url)
    c = client(ours)
    mlflow.set_experiment("from")
    with mlflow.start_run() as parent:
        mlflow.log_text("hello", "a/b.txt")
        mlflow.log_metric("m", 1.5, step=2)
        with mlflow.start_run(nested=True) as child:
            mlflow.log_param("p", "1")
    old_uri = parent.info.artifact_uri
    to = c.create_experiment("to")
    ours.run("run", "move", parent.info.run_id, "--to", "to", *(["--children"] if children else []))
    now = c.get_run(parent.info.run_id)
    assert now.info.experiment_id == to and now.data.metrics["m"] == 1.5 and now.info.artifact_uri != old_uri
    assert c.get_run(child.info.run_id).info.experiment_id == (to if children else parent.info.experiment_id)
    assert [r.info.run_id for r in c.search_runs([to], "metrics.m > 1")] == [parent.info.run_id]
    assert not c.search_runs([parent.info.experiment_id], "metrics.m > 1")
    for uri in [old_uri, now.info.artifact_uri, f"runs:/{parent.info.run_id}"]:
        assert mlflow.artifacts.load_text(uri + "/a/b.txt") == "hello"
    stale = mlflow.store.artifact.artifact_repository_registry.get_artifact_repository(old_uri)
    (tmp_path / "c.txt").write_text("more")
    stale.log_artifact(str(tmp_path / "c.txt"))  # a client that still has the old address goes on logging
    assert mlflow.artifacts.load_text(now.info.artifact_uri + "/c.txt") == "more"
    wrong = old_uri.replace(f"/{parent.info.experiment_id}/", "/0/")
    with pytest.raises(Exception):
        mlflow.artifacts.load_text(wrong + "/a/b.txt")


def test_merging_experiments_and_copying_versions(source, ours):
    ours.run("import", "mlflow", "--from", source.url, "-q")
    c = client(ours)
    mlflow.set_tracking_uri(ours.url)
    mlflow.set_registry_uri(ours.url)
    before = story.dump(ours.url)
    ours.run("experiment", "merge", "wines", "--into", "other/one", "-y")
    after = story.dump(ours.url)
    into = c.get_experiment_by_name("other/one")
    assert c.get_experiment_by_name("wines").lifecycle_stage == "deleted" and into.tags["team"] == "cellar"
    for noun in ("runs", "logged_models"):
        for name, x in before[noun].items():
            x["experiment"] = x["experiment"].replace("wines", "other/one")
            assert after[noun][name] == x
    x = np.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(mlflow.pyfunc.load_model("models:/wine-quality@champion").predict(x), x[:, 0], atol=1e-9)
    # a later import follows the merge
    r = ours.report("import", "mlflow", "--from", source.url)
    assert not counts(r, "created") and not counts(r, "updated")

    ours.run("model", "copy", "wine-quality/2", "--to", "production-wine")
    v, original = c.get_model_version("production-wine", "1"), c.get_model_version("wine-quality", "2")
    assert v.source == "models:/wine-quality/2" and v.run_id == original.run_id and v.tags == original.tags and not v.aliases
    by_client = c.copy_model_version("models:/wine-quality/2", "by-client")
    assert (by_client.source, by_client.run_id, by_client.tags) == (v.source, v.run_id, v.tags)
    np.testing.assert_allclose(mlflow.pyfunc.load_model("models:/production-wine/1").predict(x), x[:, 0], atol=1e-9)
