#!/usr/bin/env bash
# How long the page of an experiment with very many runs takes, in Chromium on this machine; writes bench/ui/RESULTS.md. Needs bin/modelyard (make build).
#   RUNS=100000 ROUNDS=7 bench/ui/run.sh        CHROMIUM names the browser, OUT another file for the results (OUT= for none)
set -euo pipefail
cd "$(dirname "$0")/../.."
MODELYARD_BIN=$(realpath "${MODELYARD_BIN:-bin/modelyard}")
export MODELYARD_BIN CHROMIUM=${CHROMIUM:-/usr/bin/chromium} OUT=${OUT-$PWD/bench/ui/RESULTS.md}
[ -x "$MODELYARD_BIN" ] || { echo "no program at $MODELYARD_BIN: run 'make build' first" >&2; exit 2; }
[ -x "$CHROMIUM" ] || { echo "no browser at $CHROMIUM: install chromium, or name one in CHROMIUM" >&2; exit 2; }
(cd test/e2e && { [ node_modules/.stamp -nt package-lock.json ] || { npm ci --silent --no-audit --no-fund && touch node_modules/.stamp; }; })
exec node bench/ui/measure.mjs
