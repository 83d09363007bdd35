#!/usr/bin/env bash
# The web application in Chromium, on a server that lived through the demo's first weeks. Usage: MODELYARD_BIN=bin/modelyard test/e2e/run.sh [name pattern]
# CHROMIUM names the browser (default /usr/bin/chromium); E2E_SHOTS a folder for pictures of every page; E2E_SEED a folder in which the lived-in data is kept for the next run.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
MODELYARD_BIN=$(realpath "${MODELYARD_BIN:-$root/bin/modelyard}")
export MODELYARD_BIN
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
[ -x "$MODELYARD_BIN" ] || { echo "no program at $MODELYARD_BIN: run 'make build' first" >&2; exit 2; }
[ -x "$CHROMIUM" ] || { echo "no browser at $CHROMIUM: install chromium, or name one in CHROMIUM" >&2; exit 2; }
for v in E2E_SHOTS E2E_SEED; do [ -z "${!v:-}" ] || export "$v=$(realpath -m "${!v}")"; done
cd "$(dirname "$0")"
[ node_modules/.stamp -nt package-lock.json ] || { npm ci --silent --no-audit --no-fund && touch node_modules/.stamp; }
exec node --test-reporter=./lib/reporter.mjs ${1:+--test-name-pattern="$1"} suite.mjs
