"""Replays the requests of the R client (read from its source, mlflow/R of MLflow 3.17): every scalar in a body is text, as R's encoder sends it."""

import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

STEPS = json.loads((Path(__file__).parent / "requests.json").read_text())


def fill(value, known):
    if isinstance(value, str):
        for k, v in known.items():
            value = value.replace("$" + k, v)
        return value
    if isinstance(value, list):
        return [fill(v, known) for v in value]
    if isinstance(value, dict):
        return {k: fill(v, known) for k, v in value.items()}
    return value


def dig(value, path):
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def send(url, step):
    data = None
    if "body" in step:
        data = json.dumps(step["body"]).encode()
    elif "raw" in step:
        data = step["raw"].encode()
    if "query" in step:
        url += "?" + urllib.parse.urlencode(step["query"])
    request = urllib.request.Request(url, data=data, method=step["method"], headers={"User-Agent": "mlflow-r-client/3.17.0", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as r:
            return r.status, json.loads(r.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def test_recorded_requests(server):
    known = {}
    for step in STEPS:
        step = fill(step, known)
        path = step["path"]
        url = server.url + ("/api/2.0/" + path[3:] if path.startswith("../") else "/api/2.0/mlflow/" + path)
        status, answer = send(url, step)
        assert status == step.get("status", 200), (step, answer)
        for where, want in step.get("expect", {}).items():
            assert dig(answer, where) == want, (step, answer)
        known.update({name: dig(answer, where) for name, where in step.get("save", {}).items()})
    assert len(STEPS) > 40
