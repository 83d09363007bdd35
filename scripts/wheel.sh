#!/usr/bin/env bash
# wheel.sh test   packs bin/modelyard into a wheel for this platform, installs it in a fresh environment and starts it.
# wheel.sh build  only packs it, into dist/.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-test}
[ -x bin/modelyard ] || { echo "bin/modelyard is not there: run make build" >&2; exit 1; }
work=$(mktemp -d)
pid=
finish() { [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$work"; }
trap finish EXIT
out=$work
[ "$mode" = test ] || out=dist
wheel=$(python3 scripts/wheel.py build --binary bin/modelyard --version "${VERSION:-$(scripts/version.sh)}" --goos "$(go env GOOS)" --goarch "$(go env GOARCH)" --out "$out")
echo "packed $(basename "$wheel"), $(($(wc -c <"$wheel") / 1000000)) MB"
[ "$mode" = test ] || exit 0

if command -v uv >/dev/null 2>&1; then
	uv venv --quiet "$work/env" && uv pip install --quiet --offline --no-cache --python "$work/env/bin/python" "$wheel"
else
	python3 -m venv "$work/env" && "$work/env/bin/pip" install --quiet --no-index "$wheel"
fi
program=$work/env/bin/modelyard
"$program" version
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(cd "$work" && exec "$program" up --data-dir "$work/data" --listen "127.0.0.1:$port" 2>"$work/log") &
pid=$!
python3 - "$port" <<'PY' || { cat "$work/log" >&2; exit 1; }
import sys, time, urllib.request
deadline = time.monotonic() + 20
while True:
    try:
        assert urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/readyz", timeout=2).read() == b"ready\n"
        break
    except OSError as e:
        if time.monotonic() > deadline:
            sys.exit(f"the installed program did not become ready: {e}")
        time.sleep(0.05)
PY
"$program" doctor --data-dir "$work/data" --listen "127.0.0.1:$port" --server "http://127.0.0.1:$port" -q
kill -TERM "$pid"
wait "$pid"
pid=
echo "the wheel installs, starts, answers and stops"
