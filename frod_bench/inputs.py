"""What has to hold on the disk before cells can be planned and run."""

import os
from pathlib import Path

from omegaconf import DictConfig

from frod_bench.errors import InputError
from frod_bench.paths import embedded_mirror_dir


def ensure_inputs(config: DictConfig) -> None:
    """Write the embedded mirror if the configuration reads it and it is not there yet."""
    if config.data_root == str(embedded_mirror_dir()):
        from frod_bench.embedded.mirror import ensure_mirror

        ensure_mirror(Path(config.data_root))


def check_writable(folder: Path) -> None:
    """Raise InputError unless `folder` is, or could be made, a folder that we may write to."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = "may not be written to" if existing.is_dir() else "is a file"
        raise InputError(
            f"results_root={folder}: {existing} {reason}. Name a folder that you may write to."
        )
