"""Real MLflow servers and our own, each on a free port with data of its own."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
BIN = os.environ["MODELYARD_BIN"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        self.log = open(self.folder / "server.log", "ab")
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log, cwd=self.folder, env=env, start_new_session=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(self.url + "/health", timeout=5) as r:
                    if r.read() == b"OK":
                        return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError((self.folder / "server.log").read_text()[-4000:])

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)  # this server's own group: it starts workers
        self.process.wait(30)
        self.log.close()


class MLflow(Process):
    def command(self):
        return [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--artifacts-destination",
                str(self.folder / "mlartifacts"), "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]


class Ours(Process):
    def command(self):
        return [BIN, "up", "--data-dir", str(self.folder / "data"), "--listen", f"127.0.0.1:{self.port}"]

    def run(self, *args, ok=True, env=None):
        out = subprocess.run([BIN, *args], capture_output=True, text=True, cwd=self.folder, env={**os.environ, "MODELYARD_SERVER": self.url, **(env or {})}, timeout=300)
        if ok:
            assert out.returncode == 0, out.stdout + out.stderr
        return out

    def report(self, *args, ok=True):
        out = self.run(*args, "-o", "json", ok=ok)
        r = json.loads(out.stdout)
        r["by"] = {c["noun"]: c for c in r["counts"]}
        return r


def servers(kind, tmp_path_factory, scope):
    made = []

    def make():
        made.append(kind(tmp_path_factory.mktemp(scope)).start())
        return made[-1]

    yield make
    for s in made:
        s.stop()


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """An MLflow server with a little of everything, and what its own client reads from it."""
    import story

    make = servers(MLflow, tmp_path_factory, "source")
    s = next(make)()
    s.ids = story.fill(s.url, real_model=True)
    s.dump = story.dump(s.url)
    yield s
    next(make, None)


@pytest.fixture
def ours(tmp_path_factory):
    make = servers(Ours, tmp_path_factory, "ours")
    yield next(make)()
    next(make, None)


@pytest.fixture(scope="session")
def second(tmp_path_factory):
    """An MLflow server that tests write into."""
    make = servers(MLflow, tmp_path_factory, "second")
    yield next(make)()
    next(make, None)


@pytest.fixture(scope="session")
def third(tmp_path_factory):
    """An empty MLflow server."""
    make = servers(MLflow, tmp_path_factory, "third")
    yield next(make)()
    next(make, None)
