#!/usr/bin/env python3
"""Packs a built binary into a Python wheel, so that `pip install modelyard` needs neither Go nor Node.

    wheel.py build --binary bin/modelyard --version 0.1.0 --goos linux --goarch amd64 --out dist
    wheel.py version 0.1.0-5-gabc1234        prints the version as PEP 440 writes it

The same binary and version give the same bytes: times in the archive are fixed. Standard library only.
"""

import argparse
import base64
import hashlib
import pathlib
import re
import sys
import zipfile

# A CGO_ENABLED=0 binary that can load ONNX Runtime is linked to the system's C library: glibc on Linux, macOS 12 as Go 1.26 needs.
PLATFORMS = {
    ("linux", "amd64"): "manylinux_2_17_x86_64.manylinux2014_x86_64",
    ("linux", "arm64"): "manylinux_2_17_aarch64.manylinux2014_aarch64",
    ("darwin", "amd64"): "macosx_12_0_x86_64",
    ("darwin", "arm64"): "macosx_12_0_arm64",
}
FIXED_TIME = (2020, 1, 1, 0, 0, 0)
ROOT = pathlib.Path(__file__).resolve().parent.parent


def pep440(version: str) -> str:
    """Turns our versions (semantic, or as git describe gives them) into PEP 440."""
    m = re.fullmatch(
        r"v?(\d+\.\d+\.\d+)"
        r"(?:-(?P<pre>alpha|beta|rc)\.?(?P<prenum>\d+)|-(?P<dev>dev))?"
        r"(?:-(?P<after>\d+)-g(?P<sha>[0-9a-f]+))?"
        r"(?:\+(?P<local>[0-9A-Za-z.]+))?"
        r"(?P<dirty>-dirty)?",
        version,
    )
    if not m:
        raise SystemExit(f"wheel.py: {version!r} is not a version: expected 1.2.3, 1.2.3-rc.1, 0.1.0-dev or what git describe prints")
    out = m[1]
    if m["pre"]:
        out += {"alpha": "a", "beta": "b", "rc": "rc"}[m["pre"]] + m["prenum"]
    if m["after"]:
        out += f".post{m['after']}"
    if m["dev"]:
        out += ".dev0"
    local = [p for p in (m["local"], f"g{m['sha']}" if m["sha"] else "", "dirty" if m["dirty"] else "") if p]
    return out + ("+" + ".".join(local).lower() if local else "")


def digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def build(binary: pathlib.Path, version: str, goos: str, goarch: str, out: pathlib.Path) -> pathlib.Path:
    version, platform = pep440(version), PLATFORMS[goos, goarch]
    info = f"modelyard-{version}.dist-info"
    metadata = f"""Metadata-Version: 2.4
Name: modelyard
Version: {version}
Summary: From a notebook to watched production, in one program
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.9
Classifier: Environment :: Console
Classifier: Operating System :: POSIX :: Linux
Classifier: Operating System :: MacOS
Description-Content-Type: text/markdown

{(ROOT / "README.md").read_text(encoding="utf-8")}"""
    tags = "".join(f"Tag: py3-none-{p}\n" for p in platform.split("."))
    files = [
        (f"modelyard-{version}.data/scripts/modelyard", binary.read_bytes(), 0o755),
        (f"{info}/METADATA", metadata.encode(), 0o644),
        (f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: modelyard\nRoot-Is-Purelib: false\n{tags}".encode(), 0o644),
        (f"{info}/licenses/LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644),
    ]
    record = "".join(f"{name},{digest(data)},{len(data)}\n" for name, data, _ in files) + f"{info}/RECORD,,\n"
    files.append((f"{info}/RECORD", record.encode(), 0o644))
    out.mkdir(parents=True, exist_ok=True)
    wheel = out / f"modelyard-{version}-py3-none-{platform}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name, data, mode in files:
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.external_attr = (0o100000 | mode) << 16
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, data)
    return wheel


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="verb", required=True)
    sub.add_parser("version").add_argument("version")
    b = sub.add_parser("build")
    for name in ("binary", "version", "goos", "goarch", "out"):
        b.add_argument("--" + name, required=True)
    a = p.parse_args()
    if a.verb == "version":
        print(pep440(a.version))
    elif (a.goos, a.goarch) not in PLATFORMS:
        sys.exit(f"wheel.py: no wheel for {a.goos}/{a.goarch}")
    else:
        print(build(pathlib.Path(a.binary), a.version, a.goos, a.goarch, pathlib.Path(a.out)))


if __name__ == "__main__":
    main()
