"""The messages that the page of troubleshooting quotes are those that the code has."""

import ast
import re
from functools import cache

import pytest

from frod_bench.common.paths import PACKAGE_DIR

ROOT = PACKAGE_DIR.parent
PAGE = (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^\| `([^`]+)` \|", PAGE, re.M)


@cache
def texts() -> list[str]:
    """Every text of the package; what is filled in while it runs is a `…`."""
    found = []
    for path in sorted(PACKAGE_DIR.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                )
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_messages_are_quoted() -> None:
    assert len(QUOTED) > 8


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_exists(message: str) -> None:
    pieces = [piece.strip() for piece in message.split("…") if len(piece.strip()) > 3]
    assert any(all(piece in text for piece in pieces) for text in texts()), pieces
