"""Every command of the tutorial is typed as it stands there, and the how-to's fixture serves a real test."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from nestling.host import binaries

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language on a page."""
    found = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A shell's environment: our commands and kubectl in PATH, nothing of the user's own."""
    found, _ = binaries.find(("kubectl",))
    kubectl = str(found["kubectl"].path) if "kubectl" in found else shutil.which("kubectl")
    if kubectl is None:
        if os.environ.get("NESTLING_REQUIRE_LOCAL"):
            pytest.fail("NESTLING_REQUIRE_LOCAL is set, but there is no kubectl", pytrace=False)
        pytest.skip("there is no kubectl in PATH")
    path = os.pathsep.join([str(Path(sys.executable).parent), str(Path(kubectl).parent), os.environ["PATH"]])
    home = {"HOME": str(tmp_path), "NESTLING_STATE": str(tmp_path / "state")}
    return {key: value for key, value in os.environ.items() if key != "KUBECONFIG"} | home | {"PATH": path}


@pytest.mark.timeout(300)
def test_every_command_of_the_tutorial_works(tmp_path: Path, environment: dict[str, str]) -> None:
    typed = "".join(blocks("tutorial.md", "console"))
    lines = [line.removeprefix("$ ") for line in typed.splitlines()]
    assert sum(line.startswith("$ ") for line in typed.splitlines()) > 20
    script = tmp_path / "tutorial.sh"
    # Whatever happens, the operator and the host do not outlive the test.
    tidy = (
        "trap 'kill $(jobs -p) 2>/dev/null || true; nestling host down --purge >/dev/null 2>&1 || true' EXIT"
    )
    script.write_text("\n".join(["set -euo pipefail", tidy, *lines, "echo END"]), encoding="utf-8")
    done = subprocess.run(
        ["bash", "-x", str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    shown = f"{done.stdout}\n{done.stderr}\n{(tmp_path / 'run.log').read_text(encoding='utf-8')[-4000:]}"
    assert done.returncode == 0, shown
    assert done.stdout.rstrip().endswith("END"), shown
    assert "Insufficient cpu" in done.stdout, shown


@pytest.mark.timeout(300)
def test_the_fixture_for_operators_gives_a_cluster(tmp_path: Path, environment: dict[str, str]) -> None:
    (fixture,) = blocks("how-to/test-an-operator.md", "python")
    (tmp_path / "conftest.py").write_text(fixture, encoding="utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "test_it.py").write_text(
        "import subprocess\n\n\ndef test_nodes(kubeconfig):\n"
        "    ready = '--for=jsonpath={.status.readyReplicas}=4'\n"
        "    wait = ['wait', 'virtualnodepool/north', ready, '--timeout=60s']\n"
        "    subprocess.run(['kubectl', '--kubeconfig', kubeconfig, '-n', 'test', *wait], check=True)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "."],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
