"""Plays the whole demo and kills its server with SIGKILL at seeded moments. The demo itself checks at its end that every
acknowledged run, version, prediction and label is there; this adds the killing and looks at the outcome.

    story.py --bin bin/modelyard [--seed 7] [--kills 4]
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def holder(lock: str) -> int:
    """The process that holds the demo's data folder, or 0."""
    try:
        with open(lock) as f:
            return int(f.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


class Killer(threading.Thread):
    """Kills the server when the story has come to given lines of its ledger: progress, not seconds, so that a slow machine plays the same."""

    def __init__(self, folder: str, seed: int, kills: int) -> None:
        super().__init__(daemon=True)
        self.lock = os.path.join(folder, "data", "server.lock")
        self.ledger = os.path.join(folder, "ledger.jsonl")
        rng = random.Random(seed)
        # 2 lines are written by the first training, some 12,000 by the year
        self.moments = sorted([1] + [rng.randrange(50, 11000) for _ in range(kills - 1)])
        self.killed: list[int] = []
        self.over = threading.Event()

    def run(self) -> None:
        for moment in self.moments:
            while self.lines() < moment:
                if self.over.wait(0.02):
                    return
            pid = holder(self.lock)
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                    self.killed.append(moment)
                    print(f"killed the server after {moment} acknowledged things", flush=True)
                except ProcessLookupError:
                    pass
            self.over.wait(1)

    def lines(self) -> int:
        try:
            with open(self.ledger, "rb") as f:
                return f.read().count(b"\n")
        except OSError:
            return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kills", type=int, default=4)
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="modelyard-story-")
    killer = Killer(folder, args.seed, args.kills)
    killer.start()
    began = time.monotonic()
    done = subprocess.run(
        [os.path.abspath(args.bin), "demo", "--exit", "-o", "json", "--data-dir", folder, "--listen", f"127.0.0.1:{free_port()}"],
        stdout=subprocess.PIPE, timeout=2400, check=False)
    killer.over.set()
    killer.join()
    ok = done.returncode == 0
    if ok:
        told = json.loads(done.stdout)
        steps = told["chapters"]
        ok = len(steps) == 9 and all(s["ok"] for s in steps) and told["restarts"] >= len(killer.killed) >= 1
        for s in steps:
            print(f"{s['seconds']:7.1f} s  {s['name']}: {s['detail']}")
    else:
        try:
            with open(os.path.join(folder, "server.log")) as f:
                print("".join(f.readlines()[-40:]))
        except OSError:
            pass
    pid = holder(os.path.join(folder, "data", "server.lock"))
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if ok:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'1 passed, 0 failed' if ok else '0 passed, 1 failed'}")
    print(f"story: {time.monotonic() - began:.0f} s, killed {len(killer.killed)} times" + ("" if ok else f", kept in {folder}"))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
