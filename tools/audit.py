"""Look the pinned versions up in the published advisories, with pip-audit.

    python -m tools.audit

pip-audit is installed into a folder of its own, so that nothing else changes. Exit status: 0, also
if no index or service can be reached, which is said; 1 if a version has an advisory.
"""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PINNED = Path(__file__).parents[1] / "constraints.txt"
SECONDS = 120  # for each of the two commands


def ran(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str] | None:
    """A finished command; None if it took too long."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None


def answer_of(folder: Path) -> str | None:
    """pip-audit's answer in JSON; None if it could not be installed, or had none."""
    try:
        venv.create(folder, with_pip=True)
    except (OSError, subprocess.CalledProcessError):  # this Python brings no pip
        return None
    python = folder / "bin" / "python"
    installed = ran([python, "-m", "pip", "install", "--quiet", "pip-audit"])
    if installed is None or installed.returncode:
        return None
    options = ("--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off")
    asked = ran([python, "-m", "pip_audit", "--requirement", PINNED, *options])
    return asked.stdout if asked is not None else None


def report(answer: str | None) -> tuple[int, list[str]]:
    """The exit status, and the lines to print, of pip-audit's answer."""
    try:
        found: list[dict[str, Any]] = json.loads(answer or "")["dependencies"]
    except ValueError:
        return 0, ["Audit skipped: pip-audit cannot be installed, or its service be reached."]
    known = [one for one in found if "vulns" in one]
    if not known:
        return 0, ["Audit skipped: the advisory service knows none of the pinned packages here."]
    lines = []
    for one in known:
        for advisory in one["vulns"]:
            fixed = ", ".join(advisory["fix_versions"]) or "no version"
            lines.append(f"{one['name']} {one['version']}: {advisory['id']}, fixed in {fixed}")
    names = f"{len(known)} of {len(found)} pinned versions were looked up"
    return int(bool(lines)), [*lines, f"{names}: {len(lines)} advisories."]


def main() -> None:
    """Print what is known of the pinned versions; exits with the status."""
    with tempfile.TemporaryDirectory() as folder:
        status, lines = report(answer_of(Path(folder)))
    print("\n".join(lines))
    sys.exit(status)


if __name__ == "__main__":
    main()
