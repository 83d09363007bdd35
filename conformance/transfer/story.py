"""What is moved in the tests: fill() writes a little of everything with the official client, dump() reads all of it back as plain data."""

import hashlib
import math
import os
import pathlib
import tempfile

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType

MLMODEL = """artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.pyfunc.model
    python_version: 3.11.7
mlflow_version: {version}
model_uuid: 3f0c1dd7b1ee4c0f8a86a3a6a1b6a001
run_id: {run}
utc_time_created: '2026-01-02 03:04:05.000000'
"""

PROMPT = "tags.`mlflow.prompt.is_prompt` = 'true'"
IS3 = int(mlflow.__version__.split(".")[0]) >= 3


def put(client, run_id, path, data):
    with tempfile.TemporaryDirectory() as d:
        f = pathlib.Path(d) / pathlib.PurePosixPath(path).name
        f.write_bytes(data)
        parent = str(pathlib.PurePosixPath(path).parent)
        client.log_artifact(run_id, str(f), None if parent == "." else parent)


def fill(uri, real_model=False, points=120):
    """Experiments, runs in every state, histories with odd values, inputs, files, logged models, a registry and a prompt."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    c = MlflowClient(uri)
    wines = c.create_experiment("wines", tags={"team": "cellar", "note": "línea\nzwei"})
    start = 1_700_000_000_000
    run = c.create_run(wines, start_time=start, run_name="first try", tags={"kind": "nightly", "mlflow.user": "ana"}).info.run_id
    c.log_batch(
        run,
        metrics=[Metric("loss", 1 / (i + 1), start + i * 10, i) for i in range(points)]
        + [Metric("odd", v, start + i, i - 2) for i, v in enumerate([math.nan, 1.5, math.inf, -math.inf, -0.0, 1e300, 5e-324])]
        + [Metric("a b/c-d.e", 3, start, 0), Metric("back", 2.0, start, 5), Metric("back", 1.0, start, 4)],
        params=[Param("depth", "3"), Param("empty", ""), Param("long", "ü" * 400), Param("lines", "one\ntwo ")],
        tags=[RunTag("ünicode", "✓"), RunTag("lines", "a\nb\n")],
    )
    data = Dataset("wine", "abc123", "local", '{"uri": "wine.csv"}', '{"mlflow_colspec": []}', '{"num_rows": 6}')
    c.log_inputs(run, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
    put(c, run, "notes.txt", b"hello\n")
    put(c, run, "deep/er/empty.bin", b"")
    put(c, run, "deep/grüße & 100%.txt", "hej".encode())
    put(c, run, "model/MLmodel", MLMODEL.format(version=mlflow.__version__, run=run).encode())
    put(c, run, "model/python_model.pkl", b"\x00\x01" * 5000)
    c.set_terminated(run, "FINISHED", start + 60_000)

    child = c.create_run(wines, start_time=start + 1000, run_name="child", tags={"mlflow.parentRunId": run}).info.run_id
    c.log_metric(child, "loss", 0.5, start + 1000, 1)
    c.set_terminated(child, "FAILED", start + 2000)
    c.create_run(wines, start_time=start + 3000, run_name="running")
    gone = c.create_run(wines, start_time=start + 4000, run_name="gone").info.run_id
    c.log_param(gone, "p", "1")
    c.delete_run(gone)

    other = c.create_experiment("other/one")
    killed = c.create_run(other, start_time=start + 5000, run_name="killed").info.run_id
    c.set_terminated(killed, "KILLED", start + 6000)
    old = c.create_experiment("given up")
    c.log_metric(c.create_run(old, start_time=start, run_name="old").info.run_id, "m", 1.0, start, 0)
    c.delete_experiment(old)

    c.create_registered_model("wine-quality", tags={"owner": "ana"}, description="Predicts quality")
    c.create_model_version("wine-quality", f"runs:/{run}/model", run, tags={"checked": "yes"}, description="first")
    if IS3:
        logged(c, wines, run, real_model)
    else:
        c.create_model_version("wine-quality", f"runs:/{run}/model", run, description="again")
    c.transition_model_version_stage("wine-quality", "1", "Staging")
    c.set_registered_model_alias("wine-quality", "champion", "2")
    c.set_registered_model_alias("wine-quality", "previous", "1")
    if IS3:
        mlflow.genai.register_prompt("greeting", "Hello {{name}}", commit_message="first", tags={"lang": "en"})
        mlflow.genai.register_prompt("greeting", "Good day {{name}}", commit_message="politer")
        mlflow.genai.set_prompt_alias("greeting", "live", 2)
    return {"run": run, "child": child, "experiment": wines}


def logged(c, experiment, run, real_model):
    """A logged model of MLflow 3, with its parameters, tags and metrics, and the version that is made of it."""
    if real_model:
        import numpy as np
        from sklearn.linear_model import LinearRegression

        mlflow.set_experiment(experiment_id=experiment)
        with mlflow.start_run(run_name="real") as r:
            x = np.arange(12.0).reshape(6, 2)
            m = mlflow.sklearn.log_model(LinearRegression().fit(x, x[:, 0]), name="lin", params={"alpha": "0.1"}, input_example=x[:2])
            mlflow.log_metric("rmse", 0.25, step=3, model_id=m.model_id)
        model_id, run, source = m.model_id, r.info.run_id, m.model_uri
    else:
        m = c.create_logged_model(experiment, "lin", run, tags={"a": "b"}, params={"alpha": "0.1"}, model_type="agent")
        with tempfile.TemporaryDirectory() as d:
            (pathlib.Path(d) / "MLmodel").write_text(MLMODEL.format(version=mlflow.__version__, run=run))
            (pathlib.Path(d) / "data").mkdir()
            (pathlib.Path(d) / "data" / "weights.bin").write_bytes(bytes(range(256)) * 10)
            c.log_model_artifacts(m.model_id, d)
        c.finalize_logged_model(m.model_id, "READY")
        c.log_outputs(run, [mlflow.entities.LoggedModelOutput(m.model_id, 2)])
        c.log_batch(
            run,
            metrics=[
                Metric("rmse", v, 1_700_000_000_000 + i, i, model_id=m.model_id, dataset_name="wine", dataset_digest="abc123")
                for i, v in enumerate([0.5, 0.25])
            ],
        )
        model_id, source = m.model_id, f"models:/{m.model_id}"
    c.set_logged_model_tags(model_id, {"stage": "kept"})
    c.create_model_version("wine-quality", source, run, model_id=model_id, description="from a logged model")


def number(v):
    return repr(float(v))


def files(list_dir, download, path=None):
    out = {}
    for f in list_dir(path):
        if f.is_dir:
            out.update(files(list_dir, download, f.path))
        else:
            out[f.path] = hashlib.sha256(pathlib.Path(download(f.path)).read_bytes()).hexdigest()
    return out


def dump(uri, artifacts=True):
    """Everything there is, by names and run ids; ids of experiments and places of files differ between stores and are left out."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    c = MlflowClient(uri)
    out = {"experiments": {}, "runs": {}, "models": {}, "logged_models": {}}
    names = {}
    for e in c.search_experiments(view_type=ViewType.ALL):
        names[e.experiment_id] = e.name
        out["experiments"][e.name] = {"tags": user_tags(e.tags), "lifecycle": e.lifecycle_stage}
    for r in c.search_runs(list(names), run_view_type=ViewType.ALL, max_results=5000):
        out["runs"][r.info.run_id] = one_run(c, r, names, artifacts)
    models = [(m, "") for m in c.search_registered_models()]
    if IS3:  # prompts and their versions are found only when they are asked for
        models += [(m, " AND " + PROMPT) for m in c.search_registered_models(PROMPT)]
    for m, kind in models:
        out["models"][m.name] = {
            "description": m.description or "",
            "tags": {k: v for k, v in m.tags.items() if k != "_mlflow_experiment_ids"},
            "aliases": {a: str(v) for a, v in m.aliases.items()},
            "versions": {str(v.version): one_version(v) for v in c.search_model_versions(f"name='{m.name}'" + kind)},
        }
    if IS3:
        for m in c.search_logged_models(list(names)):
            out["logged_models"][m.model_id] = one_model(c, m, names, artifacts)
    return out


