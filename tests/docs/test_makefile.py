"""The Makefile on machines that are not as it needs them."""

import os
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
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "EXTRAS", "LAUNCHER", "LOCKED", "PYTHON")
    env = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(
        ["make", *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


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


ANOTHER = """#!/bin/sh
# A Python 3.12, as far as it says, that makes no environment.
case "$2" in *print*) echo "(3, {minor})" ;; *venv*) exit 3 ;; esac
"""


@pytest.mark.parametrize(("minor", "stays"), [(12, True), (13, False)])
def test_an_environment_of_another_python_is_replaced(
    clone: Path, minor: int, *, stays: bool
) -> None:
    for place, own in ((clone / "python", 12), (clone / ".venv/bin/python", minor)):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(ANOTHER.format(minor=own))
        place.chmod(0o755)
    done = make(clone, "setup", f"PYTHON={clone}/python")
    assert done.returncode != 0  # no environment is made
    assert (clone / ".venv/bin/python").exists() == stays


def test_an_existing_environment_is_kept_by_default(clone: Path) -> None:
    place = clone / ".venv/bin/python"
    place.parent.mkdir(parents=True)
    place.symlink_to(sys.executable)
    plan = make(clone, "-n", "setup").stdout
    assert ".venv/bin/python -c" in plan.splitlines()[0]


def test_an_environment_whose_python_is_gone_is_replaced(clone: Path) -> None:
    place = clone / ".venv/bin/python"
    place.parent.mkdir(parents=True)
    place.symlink_to(clone / "nowhere")
    assert make(clone, "-n", "setup").stdout.startswith("python3 -c")


def test_a_locked_extra_is_an_installed_one(clone: Path) -> None:
    plan = make(clone, "-n", "setup", "LOCKED=1", "EXTRAS=ray,slurm").stdout
    made = [line.split("#")[0].split()[1:] for line in plan.splitlines() if "touch" in line]
    assert made[-1] == [".venv/.extras-ray-slurm-locked", ".venv/.extras-ray-slurm"]
