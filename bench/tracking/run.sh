#!/usr/bin/env bash
# Takes the figures of bench/tracking/RESULTS.md on this machine: our server on SQLite and on PostgreSQL beside `mlflow server`, one after
# the other in one run. Needs bin/modelyard (make bin), PostgreSQL's programs for that part, and a Python with mlflow (MLFLOW=path/to/mlflow)
# or a package index.
#   RUNS=100000 SECONDS_EACH=3 bench/tracking/run.sh          the table of the results
#   HUGE=1 bench/tracking/run.sh                              a million runs and 100 million points instead, into HUGE.md, without MLflow
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${MLFLOW:-}${HUGE:-}" ]; then
	env=.cache/bench-tracking-env
	if [ ! -x "$env/bin/mlflow" ]; then
		if command -v uv >/dev/null 2>&1; then
			uv venv --quiet "$env" && uv pip install --quiet --python "$env/bin/python" mlflow==3.17.2
		else
			python3 -m venv "$env" && "$env/bin/pip" install --quiet mlflow==3.17.2
		fi
	fi
	MLFLOW=$env/bin/mlflow
fi
go build -o .cache/bench-tracking ./bench/tracking
args=(-bin bin/modelyard -seconds "${SECONDS_EACH:-3}")
if [ -n "${HUGE:-}" ]; then
	args+=(-only huge -out bench/tracking/HUGE.md)
else
	args+=(-mlflow "$MLFLOW" -runs "${RUNS:-100000}" -peer-runs "${PEER_RUNS:-10000}" -out bench/tracking/RESULTS.md)
	[ ! -w /dev/shm ] || args+=(-memory /dev/shm)
fi
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true)
if [ -z "$bin" ]; then
	echo "PostgreSQL is not installed: its part is left out" >&2
	exec .cache/bench-tracking "${args[@]}"
fi
dir=$(mktemp -d)
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; } # the server refuses to run as root
[ "$(id -u)" != 0 ] || chown postgres "$dir"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
stop() { as "$bin/pg_ctl" -D "$dir/data" -m immediate -s stop >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap stop EXIT
as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
as "$bin/pg_ctl" -D "$dir/data" -w -s -l "$dir/log" -o "-c listen_addresses=127.0.0.1 -p $port -k $dir -c shared_buffers=256MB -c max_connections=100" start
.cache/bench-tracking "${args[@]}" -postgres "postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
