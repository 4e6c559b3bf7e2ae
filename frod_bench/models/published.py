"""Configurations of backbones without network: of a local checkpoint, or shipped in the package."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PretrainedConfig

from frod_bench.common.errors import InputError, did_you_mean

SHIPPED = Path(__file__).with_name("published.json")


def config_of(hub_id: str, model_root: str | None) -> PretrainedConfig:
    """Return the whole configuration of a backbone (CLIP has two towers); never asks the Hub.

    Raises InputError if neither `model_root` nor the package has its config.json, or it cannot be
    read.
    """
    local = None if model_root is None else Path(model_root) / hub_id / "config.json"
    if local is not None and local.is_file():
        try:
            return AutoConfig.from_pretrained(local.parent, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{local}: cannot be read ({error}). Download the snapshot again."
            ) from error
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

    Raises InputError if the configuration names no architecture of transformers.
    """
    names = config.architectures or []
    architecture: Any = next(
        (getattr(transformers, n) for n in names if hasattr(transformers, n)), None
    )
    if architecture is None:
        raise InputError(
            f"architectures={names}: transformers {transformers.__version__} has none of them. "
            "Name an existing one in the backbone's config.json."
        )
    with torch.device("meta"):
        model = architecture(config)
    return sum(parameter.numel() for parameter in model.parameters())


def published_type(hub_id: str, config: PretrainedConfig) -> torch.dtype:
    """Return the type of a checkpoint's values on the Hub; float32 if it is not stated."""
    known = shipped_configs().get(hub_id)
    kind = known["published_type"] if known else getattr(config, "dtype", None)
    return getattr(torch, kind) if isinstance(kind, str) else kind or torch.float32


@cache
def shipped_configs() -> dict[str, dict[str, Any]]:
    """Return by Hub id: `source` (where it was read), `config` (the contents of config.json), and
    `published_type` (of the values in the safetensors files).
    """
    return json.loads(SHIPPED.read_text(encoding="utf-8"))
