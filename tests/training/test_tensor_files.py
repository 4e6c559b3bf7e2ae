"""Files that are named after their content: writers do not disturb each other, and what a killed
one leaves is found.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from frod_bench.cells import leftovers
from frod_bench.records.store import digest_of
from frod_bench.training import tensor_files

STEM = "step-00000004"


def of_value(value: float) -> dict[str, Tensor]:
    return {"a": torch.full((3,), value)}


def test_two_writers_of_one_stem_each_have_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one begins and ends while the first has written and not yet named its file."""
    second: list[Path] = []

    def interrupting(file: Path) -> dict[str, int | str]:
        monkeypatch.setattr(tensor_files, "digest_of", digest_of)
        second.append(tensor_files.write(tmp_path, STEM, of_value(2.0)))
        return digest_of(file)

    monkeypatch.setattr(tensor_files, "digest_of", interrupting)
    first = tensor_files.write(tmp_path, STEM, of_value(1.0))
    assert {*tmp_path.iterdir()} == {first, *second}
    for file, value in ((first, 1.0), (second[0], 2.0)):
        tensors, _ = tensor_files.read(file)
        assert torch.equal(tensors["a"], of_value(value)["a"])


@pytest.mark.parametrize("during", ["save_file", "digest_of"])
def test_what_a_killed_writer_leaves_is_found_by_prune_and_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    folder = tmp_path / "embedded" / "checkpoints" / "rte" / "frod" / "0-0123456789abcdef"
    kept = tensor_files.write(folder, STEM, of_value(1.0))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for _ in range(2):  # each leaves a file of its own
        with monkeypatch.context() as patch:
            patch.setattr(tensor_files, during, killed)
            patch.setattr(Path, "unlink", lambda *_, **__: None)  # it stays, as after SIGKILL
            with pytest.raises(KeyboardInterrupt):
                tensor_files.write(folder, STEM, of_value(2.0))
    left = {*folder.iterdir()} - {kept}
    assert len(left) == 2
    assert tensor_files.find(folder, "step") == [kept]
    found = leftovers.find(tmp_path)
    assert {(one.path, one.kind) for one in found} == {(p, leftovers.TEMPORARY) for p in left}
    assert {one.place.stem for one in found if one.place} == {"0-0123456789abcdef"}
