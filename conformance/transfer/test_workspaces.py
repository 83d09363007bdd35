"""One workspace of a real MLflow server (--enable-workspaces) into one of ours and on to another one: the same things, seen by MLflow's own client."""

import contextlib

import mlflow
import pytest
import story
from test_transfer import assert_same, client, counts
from test_workspace_answers import WithWorkspaces


@pytest.fixture(autouse=True)
def back_to_default():
    yield
    mlflow.set_workspace(None)


@contextlib.contextmanager
def inside(server, workspace):
    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    mlflow.set_workspace(workspace)
    yield
    mlflow.set_workspace(None)


@pytest.fixture
def teams(tmp_path_factory):
    s = WithWorkspaces(tmp_path_factory.mktemp("teams")).start()
    try:
        with inside(s, None):
            for name in ("team-a", "team-z"):
                mlflow.create_workspace(name)
        with inside(s, "team-a"):
            story.fill(s.url)
        with inside(s, None):  # the same names, in everybody's workspace
            e = mlflow.create_experiment("wines")
            client(s).create_run(e, run_name="not ours")
            client(s).create_registered_model("wine-quality", description="another")
        yield s
    finally:
        s.stop()


def dump(server, workspace):
    with inside(server, workspace):
        return story.dump(server.url)


def test_in_and_out(teams, ours):
    ours.run("workspace", "create", "team-b")
    out = ours.run("import", "mlflow", "--from", teams.url, "--source-workspace", "team-a", "--workspace", "nobody", ok=False)
    assert out.returncode == 3 and "modelyard workspace create nobody" in out.stderr
    out = ours.run("import", "mlflow", "--from", teams.url, "--source-workspace", "nobody", ok=False)
    assert out.returncode == 3 and "no workspace nobody" in out.stderr

    want = dump(teams, "team-a")
    args = ["import", "mlflow", "--from", teams.url, "--source-workspace", "team-a", "--workspace", "team-b"]
    r = ours.report(*args)
    assert not r["problems"] and counts(r, "same") == counts(r, "source") and r["by"]["runs"]["created"] == 6 and r["by"]["prompts"]["created"] == 1
    assert_same(dump(ours, "team-b"), want)
    again = ours.report(*args)
    assert not counts(again, "created") and not counts(again, "updated") and again["points"] == again["files"] == 0
    assert not dump(ours, None)["runs"], "the default workspace sees nothing of it"

    # the database of that server gives what the server gives
    by_file = ours.report("import", "mlflow", "--from", f"sqlite:///{teams.folder}/mlflow.db", "--source-workspace", "team-a", "--workspace", "team-b")
    assert not by_file["problems"] and not counts(by_file, "created") and not counts(by_file, "updated") and counts(by_file, "same") == counts(by_file, "source")
    out = ours.run("import", "mlflow", "--from", f"sqlite:///{teams.folder}/mlflow.db", "--source-workspace", "nobody", ok=False)
    assert out.returncode == 3 and "team-a" in out.stderr

    # what is in the default one stays there, and goes into another one when asked
    r = ours.report("import", "mlflow", "--from", teams.url)
    assert not r["problems"] and r["by"]["runs"]["source"] == 1 and r["by"]["registered models"]["source"] == 1

    back = ["export", "mlflow", "--to", teams.url, "--workspace", "team-b", "--target-workspace", "team-z"]
    r = ours.report(*back)
    assert not r["problems"] and counts(r, "same") == counts(r, "source") and r["by"]["runs"]["created"] == 6
    again = ours.report(*back)
    assert not counts(again, "created") and not counts(again, "updated") and again["points"] == again["files"] == 0, again
    got = dump(teams, "team-z")
    assert {r["name"] for r in got["runs"].values()} == {r["name"] for r in want["runs"].values()}
    assert sorted(str(r["files"]) for r in got["runs"].values() if "files" in r) == sorted(str(r["files"]) for r in want["runs"].values() if "files" in r)
    assert got["models"].keys() == want["models"].keys() and got["models"]["wine-quality"]["aliases"] == want["models"]["wine-quality"]["aliases"]
    assert dump(teams, "team-a") == want, "the workspace it came from is as it was"


def test_servers_without_workspaces(ours, third):
    for args in (["import", "mlflow", "--from", third.url, "--source-workspace", "team-a"], ["export", "mlflow", "--to", third.url, "--target-workspace", "team-a"]):
        out = ours.run(*args, ok=False)
        assert out.returncode != 0 and "has no workspaces" in out.stderr and "--enable-workspaces" in out.stderr
