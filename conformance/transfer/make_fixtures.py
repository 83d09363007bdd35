"""Makes the stores in internal/transfer/testdata with the MLflow that is installed: python make_fixtures.py [name] OUT_DIR

For MLflow 3 (name mlflow3): pip install mlflow==3.17.2; for MLflow 2 (name mlflow2): pip install mlflow==2.9.2 'setuptools<80'.
NAME.tar.gz holds db/ (mlflow.db and its files) and mlruns/ (a file store); NAME-db.json and NAME-mlruns.json are what MLflow's own client reads from them."""

import gzip
import io
import json
import os
import pathlib
import shutil
import sys
import tarfile
import tempfile

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import story


def main(name, out):
    work = pathlib.Path(tempfile.mkdtemp())
    cwd = os.getcwd()
    for kind in ["db", "mlruns"]:
        folder = work / kind
        folder.mkdir()
        os.chdir(folder if kind == "db" else work)
        uri = "sqlite:///mlflow.db" if kind == "db" else str(folder)
        story.fill(uri, points=60)
        dump = story.dump(uri)
        (out / f"{name}-{kind}.json").write_text(json.dumps(dump, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    os.chdir(cwd)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as t:
        for p in sorted(work.rglob("*")):
            info = t.gettarinfo(p, str(p.relative_to(work)))
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            with open(p, "rb") if p.is_file() else io.BytesIO() as f:
                t.addfile(info, f)
    (out / f"{name}.tar.gz").write_bytes(gzip.compress(raw.getvalue(), mtime=0))
    shutil.rmtree(work)


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]).absolute())
