"""Loading checkpoints of `transformers`: absent, gated and damaged ones are bad input."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PretrainedConfig

from frod_bench.common.errors import InputError


@contextmanager
def readable(backbone: str | Path, part: str, needed_for: str) -> Iterator[None]:
    """Turn whatever `transformers` raises while it reads a checkpoint into one InputError.

    Args:
        backbone: a folder or a Hub id.
        part: what is being read, e.g. `tokenizer`.
        needed_for: a sentence "A task on ... needs ...", for a checkpoint of the wrong kind.
    """
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"backbone: the {part} of {backbone} cannot be read ({cause}). {needed_for}. Check "
            "backbones, model_root and, for a gated repository, that you are logged in."
        ) from error


def load_config(source: str | Path, revision: str | None, needed_for: str) -> PretrainedConfig:
    """Read the configuration of a checkpoint; `needed_for` as in `readable`."""
    with readable(source, "configuration", needed_for):
        return AutoConfig.from_pretrained(
            source, revision=revision or "main", trust_remote_code=False
        )


def load_model(
    auto_class: Any,
    source: str | Path,
    config: PretrainedConfig,
    *,
    revision: str | None,
    pretrained: bool,
    needed_for: str,
    advice: str,
    unread: str | None = None,
) -> Any:
    """Load a model in float32, or build it with random weights if not `pretrained`.

    Args:
        auto_class: of `transformers`, e.g. AutoModel.
        source: a folder or a Hub id.
        needed_for: as in `readable`.
        advice: ends the message about missing weights.
        unread: beginning of the names of weights that may be missing.

    Raises:
        InputError: the weights cannot be read, are missing or have another shape.
    """
    if not pretrained:
        return auto_class.from_config(config, dtype=torch.float32, trust_remote_code=False)
    with readable(source, "weights", needed_for):
        model, report = auto_class.from_pretrained(
            source,
            config=config,
            revision=revision or "main",
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    missing = [n for n in report["missing_keys"] if unread is None or not n.startswith(unread)]
    if missing or report["mismatched_keys"]:
        raise InputError(
            f"backbone {source}: the checkpoint lacks {len(missing)} weights of the model "
            f"({', '.join(sorted(missing)[:3])} …) and {len(report['mismatched_keys'])} have "
            f"another shape. {advice}"
        )
    return model
