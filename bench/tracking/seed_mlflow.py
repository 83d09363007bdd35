"""Seeds an MLflow SQLite store with runs of 10 metrics, 10 params and 3 tags, straight into its tables: over HTTP it would take hours.

usage: seed_mlflow.py STORE.db NAME=RUNS...   prints the ids of the experiments
"""

import sqlite3
import sys
import uuid

db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA synchronous=off")
ids = []
for spec in sys.argv[2:]:
    name, runs = spec.split("=")
    exp = db.execute("SELECT max(experiment_id) + 1 FROM experiments").fetchone()[0]
    db.execute("INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time) VALUES (?, ?, ?, 'active', 1, 1)",
               (exp, name, f"mlflow-artifacts:/{exp}"))
    for i in range(int(runs)):
        run = uuid.uuid4().hex
        db.execute("INSERT INTO runs (run_uuid, name, user_id, status, start_time, lifecycle_stage, artifact_uri, experiment_id, source_type, source_name, entry_point_name, source_version)"
                   " VALUES (?, ?, 'u', 'RUNNING', ?, 'active', ?, ?, 'UNKNOWN', '', '', '')", (run, f"run-{i}", 1700000000000 + i, f"mlflow-artifacts:/{exp}/{run}/artifacts", exp))
        points = [("acc" if k == 0 else f"metric_{k}", (i * (k + 7) % 1000) / 1000, 1, run, 0, 0) for k in range(10)]
        db.executemany("INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)", points)
        db.executemany("INSERT INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)", points)
        db.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", [("lr" if k == 0 else f"param_{k}", f"0.{(i + k) % 10}", run) for k in range(10)])
        db.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", [("mlflow.runName", f"run-{i}", run), ("kind", "seed", run), ("team", f"t{i % 5}", run)])
    ids.append(str(exp))
db.commit()
print(" ".join(ids))
