#!/usr/bin/env bash
# Runs every fuzz target for the given time each (60s), one after the other, or those whose name matches a pattern:
#   scripts/fuzz.sh [time] [pattern]
# What breaks a target is kept in its testdata/fuzz: mend the fault, commit the file, and go test holds it from then on.
set -uo pipefail
time=${1:-60s} pattern=${2:-.}
cd "$(dirname "$0")/.."
failed=()
while IFS=: read -r file name; do
	echo "== $name of $(dirname "$file"), $time"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 10s "./$(dirname "$file")" | grep -v '^fuzz: elapsed' || failed+=("$name of $(dirname "$file")")
done < <(grep -rHo --include='*_test.go' -E '^func Fuzz[A-Za-z0-9_]*' internal client | sed 's/:func /:/' | grep -E "$pattern" | sort)
[ ${#failed[@]} = 0 ] || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }
