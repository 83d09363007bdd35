#!/usr/bin/env bash
# Runs a command with a throw-away PostgreSQL server, whose address is in MODELYARD_TEST_POSTGRES, and stops the server afterwards.
# MODELYARD_TEST_POSTGRES_BIN names the folder of its programs, for tests that need a server they may kill.
set -euo pipefail
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true)
if [ -z "$bin" ]; then
	bin=$(dirname "$(command -v initdb 2>/dev/null || echo /none/initdb)")
	[ -x "$bin/initdb" ] || { echo "PostgreSQL is not installed (initdb not found)" >&2; exit 1; }
fi
dir=$(mktemp -d)
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; } # the server refuses to run as root
[ "$(id -u)" != 0 ] || chown postgres "$dir"
# below 32768, so that no outgoing connection is given the port meanwhile
port=$(python3 -c 'import random, socket
while True:
    with socket.socket() as s:
        try: s.bind(("127.0.0.1", random.randrange(10000, 30000)))
        except OSError: continue
        print(s.getsockname()[1]); break')
stop() { as "$bin/pg_ctl" -D "$dir/data" -m immediate -s stop >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap stop EXIT
as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
as "$bin/pg_ctl" -D "$dir/data" -w -s -l "$dir/log" -o "-c listen_addresses=127.0.0.1 -p $port -k $dir -c fsync=off -c max_connections=300" start
MODELYARD_TEST_POSTGRES_BIN=$bin MODELYARD_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable" "$@"
