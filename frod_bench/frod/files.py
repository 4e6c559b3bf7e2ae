"""Adapters as files: save what was trained, and attach it again to its base.

Two formats: ours (`native_format`), and the one that PEFT reads and writes (`peft_format`).
"""

from pathlib import Path
from typing import Literal, TypeVar

from torch import nn

from ..common.errors import InputError, did_you_mean
from . import native_format, peft_format
from .adapter import attached_layers, install

M = TypeVar("M", bound=nn.Module)

AdapterFormat = Literal["native", "peft"]
FORMATS: tuple[AdapterFormat, ...] = ("native", "peft")


def save_frod(
    model: nn.Module,
    folder: Path | str,
    *,
    include_basis: bool = False,
    format: AdapterFormat = "native",
) -> None:
    """Write the adapter of `model` into `folder`, each file by a rename.

    A head that was trained beside it is not part of the adapter: keep its state dict.

    Args:
        include_basis: store V and the support too (4 k k bytes a category in float32), so that it
            can be loaded where V comes out differently. PEFT's format always holds them.
        format: `native`, or `peft` for a folder that `peft.PeftModel.from_pretrained` opens.

    Raises:
        InputError: FRoD is not attached; the format is not known; or `peft` and the adapter's
            basis is not the one that PEFT computes.
    """
    if format not in FORMATS:
        raise InputError(f"format={format!r} is not known.{did_you_mean(str(format), FORMATS)}")
    model = _unwrapped(model)
    layers = dict(attached_layers(model))
    folder = Path(folder)
    if format == "peft":
        peft_format.write(layers, folder, base_name=getattr(model, "name_or_path", None))
    else:
        native_format.write(layers, folder, include_basis=include_basis)


def load_frod(base_model: M, folder: Path | str, *, cache_dir: Path | None = None) -> M:
    """Attach the adapter in `folder`, ours or PEFT's, to its base model, in place.

    From PEFT's folder V is read and U computed from it, which PEFT itself does not do; modules that
    it saved beside the adapter (`modules_to_save`) are copied into the model.

    Args:
        base_model: the plain base.
        cache_dir: as for `attach_frod`.

    Returns:
        The same model.

    Raises:
        InputError: a file is missing, damaged or of another schema; the base's weights are not
            those that the adapter was trained on; or the basis made from them is not the one it
            was trained in. The model is then left as it was.
    """
    folder = Path(folder)
    names = (native_format.SETTINGS_NAME, peft_format.SETTINGS_NAME)
    ours, theirs = ((folder / name).exists() for name in names)
    if ours and theirs:
        raise InputError(
            f"{folder} holds two adapters, one in our format ({names[0]}) and one in PEFT's "
            f"({names[1]}). Keep each in a folder of its own."
        )
    if theirs:
        layers, beside = peft_format.read(base_model, folder)
        peft_format.copy_beside(base_model, beside)
    else:
        layers = native_format.read(base_model, folder, cache_dir)
    install(base_model, layers)
    return base_model


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model inside `torch.compile`'s, DDP's and DataParallel's wrappers, whose names differ."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model
