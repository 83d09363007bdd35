#!/usr/bin/env bash
# Takes the figures of bench/RESULTS.md on this machine. Needs bin/modelyard (make build), Python and a package index.
#   ROUNDS=5 SECONDS_EACH=5 bench/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."
env=.cache/bench-env
if [ ! -x "$env/bin/uvicorn" ]; then
	if command -v uv >/dev/null 2>&1; then
		uv venv --quiet "$env" && uv pip install --quiet --python "$env/bin/python" -r bench/requirements.txt
	else
		python3 -m venv "$env" && "$env/bin/pip" install --quiet -r bench/requirements.txt
	fi
fi
exec go run ./bench -bin bin/modelyard -python "$env/bin/python" -rounds "${ROUNDS:-3}" -seconds "${SECONDS_EACH:-3}" -out bench/RESULTS.md
