"""The settings of an adapter: what decides the basis, the support and which layers are adapted."""

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..common.errors import InputError, did_you_mean

BasisKind = Literal["exact", "peft"]
BASIS_KINDS: tuple[BasisKind, ...] = ("exact", "peft")
SharedSide = Literal["input", "smaller"]
SHARED_SIDES: tuple[SharedSide, ...] = ("input", "smaller")


@dataclass(frozen=True)
class FrodConfig:
    """Settings of FRoD (arXiv 2512.23485), validated on construction.

    Attributes:
        target_modules: names or dotted suffixes of the layers to adapt, or one regular expression
            that a layer's whole name must match.
        sparse_rate: share of the k x k places of the rotation S that are trained, in [0, 1].
        seed: draws the support of S; the same seed gives PEFT's support.
        regularization: pi of the higher-order CS decomposition, above 0.
        basis: ``exact`` is our float64 decomposition; ``peft`` repeats PEFT's own float32
            sequence of operations, so that adapters can be exchanged with it.
        shared_side: ``input`` puts the shared basis on the layers' inputs, as the paper does;
            ``smaller``, which is ours, on their outputs where these are fewer, so that S has m x m
            places. It needs ``basis="exact"``.

    Raises:
        InputError: a field is of the wrong type or out of its range; the message names it.
    """

    target_modules: list[str] | str
    sparse_rate: float = 0.02
    seed: int = 0
    regularization: float = 1e-3
    basis: BasisKind = "exact"
    shared_side: SharedSide = "input"

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_modules", _checked_targets(self.target_modules))
        _require(
            _is_number(self.sparse_rate) and 0 <= self.sparse_rate <= 1,
            "sparse_rate",
            self.sparse_rate,
            "a number from 0 to 1",
        )
        _require(
            isinstance(self.seed, int)
            and not isinstance(self.seed, bool)
            and 0 <= self.seed < 2**63,
            "seed",
            self.seed,
            "a whole number of at least 0",
        )
        _require(
            _is_number(self.regularization) and self.regularization > 0,
            "regularization",
            self.regularization,
            "a number above 0",
        )
        _require_one_of(BASIS_KINDS, "basis", self.basis)
        _require_one_of(SHARED_SIDES, "shared_side", self.shared_side)
        if self.basis == "peft" and self.shared_side != "input":
            raise InputError(
                f"shared_side={self.shared_side!r} can't be had with basis='peft': PEFT's basis is "
                "on the inputs. Use shared_side='input', or basis='exact'."
            )

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _require(holds: bool, field: str, value: object, allowed: str) -> None:
    if not holds:
        raise InputError(f"{field}={value!r} is out of range: it must be {allowed}.")


def _require_one_of(allowed: tuple[str, ...], field: str, value: object) -> None:
    if value not in allowed:
        raise InputError(f"{field}={value!r} is not known.{did_you_mean(str(value), allowed)}")


def _checked_targets(targets: object) -> list[str] | str:
    """The targets as a list of names or one pattern; any other iterable of names is listed."""
    if isinstance(targets, str):
        try:
            re.compile(targets)
        except re.error as error:
            raise InputError(
                f"target_modules={targets!r} is not a regular expression ({error}). "
                "Give a list of layer names, or one pattern."
            ) from None
        if targets:
            return targets
    elif isinstance(targets, list | tuple | set | frozenset):
        names = sorted(targets) if isinstance(targets, set | frozenset) else list(targets)
        if names and all(isinstance(name, str) and name for name in names):
            return names
    raise InputError(
        f"target_modules={targets!r} must be a list of layer names that is not empty, "
        "or one regular expression."
    )
