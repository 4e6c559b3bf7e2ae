"""The digest of code changes with what the code does, and with nothing else."""

from pathlib import Path

import pytest

from frod_bench.cells.code import PARTS, code_digests, digest_of
from frod_bench.common.paths import PACKAGE_DIR

BEFORE = '"""Doc."""\n\n\ndef f(x: int) -> int:\n    """Twice x."""\n    return 2 * x\n'


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("Twice x.", "The double of x.", True),
        ("    return", "    # a comment\n    return", True),
        ("return 2 * x", "return 2*x", True),
        ("return 2 * x", "return 3 * x", False),
        ("return 2 * x", 'return "2" * x', False),
    ],
)
def test_a_digest_is_of_what_the_code_does(
    tmp_path: Path, old: str, new: str, is_same: bool
) -> None:
    file = tmp_path / "room" / "module.py"
    file.parent.mkdir()
    file.write_text(BEFORE)
    before = digest_of([file.parent])
    file.write_text(BEFORE.replace(old, new))
    assert (digest_of([file.parent]) == before) == is_same


def test_a_file_counts_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "room" / "module.py"
    file.parent.mkdir()
    file.write_text(BEFORE)
    before = digest_of([file.parent])
    file.rename(file.with_name("other.py"))
    assert digest_of([file.parent]) != before


def test_every_part_is_there() -> None:
    assert set(code_digests()) == set(PARTS)
    assert all((PACKAGE_DIR / room).is_dir() for rooms in PARTS.values() for room in rooms)
    assert len(set(code_digests().values())) == len(PARTS)
