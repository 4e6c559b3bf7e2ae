"""The Makefile on machines that are not as it needs them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLD = """#!/bin/sh
# A Python 3.10, as far as it says.
exec "{python}" -c "import sys; sys.version_info = (3, 10, 12); $2"
"""
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What of a clone decides whether it is installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, check=False)


def test_a_python_that_is_too_old_is_refused_and_leaves_nothing(clone: Path) -> None:
    old = clone / "old_python"
    old.write_text(OLD.format(python=sys.executable))
    old.chmod(0o755)
    done = make(clone, "setup", f"PYTHON={old}")
    assert done.returncode != 0
    assert "is older than Python 3.11" in done.stderr
    assert "make setup PYTHON=" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_locked_environment_is_an_installed_one(clone: Path) -> None:
    """Without an index nothing may be installed again."""
    plan = make(clone, "-n", "setup", "LOCKED=1").stdout
    assert "--constraint constraints.txt" in plan
    (line,) = [one for one in plan.splitlines() if one.startswith("touch")]
    made = line.split("#")[0].split()[1:]
    assert made == [".venv/.installed-locked", ".venv/.installed"]
    (clone / ".venv").mkdir()
    for name in made:
        (clone / name).touch()
    assert "pip install" not in make(clone, "-n", "test").stdout
