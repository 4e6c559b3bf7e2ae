"""Checkpoints of `transformers`: absent, gated and damaged ones are bad input."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, PretrainedConfig

from frod_bench.common.errors import InputError, did_you_mean

PUBLISHED = Path(__file__).with_name("published.json")


@contextmanager
def readable(backbone: str | Path, part: str, needed_for: str) -> Iterator[None]:
    """Turn whatever `transformers` raises while it reads a part of a checkpoint into an InputError.

    `needed_for` is a sentence of the message, without its period. It helps if the checkpoint is of
    the wrong kind: "A task on images needs a vision model".
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

    Raises InputError if weights cannot be read, have another shape, or are missing, except those
    whose names begin with `unread`.
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


def config_of(hub_id: str, model_root: str | None) -> PretrainedConfig:
    """Return the whole configuration of a backbone (CLIP has two towers); never asks the Hub.

    Raises InputError if neither `model_root` nor the package has its config.json.
    """
    local = None if model_root is None else Path(model_root) / hub_id / "config.json"
    if local is not None and local.is_file():
        return load_config(local.parent, None, "Download the snapshot again")
    shipped = shipped_configs()
    if hub_id not in shipped:
        raise InputError(
            f"backbone {hub_id!r}: its configuration is not in the package, and model_root="
            f"{model_root or 'null'} has no {hub_id}/config.json. A plan does not read the Hub: "
            f"put its config.json under a model_root.{did_you_mean(hub_id, shipped)}"
        )
    fields = dict(shipped[hub_id]["config"])
    return AutoConfig.for_model(fields.pop("model_type"), **fields)


def checkpoint_parameters(config: PretrainedConfig) -> int:
    """Count the parameters of the whole checkpoint: with the language-model head, or CLIP's towers.
    A configuration that names no architecture is one of the bare model.

    Raises InputError if transformers has none of the architectures that the configuration names.
    """
    names = config.architectures or []
    known = [name for name in names if hasattr(transformers, name)]
    if names and not known:
        raise InputError(
            f"architectures={names}: transformers {transformers.__version__} has none of them. "
            "Name an existing one in the backbone's config.json."
        )
    with torch.device("meta"):
        if known:
            model = getattr(transformers, known[0])(config)
        else:
            model = AutoModel.from_config(config, trust_remote_code=False)
    return sum(parameter.numel() for parameter in model.parameters())


def published_type(hub_id: str, config: PretrainedConfig) -> torch.dtype:
    """Return the type of a checkpoint's values on the Hub; float32 if it is not stated."""
    known = shipped_configs().get(hub_id)
    kind = known["published_type"] if known else getattr(config, "dtype", None)
    return getattr(torch, kind) if isinstance(kind, str) else kind or torch.float32


@cache
def shipped_configs() -> dict[str, dict[str, Any]]:
    """Return by Hub id the shipped `config` (config.json), its `source` and `published_type`."""
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))
