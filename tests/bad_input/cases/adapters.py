"""Adapters of FRoD, ours and PEFT's, that somebody else may have written."""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bad_input.case import Bad
from tests.bad_input.cases.data import PICKLED, zipped

OURS = ("frod_adapter.json", "frod_adapter.safetensors")
THEIRS = ("adapter_config.json", "adapter_model.safetensors")
Damage = Callable[[Path], object]


def load(here: Path) -> None:
    """Attach the adapter to the model that it was made for."""
    from frod_bench.frod import load_frod
    from tests.frod.helpers import Net

    load_frod(Net(), here / "adapter", cache_dir=here / "bases")


def adapter(here: Path, _patch: pytest.MonkeyPatch, *, basis: str, damage: Damage) -> None:
    """An adapter, and what is done to its folder."""
    from frod_bench.frod import FrodConfig, attach_frod, save_frod
    from tests.frod.helpers import Net

    config = FrodConfig(["up", "down"], sparse_rate=0.1, basis=basis)  # type: ignore[arg-type]
    model = attach_frod(Net(), config, cache_dir=here / "bases")
    kind = "peft" if basis == "peft" else "native"
    save_frod(model, here / "adapter", format=kind)  # type: ignore[arg-type]
    damage(here / "adapter")


def bad(name: str, damage: Damage, field: str, remedy: str, basis: str = "exact") -> Bad:
    """An adapter that is not attached."""
    given = functools.partial(adapter, basis=basis, damage=damage)
    return Bad(load, field, remedy, given, f"adapter ({basis}): {name}")


def changed(file: str, **changes: object) -> Damage:
    """Changes of the JSON file."""

    def damage(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def content(file: str, new: bytes) -> Damage:
    """Another content of a file."""
    return lambda folder: (folder / file).write_bytes(new)


def folder_for(file: str) -> Damage:
    """A folder in place of a file."""

    def damage(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).mkdir()

    return damage


AGAIN = "Save the adapter again"
NATIVE = (
    bad("settings not UTF-8", content(OURS[0], b"\xff\xfe{}"), OURS[0], AGAIN),
    bad("5,000 digits", content(OURS[0], b'{"a": ' + b"9" * 5000 + b"}"), OURS[0], AGAIN),
    bad("a folder for its settings", folder_for(OURS[0]), f"{OURS[0]} cannot be read", AGAIN),
    bad("a folder for its tensors", folder_for(OURS[1]), f"{OURS[1]} cannot be read", AGAIN),
    bad("a pickle for its tensors", content(OURS[1], PICKLED), f"{OURS[1]} is truncated", AGAIN),
    bad("an archive for its tensors", content(OURS[1], zipped()), f"{OURS[1]} is truncated", AGAIN),
    bad(
        "a pattern that cannot be compiled",
        changed(OURS[0], config={"target_modules": "("}),
        "target_modules='('",
        "Give a list of layer names",
    ),
    bad(
        "a pattern too deep",
        changed(OURS[0], config={"target_modules": "(" * 5000 + ")" * 5000}),
        "is not a regular expression",
        "Give a list of layer names",
    ),
    bad(
        "a rate that is a truth value",
        changed(OURS[0], config={"target_modules": ["up"], "sparse_rate": True}),
        "sparse_rate=True",
        "must be a number from 0 to 1",
    ),
    bad(
        "targets that are no texts",
        changed(OURS[0], config={"target_modules": [1]}),
        "target_modules=[1]",
        "must be a non-empty list",
    ),
)
PEFTS = (
    bad("settings in a list", content(THEIRS[0], b"[]"), "peft_type=None", "Load it with", "peft"),
    bad(
        "a seed that is a text",
        changed(THEIRS[0], projection_prng_key="x"),
        "projection_prng_key='x'",
        "whole",
        "peft",
    ),
    bad(
        "targets that are a number",
        changed(THEIRS[0], target_modules=5),
        "target_modules=5",
        "must be a non-empty list",
        "peft",
    ),
    bad(
        "a pickle for its tensors",
        content(THEIRS[1], PICKLED),
        f"{THEIRS[1]} is trunc",
        AGAIN,
        "peft",
    ),
)

CASES = (*NATIVE, *PEFTS)
