"""First step: collect the labelled hours there are, keep the newest two weeks for judging, register both as dataset versions.

The registered data is checked against the dataset's contract by the server: broken data ends the pipeline here.
"""

import io
import json
import os
import urllib.error
import urllib.parse
import urllib.request

import pandas as pd

SERVER = os.environ["MODELYARD_SERVER"]
ENDPOINT = os.environ.get("MODELYARD_PARAM_ENDPOINT", "")
FEATURES = ["hour", "weekday", "workingday", "holiday", "temperature", "feels_like", "humidity", "windspeed"]
COLUMNS = ["time", *FEATURES, "riders"]
HOLDOUT = pd.Timedelta(days=14)


def call(method: str, path: str, body: bytes | None = None, **query: str) -> bytes:
    url = f"{SERVER}{path}?{urllib.parse.urlencode(query)}"
    headers = {"Content-Type": "application/octet-stream"}
    if os.environ.get("MODELYARD_TOKEN"):
        headers["Authorization"] = f"Bearer {os.environ['MODELYARD_TOKEN']}"
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read()
    except urllib.error.HTTPError as e:
        raise SystemExit(f"{method} {path}: {e.code} {e.read().decode()}") from None


def dataset(name: str) -> pd.DataFrame:
    try:
        return pd.read_csv(io.BytesIO(call("GET", f"/api/v1/datasets/{name}/versions/latest/data", format="csv")))[COLUMNS]
    except SystemExit as e:
        if ": 404 " in str(e):
            return pd.DataFrame(columns=COLUMNS)
        raise


def labelled_predictions() -> pd.DataFrame:
    frame = pd.read_csv(io.BytesIO(call("GET", f"/api/v1/endpoints/{ENDPOINT}/predictions/export", format="csv", labelled="true")))
    frame = frame[frame["role"] != "shadow"].drop(columns="time")  # the server's time; what counts is the hour that the row is about
    frame = frame.rename(columns={"event_time": "time", "label": "riders", **{f"input.{f}": f for f in FEATURES}})
    return frame[COLUMNS]


def push(name: str, frame: pd.DataFrame, description: str) -> dict:
    body = frame.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%SZ").encode()
    return json.loads(call("POST", f"/api/v1/datasets/{name}/versions", body, format="csv", time_column="time", target="riders", description=description))


def main() -> None:
    parts = [dataset("bike-demand"), dataset("bike-demand-recent")]
    if ENDPOINT:
        parts.append(labelled_predictions())
    rows = pd.concat([p for p in parts if len(p)], ignore_index=True)
    rows["time"] = pd.to_datetime(rows["time"], utc=True, format="ISO8601")
    rows = rows.drop_duplicates("time", keep="last").sort_values("time")
    for column in ["hour", "weekday", "workingday", "holiday", "riders"]:
        rows[column] = rows[column].astype(float).round().astype(int)
    split = rows["time"].max() - HOLDOUT
    train, recent = rows[rows["time"] <= split], rows[rows["time"] > split]
    span = f"{train['time'].min():%d %b} to {train['time'].max():%d %b %Y}"
    version = push("bike-demand", train, f"labelled hours, {span}")
    judged = push("bike-demand-recent", recent, "the newest two weeks with labels, kept out of training")
    train.to_csv("train.csv", index=False)
    print(f"train on bike-demand@{version['version']}: {len(train)} hours, {span}")
    print(f"judge on bike-demand-recent@{judged['version']}: {len(recent)} hours")
    with open("dataset.json", "w") as f:
        json.dump({"version": version["version"], "digest": version["digest"], "url": f"{SERVER}/api/v1/datasets/bike-demand/versions/{version['version']}/data"}, f)
    with open(os.environ["MODELYARD_OUTPUT"], "a") as f:
        f.write(f"dataset=bike-demand@{version['version']}\nrecent=bike-demand-recent@{judged['version']}\n")


if __name__ == "__main__":
    main()
