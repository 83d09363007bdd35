"""The same calls with workspaces on a real MLflow server (--enable-workspaces) and on ours: the same statuses and codes."""

import json
import urllib.error
import urllib.request

import pytest
from conftest import MLflow, Ours

W, A = "/api/3.0/mlflow/workspaces", "/api/2.0/mlflow/"


class WithWorkspaces(MLflow):
    def command(self):
        return [*super().command(), "--enable-workspaces"]


def call(url, method, path, body=None, workspace=None):
    headers = {"Content-Type": "application/json", **({"X-MLFLOW-WORKSPACE": workspace} if workspace else {})}
    r = urllib.request.Request(url + path, json.dumps(body).encode() if body is not None else None, headers, method=method)
    try:
        with urllib.request.urlopen(r) as f:
            text = f.read()
            return f.status, json.loads(text) if text.startswith(b"{") else text
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


@pytest.fixture
def both(tmp_path_factory):
    made = []
    try:
        for kind in (WithWorkspaces, Ours):
            made.append(kind(tmp_path_factory.mktemp(kind.__name__)).start())
        yield [s.url for s in made]
    finally:
        for s in made:
            s.stop()


def test_same_answers(both):
    def same(*args, workspace=None):
        theirs, ours = (call(url, *args, workspace=workspace) for url in both)
        code = [a[1].get("error_code") if isinstance(a[1], dict) else None for a in (theirs, ours)]
        if code[0] != "INVALID_STATE":  # which is a 500 there, for what the caller can mend
            assert theirs[0] == ours[0], (args, workspace, theirs, ours)
        assert code[0] == code[1], (args, workspace, theirs, ours)
        return theirs[1], ours[1]

    same("POST", W, {"name": "team-a", "description": "A"})
    same("POST", W, {"name": "team-b"})
    for bad in ({"name": "team-a"}, {"name": "default"}, {"name": "X"}, {"name": "a_b"}, {"name": "api"}, {"name": "-ab"}, {"name": 5}, {}):
        same("POST", W, bad)
    for name in ("team-a", "none", "NO", "default"):
        same("GET", f"{W}/{name}")
        same("PATCH", f"{W}/{name}", {"description": "x"})
    same("PATCH", f"{W}/team-a", {})
    for path in (f"{W}/default", f"{W}/none", f"{W}/team-a?mode=NO"):
        same("DELETE", path)
    for workspace in ("none", "Bad_", "team-a", " team-a "):
        for path in (A + "experiments/search?max_results=10", W, "/api/3.0/mlflow/server-info"):
            same("GET", path, workspace=workspace)
    ids = [a["experiment_id"] for a in same("POST", A + "experiments/create", {"name": "e"}, workspace="team-a")]
    assert ids[0] == ids[1]
    same("POST", A + "experiments/create", {"name": "e"}, workspace="team-a")
    same("POST", A + "experiments/create", {"name": "e", "artifact_location": "s3://x"}, workspace="team-a")
    same("GET", A + "experiments/get?experiment_id=" + ids[0], workspace="team-a")
    for workspace in (None, "team-b"):
        for method, path, body in [
            ("GET", f"experiments/get?experiment_id={ids[0]}", None), ("POST", "experiments/delete", {"experiment_id": ids[0]}), ("POST", "experiments/update", {"experiment_id": ids[0], "new_name": "x"}),
            ("POST", "runs/create", {"experiment_id": ids[0]}), ("POST", "runs/search", {"experiment_ids": [ids[0]]}), ("POST", "logged-models", {"experiment_id": ids[0]}),
            ("GET", "experiments/get-by-name?experiment_name=e", None),
        ]:
            same(method, A + path, body, workspace=workspace)
        same("GET", "/api/2.0/mlflow-artifacts/artifacts?path=workspaces/team-a/x", workspace=workspace)
    for workspace in ("team-a", None):
        same("POST", A + "registered-models/create", {"name": "m"}, workspace=workspace)
    same("POST", A + "registered-models/create", {"name": "m"}, workspace="team-a")
    same("POST", A + "registered-models/create", {"name": "team-b:m"})
    same("GET", A + "registered-models/get?name=m", workspace="team-b")
    same("GET", A + "registered-models/get?name=m", workspace="team-a")
    same("DELETE", f"{W}/team-a")
    same("DELETE", f"{W}/team-a?mode=SET_DEFAULT")
    same("DELETE", A + "registered-models/delete", {"name": "m"})
    same("DELETE", f"{W}/team-a?mode=SET_DEFAULT")
    same("DELETE", f"{W}/team-b?mode=CASCADE")
    theirs, ours = same("GET", A + "experiments/get-by-name?experiment_name=e")
    assert theirs["experiment"]["workspace"] == ours["experiment"]["workspace"] == "default"
