#!/usr/bin/env bash
# Installs or checks what the tests need beyond Go, Node and Python.
#   prereq.sh install   installs Debian packages when it may (root and apt-get), then checks
#   prereq.sh build     checks only what building and the demo need
# Prints one line per missing thing with how to get it.
set -euo pipefail
mode=${1:-install}

need() { # command, why, how
	command -v "$1" >/dev/null 2>&1 && return 0
	echo "missing: $1 ($2). Get it: $3" >&2
	return 1
}
ok=0
need go "builds the program" "Go 1.26 or newer from your package manager or https://go.dev/dl" || ok=1
need node "builds the web UI" "Node.js 20.19 or newer" || ok=1
need npm "builds the web UI" "comes with Node.js" || ok=1
need python3 "trains the example's models" "Python 3.10 or newer" || ok=1
if command -v python3 >/dev/null 2>&1 && ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
	echo "missing: python3 is $(python3 -V 2>&1), 3.10 or newer is needed" >&2
	ok=1
fi
[ "$ok" = 0 ] || exit 1
[ "$mode" = build ] && exit 0

packages=()
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || packages+=(postgresql)
command -v chromium >/dev/null 2>&1 || packages+=(chromium)
command -v wrk >/dev/null 2>&1 || packages+=(wrk)
command -v javac >/dev/null 2>&1 || packages+=(default-jdk-headless) # the Java client of MLflow in conformance/java
command -v mvn >/dev/null 2>&1 || packages+=(maven)
python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || packages+=(python3-venv)
if [ ${#packages[@]} -gt 0 ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
	else
		echo "not installed, and this user may not install system packages: ${packages[*]}" >&2
	fi
fi
command -v uv >/dev/null 2>&1 || python3 -m pip install -q uv 2>/dev/null || python3 -m pip install -q --user --break-system-packages uv 2>/dev/null ||
	echo "uv is not there and could not be installed: environments are made with venv and pip, which is slower" >&2
