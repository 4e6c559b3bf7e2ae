"""What has to be on the disk before cells can be planned."""

from pathlib import Path

from omegaconf import DictConfig

from frod_bench.paths import embedded_mirror_dir


def ensure_inputs(config: DictConfig) -> None:
    """Write the embedded mirror if the configuration reads it and it is not there yet."""
    if config.data_root == str(embedded_mirror_dir()):
        from frod_bench.embedded.mirror import ensure_mirror

        ensure_mirror(Path(config.data_root))
