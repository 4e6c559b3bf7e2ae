"""What cells take of the disk: what is downloaded, what is kept, and what is there for a while."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frod_bench.config.settings import BackboneConfig, Settings
from frod_bench.models.published import checkpoint_parameters, config_of, published_type

DATA_NOTE = (
    "Data sets: their sizes are not in the package. All texts are some 0.1 GB, a set of pictures "
    "some GB at most, but for SUN397 (its original archive has 37 GB); `datasets` writes what it "
    "reads a second time. `python -m frod_bench.mirror` tells the bytes before it writes any."
)


@dataclass(frozen=True)
class Disk:
    """Of one cell, in bytes.

    Attributes:
        kept: the trained values beside the record, with `save=adapter`.
        checkpoints: at most, while it runs, so that it can go on; removed with the record.
    """

    kept: int
    checkpoints: int

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return {
            "kept_with_save_adapter": self.kept,
            "checkpoints_while_it_runs": self.checkpoints,
        }


@dataclass(frozen=True)
class Download:
    """A backbone's checkpoint.

    Attributes:
        parameters: of the whole checkpoint.
        type: of them as they are published; None for files that are there, whatever they hold.
        size: of its safetensors files, in bytes.
        is_there: under `model_root`, so that nothing is downloaded.
    """

    backbone: str
    hub_id: str
    parameters: int
    type: str | None
    size: int
    is_there: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        where = "under model_root" if self.is_there else f"to download, in {self.type}"
        return f"{self.backbone} {self.size / 1e9:.3g} GB ({where})"


def disk_of(settings: Settings, trained: int, probes: int) -> Disk:
    """What the cell of `settings` takes.

    Args:
        trained: parameters, with the head.
        probes: numbers that an adapter's file has besides.

    Values are float32, and probes float64. A checkpoint has the parameters and their two moments;
    one is whole before the last one goes. Where the best step is picked, its parameters are kept
    beside them.
    """
    trainer, every = settings.trainer, settings.runtime.checkpoint_every_steps
    written = min(2, (trainer.max_steps - 1) // every)
    best = settings.protocol.selection == "best"
    return Disk(
        kept=4 * trained + 8 * probes,
        checkpoints=4 * trained * (3 * written + best),
    )


def downloads_of(cells: Iterable[Settings]) -> list[Download]:
    """The checkpoints that the cells need, each once.

    Raises InputError where a backbone's configuration is not there.
    """
    found: dict[str, Download] = {}
    for one in cells:
        backbone = one.backbones[one.task.family]
        if backbone.hub_id not in found:
            found[backbone.hub_id] = download_of(backbone, one.model_root)
    return list(found.values())


def download_of(backbone: BackboneConfig, model_root: str | None) -> Download:
    """Bytes of a backbone's checkpoint: of the files under `model_root`, else as published.

    Raises InputError where its configuration is not there.
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


def parameters_of(downloads: Iterable[Download]) -> Mapping[str, int]:
    """Backbone -> parameters of its whole checkpoint."""
    return {one.backbone: one.parameters for one in downloads}
