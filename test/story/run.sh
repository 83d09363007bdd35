#!/usr/bin/env bash
# The whole demo as one test, with kill -9 of the server at seeded moments. MODELYARD_BIN names the program.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 test/story/story.py --bin "${MODELYARD_BIN:-bin/modelyard}" "$@"
