"""The program under test."""

import os
import signal
import socket
import subprocess
import time
import urllib.request


class Server:
    """The program, started on a free port; restart(kill=True) is kill -9 and a new start on the same data."""

    def __init__(self, data_dir):
        self.data_dir = str(data_dir)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [os.environ["MODELYARD_BIN"], "up", "--data-dir", self.data_dir, "--listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(self.url + "/health", timeout=1) as r:
                    if r.read() == b"OK":
                        return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        raise RuntimeError("the server did not start: " + self.stop())

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        out, _ = self.process.communicate(timeout=60)
        return out

    def kill_and_restart(self):
        self.stop(signal.SIGKILL)
        return self.start()
