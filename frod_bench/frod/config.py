"""Settings of a FRoD adapter, validated on construction."""

import re
import sys
from dataclasses import dataclass
from typing import Literal, get_args

from ..common.errors import InputError, did_you_mean

BasisKind = Literal["exact", "peft", "svd", "random"]
SharedSide = Literal["input", "smaller"]


@dataclass(frozen=True)
class FrodConfig:
    """Settings of FRoD (arXiv 2512.23485).

    Attributes:
        target_modules: names or dotted suffixes of the layers to adapt, or one regular expression
            that must match the full name of a layer.
        sparse_rate: fraction of the k x k entries of the rotation S that are trained, in [0, 1].
        seed: seed of the support of S; the same seed gives the same support as PEFT.
        regularization: pi of the higher-order CS decomposition, positive with a finite 1 / pi.
        basis: ``exact`` is the float64 decomposition of this package; ``peft`` repeats PEFT's
            float32 operations in their order, so that adapters can be exchanged with it. The
            other two are for comparison: ``svd`` gives each layer its own V, its right singular
            vectors; ``random`` gives all layers of a category one orthogonal matrix drawn with
            `seed`.
        shared_side: ``input`` puts the shared basis on the inputs of the layers, as in the paper;
            ``smaller``, an extension, puts it on their outputs if these are fewer, so that S has
            m x m entries. It needs ``basis="exact"``.

    Raises:
        InputError: a field has the wrong type or is out of range; the message names it.
    """

    target_modules: list[str] | str
    sparse_rate: float = 0.02
    seed: int = 0
    regularization: float = 1e-3
    basis: BasisKind = "exact"
    shared_side: SharedSide = "input"

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_modules", _checked_targets(self.target_modules))
        number, smallest, largest = (int, float), sys.float_info.min, sys.float_info.max
        for field, types, low, high, allowed in (
            ("sparse_rate", number, 0, 1, "a number from 0 to 1"),
            ("seed", (int,), 0, 2**63 - 1, "a whole number of at least 0"),
            ("regularization", number, smallest, largest, f"a number of at least {smallest:.1e}"),
        ):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, types) or not low <= value <= high:
                raise InputError(f"{field}={value!r} is out of range: it must be {allowed}.")
        for field, kinds in (("basis", BasisKind), ("shared_side", SharedSide)):
            choices = get_args(kinds)
            value = getattr(self, field)
            if value not in choices:
                raise InputError(
                    f"{field}={value!r} is unknown.{did_you_mean(str(value), choices)}"
                )
        if self.basis != "exact" and self.shared_side != "input":
            raise InputError(
                f"shared_side={self.shared_side!r} is unavailable with basis={self.basis!r}, whose "
                "basis is on the inputs. Use shared_side='input' or basis='exact'."
            )


def _checked_targets(targets: object) -> list[str] | str:
    if isinstance(targets, str):
        try:
            re.compile(targets)
        except (re.error, RecursionError, OverflowError) as error:
            raise InputError(
                f"target_modules={targets!r} is not a regular expression ({error}). "
                "Give a list of layer names or one valid pattern."
            ) from None
        if targets:
            return targets
    elif isinstance(targets, list | tuple | set | frozenset):
        names = sorted(targets) if isinstance(targets, set | frozenset) else list(targets)
        if names and all(isinstance(name, str) and name for name in names):
            return names
    raise InputError(
        f"target_modules={targets!r} must be a non-empty list of layer names or one regular "
        "expression."
    )
