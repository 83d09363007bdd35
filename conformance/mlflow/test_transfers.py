"""Large files: in parts and in ranges, where the client asks for it."""

import mlflow
import pytest
import requests


@pytest.fixture
def big(tmp_path):
    file = tmp_path / "big.bin"
    file.write_bytes(bytes(range(256)) * (12 << 12))  # 12 MiB
    return file


def test_multipart_upload(client, big, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(1 << 20))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(5 << 20))
    sent = []
    put = requests.put
    monkeypatch.setattr(requests, "put", lambda url, **kw: sent.append(url) or put(url, **kw))
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(big), "parts")
    assert len(sent) == 3 and all("/mpu/part/" in u for u in sent)  # server-info told the client that it may
    assert [(f.path, f.file_size) for f in client.list_artifacts(run.info.run_id, "parts")] == [("parts/big.bin", 12 << 20)]
    local = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="parts/big.bin", dst_path=str(big.parent / "out"))
    assert open(local, "rb").read() == big.read_bytes()


def test_multipart_download(big, monkeypatch):
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(big))
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE", str(5 << 20))
    local = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="big.bin", dst_path=str(big.parent / "out"))
    assert open(local, "rb").read() == big.read_bytes()


def test_delete_artifacts(client):
    with mlflow.start_run() as run:
        mlflow.log_text("x", "a/b.txt")
        mlflow.log_text("y", "c.txt")
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repo = get_artifact_repository(run.info.artifact_uri)
    repo.delete_artifacts("a")
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["c.txt"]
