#!/usr/bin/env bash
# Runs the official clients, pinned, against the built program. Usage: MODELYARD_BIN=bin/modelyard conformance/run.sh [suite...] [-- pytest arguments]
# Suites: mlflow (Python, current), mlflow2 (Python 2.x), java (with a JDK and maven), r (recorded requests).
# Each folder here is a suite with its requirements.txt; its environment is kept in .cache/conformance and made again when that file changes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
export MODELYARD_BIN=${MODELYARD_BIN:-$root/bin/modelyard}
[ -x "$MODELYARD_BIN" ] || { echo "no program at $MODELYARD_BIN: run 'make bin' first" >&2; exit 2; }
suites=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do suites+=("$1"); shift; done
[ "${1:-}" != -- ] || shift
[ ${#suites[@]} -gt 0 ] || for d in "$here"/*/requirements.txt; do suites+=("$(basename "$(dirname "$d")")"); done
for suite in "${suites[@]}"; do
	req=$here/$suite/requirements.txt
	env=$root/.cache/conformance/$suite
	if ! cmp -s "$req" "$env/requirements.txt"; then
		rm -rf "$env"
		if command -v uv >/dev/null; then
			uv venv -q "$env"
			uv pip install -q --python "$env/bin/python" -r "$req"
		else
			python3 -m venv "$env"
			"$env/bin/pip" install -q -r "$req"
		fi
		cp "$req" "$env/requirements.txt"
	fi
	echo "== $suite"
	"$env/bin/python" -m pytest -q -p no:cacheprovider "$here/$suite" "$@"
done
