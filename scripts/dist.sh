#!/usr/bin/env bash
# Builds dist/: the program for Linux and macOS on amd64 and arm64, a Python wheel for each, and SHA256SUMS.
# The web UI must have been built (make ui). PLATFORMS="linux/amd64" builds only those.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f internal/ui/dist/index.html ] || { echo "the web UI is not built: run make dist, or make ui first" >&2; exit 1; }
version=${VERSION:-$(scripts/version.sh)}
out=dist
rm -rf "$out" && mkdir -p "$out"
for platform in ${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}; do
	os=${platform%/*} arch=${platform#*/}
	file=$out/modelyard-$version-$os-$arch
	echo "building $file" >&2
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false \
		-ldflags "-s -w -buildid= -X github.com/modelyard/modelyard/internal/app.version=$version" -o "$file" ./cmd/modelyard
	python3 scripts/wheel.py build --binary "$file" --version "$version" --goos "$os" --goarch "$arch" --out "$out"
done
(cd "$out" && sha256sum -- * >SHA256SUMS 2>/dev/null || shasum -a 256 -- * >SHA256SUMS)
cat "$out/SHA256SUMS"
