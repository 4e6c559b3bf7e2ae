"""Save the trained values of an adapter, and attach it again to its base.

There are two formats: that of this package (`native_format`) and PEFT's (`peft_format`).
"""

from pathlib import Path
from typing import Literal, TypeVar, get_args

import torch
from torch import nn

from ..common.errors import InputError, did_you_mean
from . import native_format, peft_format
from .adapter import attached_layers, install

M = TypeVar("M", bound=nn.Module)

AdapterFormat = Literal["native", "peft"]


def save_frod(
    model: nn.Module,
    folder: Path | str,
    *,
    include_basis: bool = False,
    format: AdapterFormat = "native",
) -> None:
    """Write the adapter of `model` into `folder`, each file atomically.

    A head that was trained with it is not part of the adapter: save its state dict separately.

    Args:
        model: the adapted model, also inside `torch.compile`, DDP or DataParallel.
        folder: created if it does not exist.
        include_basis: whether to store V and the support too (4 k^2 bytes per category in float32),
            so that the adapter can be loaded where V is computed differently. PEFT's format always
            contains them.
        format: `native`, or `peft` for a folder that `peft.PeftModel.from_pretrained` opens.

    Raises:
        InputError: FRoD is not attached; the format is unknown; or it is `peft` and the basis of
            the adapter is not the one that PEFT computes.
    """
    formats = get_args(AdapterFormat)
    if format not in formats:
        raise InputError(f"format={format!r} is unknown.{did_you_mean(str(format), formats)}")
    model = _unwrapped(model)
    layers = attached_layers(model)
    folder = Path(folder)
    if format == "peft":
        peft_format.write(layers, folder, base_name=getattr(model, "name_or_path", None))
    else:
        native_format.write(layers, folder, include_basis=include_basis)


def load_frod(base_model: M, folder: Path | str, *, cache_dir: Path | None = None) -> M:
    """Attach the adapter in `folder`, in either format, to its base model in place.

    From PEFT's format, V is read and U is computed from it, which PEFT itself does not do; modules
    that were saved with the adapter (`modules_to_save`) are copied into the model.

    Args:
        base_model: the plain base.
        folder: what `save_frod` or PEFT wrote.
        cache_dir: as for `attach_frod`.

    Returns:
        The same model.

    Raises:
        InputError: a file is missing, damaged or of another schema; the base's weights are not
            those that the adapter was trained on; or the basis computed from them is not the one it
            was trained with. The model is then left unchanged.
    """
    folder = Path(folder)
    names = (native_format.SETTINGS_NAME, peft_format.SETTINGS_NAME)
    ours, theirs = ((folder / name).exists() for name in names)
    if ours and theirs:
        raise InputError(
            f"{folder} contains two adapters, one in our format ({names[0]}) and one in PEFT's "
            f"({names[1]}). Keep them in separate folders."
        )
    if theirs:
        layers, saved_modules = peft_format.read(base_model, folder)
        state = base_model.state_dict(keep_vars=True)
        with torch.no_grad():
            for name, value in saved_modules.items():
                state[name].copy_(value)
    else:
        layers = native_format.read(base_model, folder, cache_dir)
    install(base_model, layers)
    return base_model


def _unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside the wrappers of `torch.compile`, DDP and DataParallel."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model
