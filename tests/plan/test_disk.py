"""What cells take of the disk: beside the files of a cell that runs, and known checkpoints."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from frod_bench.config.settings import Settings
from frod_bench.frod import storage
from frod_bench.plan.costs import Disk, Download, counts_of, disk_of, download_of
from frod_bench.training import runner, tensor_files
from tests.conftest import MakeCell
from tests.plan.test_counts import compose


def planned(settings: Settings) -> Disk:
    counts = counts_of(settings)
    probes = counts.stored - counts.trained
    return disk_of(settings, counts.trained + counts.head, probes)


def value_bytes(file: Path) -> int:
    """Of a file's floats; without steps' numbers, digests, names and shapes, which are small."""
    values = (t for t in load_file(file).values() if t.is_floating_point() and t.ndim)
    return sum(t.numel() * t.element_size() for t in values)


def test_a_cell_writes_what_is_planned(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints: list[int] = []
    best: list[int] = []
    write = tensor_files.write

    def watched(folder: Path, stem: str, *args: Any) -> Path:
        file = write(folder, stem, *args)
        (best if stem.startswith("best") else checkpoints).append(value_bytes(file))
        return file

    monkeypatch.setattr(storage, "_write", pytest.fail)  # a cell keeps no basis
    monkeypatch.setattr(tensor_files, "write", watched)
    every = "runtime.checkpoint_every_steps=2"
    cell = make_cell("task=rte", "method=frod", "save=adapter", "protocol=paper", every)
    assert runner.execute(cell).status == "ok"
    assert len(checkpoints) == 1  # at step 2 of 4
    kept = value_bytes(cell.adapter_path)
    found = planned(cell.settings)
    assert found == Disk(kept, checkpoints[0] + 2 * best[0])  # of the checkpoint, and after it


@pytest.mark.parametrize(
    ("words", "times"),
    [
        ((), 2 * 3),  # parameters and two moments, of two checkpoints
        (("protocol=paper",), 2 * 3 + 3),
        (("runtime.checkpoint_every_steps=3000",), 1 * 3),
        (("runtime.checkpoint_every_steps=5000",), 0),
    ],
)
def test_checkpoints_of_a_cell(words: tuple[str, ...], times: int) -> None:
    settings = compose("profile=paper", "task=rte", "method=lora", "protocol=fair", *words)
    probes = 8 * 10 * min(2, times // 3)  # of each
    assert disk_of(settings, 1000, 10) == Disk(4080, 4 * 1000 * times + probes)


@pytest.mark.parametrize(
    ("family", "kind", "size"),
    [
        ("nlu", "float32", 4 * 355_412_057),
        ("reasoning", "float16", 2 * 6_738_415_616),
        ("vision", "float32", 4 * 151_277_313),
    ],
)
def test_the_papers_checkpoints_are_downloaded_whole(family: str, kind: str, size: int) -> None:
    backbone = compose("profile=paper").backbones[family]
    found = download_of(backbone, None)
    assert (found.type, found.size, found.is_there) == (kind, size, False)
    assert f"{backbone.name} {size / 1e9:.3g} GB (to download, in {kind})" == str(found)


def test_a_checkpoint_that_is_there_is_as_large_as_its_files() -> None:
    settings = compose("profile=embedded")
    backbone, root = settings.backbones["nlu"], settings.model_root
    assert root is not None
    size = sum(f.stat().st_size for f in (Path(root) / backbone.hub_id).glob("*.safetensors"))
    found = download_of(backbone, root)
    assert isinstance(found, Download)
    assert (found.type, found.size, found.is_there) == (None, size, True)
    assert "under model_root" in str(found)
