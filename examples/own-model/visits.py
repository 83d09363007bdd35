"""Plays sixty days of patients against the endpoint, 25 a day, each with the day it happened; their truth arrives afterwards.

From day 36 on the patients are heavier (body mass index times 1.25). That part is made up, so that there is something to find.
"""

import datetime
import json
import os
import urllib.request

from sklearn.datasets import load_diabetes

SERVER = os.environ.get("MODELYARD_SERVER", "http://127.0.0.1:5000")
DAYS, PER_DAY, HEAVIER_FROM = 60, 25, 36


def post(path, body, headers=None):
    request = urllib.request.Request(SERVER + path, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


x, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
x = x.sample(DAYS * PER_DAY, replace=True, random_state=1)
start = datetime.datetime(2026, 1, 1, 8, tzinfo=datetime.timezone.utc)
labels = []
for i, (patient, row) in enumerate(x.iterrows()):
    day = i // PER_DAY
    record = row.to_dict()
    if day >= HEAVIER_FROM:
        record["bmi"] *= 1.25
    when = start + datetime.timedelta(days=day, minutes=10 * (i % PER_DAY))
    answer = post("/endpoints/diabetes/predict", record, {"X-Modelyard-Event-Time": when.isoformat()})
    labels.append({"prediction_id": answer["prediction_id"], "label": float(y[patient]), "event_time": when.isoformat()})
for i in range(0, len(labels), 500):
    print(post("/endpoints/diabetes/feedback", {"items": labels[i : i + 500]}))
