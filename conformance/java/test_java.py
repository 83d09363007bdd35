"""Runs Conformance.java, which uses the official Java client, against the program. Artifacts are left out: the client starts MLflow's Python command for them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
JARS = HERE.parent.parent / ".cache" / "conformance" / "java-jars"


@pytest.fixture(scope="session")
def classpath():
    for tool in ("java", "mvn"):
        if not shutil.which(tool):
            pytest.fail(f"{tool} is missing: run scripts/prereq.sh, which installs a JDK and maven")
    pom = HERE / "pom.xml"
    stamp = JARS / "pom.xml"
    if not stamp.exists() or stamp.read_bytes() != pom.read_bytes():
        shutil.rmtree(JARS, ignore_errors=True)
        subprocess.run(["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={JARS}"], check=True)
        shutil.copy(pom, stamp)
    return os.pathsep.join(str(j) for j in sorted(JARS.glob("*.jar")))


def test_java_client(server, classpath):
    p = subprocess.run(["java", "-cp", classpath, str(HERE / "Conformance.java"), server.url], capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stdout + p.stderr
    assert p.stdout.strip().endswith("all calls answered as expected"), p.stdout