def user_tags(tags):
    return {k: v for k, v in tags.items() if not k.startswith("modelyard.") and k != "mlflow.experimentKind"}


def one_run(c, r, names, artifacts):
    i = r.info
    out = {
        "experiment": names[i.experiment_id],
        "name": i.run_name,
        "status": i.status,
        "start": i.start_time,
        "end": i.end_time,
        "user": i.user_id,
        "lifecycle": i.lifecycle_stage,
        "params": dict(r.data.params),
        "tags": user_tags(r.data.tags),
        "latest": {k: number(v) for k, v in r.data.metrics.items()},
        "history": {
            k: sorted([m.step, m.timestamp, number(m.value)] for m in c.get_metric_history(i.run_id, k)) for k in r.data.metrics
        },
        "inputs": [
            [d.dataset.name, d.dataset.digest, d.dataset.source_type, d.dataset.source, d.dataset.schema, d.dataset.profile, {t.key: t.value for t in d.tags}]
            for d in (r.inputs.dataset_inputs if r.inputs else [])
        ],
    }
    if IS3:
        out["outputs"] = sorted([m.model_id, m.step] for m in (r.outputs.model_outputs if r.outputs else []))
    if artifacts and i.lifecycle_stage == "active":
        with tempfile.TemporaryDirectory() as d:
            out["files"] = files(lambda p: c.list_artifacts(i.run_id, p), lambda p: c.download_artifacts(i.run_id, p, d))
    return out


def one_version(v):
    return {
        "run": v.run_id or "",
        "description": v.description or "",
        "tags": dict(v.tags),
        "stage": v.current_stage,
        "status": v.status,
        "created": v.creation_timestamp,
        "model_id": getattr(v, "model_id", None) or "",
    }


def one_model(c, m, names, artifacts):
    out = {
        "experiment": names[m.experiment_id],
        "name": m.name,
        "type": m.model_type or "",
        "status": str(m.status),
        "run": m.source_run_id or "",
        "created": m.creation_timestamp,
        "params": dict(m.params or {}),
        "tags": user_tags(m.tags or {}),
        "metrics": latest(m.metrics or []),
    }
    if artifacts:
        with tempfile.TemporaryDirectory() as d:
            root = pathlib.Path(mlflow.artifacts.download_artifacts(f"models:/{m.model_id}", dst_path=d))
            out["files"] = {
                str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
                for p in root.rglob("*")
                if p.is_file() and p.name != "registered_model_meta"
            }
    return out


def latest(metrics):
    best = {}
    for m in metrics:
        k = (m.key, m.dataset_name or "", m.dataset_digest or "", m.run_id)
        if k not in best or (m.step, m.timestamp) >= best[k][:2]:
            best[k] = (m.step, m.timestamp, number(m.value))
    return sorted([*k, *v] for k, v in best.items())
