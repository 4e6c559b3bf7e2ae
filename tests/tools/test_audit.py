"""The audit of pinned versions: what an answer means, and that no network is no failure."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import audit

CLEAN = {"name": "numpy", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}
ADVISORY = {"id": "PYSEC-2026-1", "fix_versions": ["2.1", "2.2"], "aliases": [], "description": ""}


@pytest.mark.parametrize("answer", [None, "", "Traceback (most recent call last):", "{"])
def test_a_service_that_cannot_be_reached_is_no_failure(answer: str | None) -> None:
    status, [line] = audit.report(answer)
    assert status == 0
    assert "skipped" in line


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        ([UNKNOWN, UNKNOWN], 0, "knows none of the pinned packages"),
        ([CLEAN, UNKNOWN], 0, "1 of 2 pinned versions were looked up: 0 advisories."),
        ([CLEAN | {"vulns": [ADVISORY]}], 1, "numpy 2.0: PYSEC-2026-1, fixed in 2.1, 2.2"),
        ([CLEAN | {"vulns": [ADVISORY | {"fix_versions": []}]}], 1, "fixed in no version"),
    ],
)
def test_advisories_are_listed(found: list[dict[str, Any]], status: int, words: str) -> None:
    got, lines = audit.report(json.dumps({"dependencies": found, "fixes": []}))
    assert got == status
    assert words in "\n".join(lines)


def test_without_an_index_it_ends_with_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def refused(command: Any, **_: Any) -> Any:
        asked.append(Path(command[0]).name)
        return subprocess.CompletedProcess(command, 1, "", "no index")

    monkeypatch.setattr(audit.venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(audit.subprocess, "run", refused)
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert ended.value.code == 0
    assert asked == ["python"]
    assert "Audit skipped" in capsys.readouterr().out


def test_a_command_that_hangs_is_left() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "SECONDS", 0.01)
        assert audit.ran(["sleep", "5"]) is None
