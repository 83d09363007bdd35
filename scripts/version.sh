#!/usr/bin/env bash
# Prints the version of this checkout: the tag when there is one, else 0.1.0-dev with the commit.
set -euo pipefail
cd "$(dirname "$0")/.."
if v=$(git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null); then
	echo "${v#v}"
elif c=$(git rev-parse --short=12 HEAD 2>/dev/null); then
	[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || c+=.dirty
	echo "0.1.0-dev+g$c"
else
	echo 0.1.0-dev
fi
