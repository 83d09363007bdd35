"""An experiment of its own for each test."""

import os

import pytest

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


@pytest.fixture(autouse=True)
def experiment(server, request):
    import mlflow

    mlflow.set_tracking_uri(server.url)
    yield mlflow.set_experiment(request.node.name)
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.autolog(disable=True)


@pytest.fixture
def client(server):
    from mlflow import MlflowClient

    return MlflowClient(server.url)
