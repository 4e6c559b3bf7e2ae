"""What has to hold on the disk before cells can be planned and run."""

import functools
import tempfile
from pathlib import Path

from omegaconf import DictConfig

from frod_bench.common.errors import InputError
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR, embedded_mirror_dir, is_published


def ensure_inputs(config: DictConfig) -> None:
    """Write the embedded mirror if the configuration reads it and it is not there yet, and check
    the shipped backbones, if it reads those, against their hashes.

    Raises InputError where a shipped file was changed.
    """
    if config.model_root == str(SHIPPED_BACKBONES_DIR):
        _verify_once()
    if config.data_root == str(embedded_mirror_dir()):
        from frod_bench.embedded.mirror import ensure_mirror

        ensure_mirror(Path(config.data_root))


@functools.cache
def _verify_once() -> None:
    from frod_bench.embedded.backbone_hashes import verify_backbones

    verify_backbones()


def check_writable(folder: Path, key: str = "results_root") -> None:
    """Raise InputError unless `folder` is, or could be made, a folder that we may write to; and if
    it is what the project publishes.

    `key` names the option that gave it, for the message.
    """
    if is_published(folder):
        raise InputError(
            f"{key}={folder}: is what the project publishes, and is not written to. Name another "
            f"folder, e.g. {key}=results."
        )
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    try:  # asking for permission is not enough: root may write to what cannot be written to
        with tempfile.TemporaryFile(dir=existing):
            return
    except OSError as error:
        raise InputError(
            f"{key}={folder}: {existing} cannot be written to ({error.strerror}). "
            "Name a folder that you may write to."
        ) from error
