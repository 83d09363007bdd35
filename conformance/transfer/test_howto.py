"""docs/howto/move-from-mlflow.md, run as written: each section on a server of its own. Only the addresses of the MLflow servers are others."""

import os
import pathlib
import re
import shutil
import subprocess
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sections():
    text = (ROOT / "docs/howto/move-from-mlflow.md").read_text()
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        blocks = re.findall(r"^```sh\n(.*?)^```$", part, flags=re.M | re.S)
        if blocks:
            yield part.splitlines()[0], blocks


def pytest_generate_tests(metafunc):
    if "title" in metafunc.fixturenames:
        metafunc.parametrize("title,blocks", list(sections()))


def test_section(title, blocks, source, third, ours, tmp_path):
    with tarfile.open(ROOT / "internal/transfer/testdata/mlflow3.tar.gz") as t:
        t.extractall(tmp_path / "x", filter="data")
    shutil.move(tmp_path / "x/db/mlflow.db", tmp_path / "mlflow.db")
    shutil.move(tmp_path / "x/db/mlruns", tmp_path / "mlartifacts")
    shutil.move(tmp_path / "x/mlruns", tmp_path / "mlruns")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/modelyard").symlink_to(os.environ["MODELYARD_BIN"])
    env = {**os.environ, "MODELYARD_SERVER": ours.url, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    for block in blocks:
        script = block.replace("http://127.0.0.1:5001", source.url).replace("http://127.0.0.1:5002", third.url + " --prefix howto/ --model-prefix howto-")
        out = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert out.returncode == 0, f"{title}\n{block}\n{out.stdout}\n{out.stderr}"
