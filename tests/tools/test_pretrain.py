"""The command that pretrains the shipped backbones again."""

from pathlib import Path

import pytest

from tools.pretrain_embedded.__main__ import main


def test_a_negative_seed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "-1", "--out", str(tmp_path / "out")]) == 2
    assert "seed: -1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
