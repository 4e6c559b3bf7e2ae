"""Disk space of cells: what is downloaded, what is kept, and what exists while a cell runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from frod_bench.config.settings import BackboneConfig, Settings
from frod_bench.models.loading import checkpoint_parameters, config_of, published_type

DATA_NOTE = (
    "Data sets: the package does not know their sizes. All texts take about 0.1 GB and an image "
    "data set at most a few GB, except SUN397 (37 GB in its original archive); `datasets` writes a "
    "second copy of what it reads. `python -m frod_bench.mirror` reports the bytes before it "
    "writes any."
)


@dataclass(frozen=True)
class Disk:
    """Bytes of one cell, under their names in the JSON document.

    Attributes:
        kept_with_save_adapter: the trained values beside the record.
        checkpoints_while_it_runs: at most; removed when the record is written.
    """

    kept_with_save_adapter: int
    checkpoints_while_it_runs: int


@dataclass(frozen=True)
class Download:
    """A backbone's checkpoint.

    Attributes:
        parameters: of the whole checkpoint.
        type: of the published parameters; None if the files exist already.
        size: of its safetensors files, in bytes.
        is_there: whether it is under `model_root`, so that nothing is downloaded.
    """

    backbone: str
    hub_id: str
    parameters: int
    type: str | None
    size: int
    is_there: bool

    def __str__(self) -> str:
        where = "under model_root" if self.is_there else f"to download, in {self.type}"
        return f"{self.backbone} {self.size / 1e9:.3g} GB ({where})"


def disk_of(settings: Settings, trained: int, probes: int) -> Disk:
    """Return what the cell of `settings` takes.

    Values are float32 and probes float64. A checkpoint has the parameters and their two moments,
    and is complete before the previous one is removed. If the best step is selected, its parameters
    are kept in addition.

    Args:
        trained: parameters, with the head.
        probes: numbers that an adapter's file stores in addition.
    """
    written = (settings.trainer.max_steps - 1) // settings.runtime.checkpoint_every_steps
    best = settings.protocol.selection == "best"
    return Disk(4 * trained + 8 * probes, 4 * trained * (3 * min(2, written) + best))


def downloads_of(cells: Iterable[Settings]) -> list[Download]:
    """Return the checkpoints that the cells need, each once.

    Raises InputError if a backbone's configuration is missing.
    """
    found: dict[str, Download] = {}
    for one in cells:
        backbone = one.backbones[one.task.family]
        if backbone.hub_id not in found:
            found[backbone.hub_id] = download_of(backbone, one.model_root)
    return list(found.values())


def download_of(backbone: BackboneConfig, model_root: str | None) -> Download:
    """Return a backbone's checkpoint: the files under `model_root`, otherwise as published.

    Raises InputError if its configuration is missing.
    """
    config = config_of(backbone.hub_id, model_root)
    parameters = checkpoint_parameters(config)
    folder = None if model_root is None else Path(model_root) / backbone.hub_id
    files = [] if folder is None else list(folder.glob("*.safetensors"))
    if files:
        size = sum(file.stat().st_size for file in files)
        return Download(backbone.name, backbone.hub_id, parameters, None, size, is_there=True)
    kind = published_type(backbone.hub_id, config)
    size, name = parameters * kind.itemsize, str(kind).removeprefix("torch.")
    return Download(backbone.name, backbone.hub_id, parameters, name, size, is_there=False)
