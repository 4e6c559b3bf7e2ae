"""The hash of a cell: which parts of a configuration change a result, and their canonical text."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

HASH_DIGITS = 16
# Keys of the trainer that say how a run is evaluated.
_EVALUATION = ("eval_every_steps", "eval_batch_rows", "curve_rows", "test_rows", "exact_rows")
_ORIGIN = ("hub_id", "revision")  # where content comes from; its fingerprint says what it is
# Keys that were added after the first records, each with the value at which a run is the same as
# without the key. A key with this value is left out of the hash, so that existing records keep
# their hashes. List every new key here. Never leave out all keys that equal their default: that
# would change hashes.
ADDED_KEYS: dict[str, dict[str, Any]] = {
    "method": {
        "shared_side": "input",
        "rotation_scale": "none",
        "released_output": False,
        "apply": None,
        "options": {},
        "source": None,
        "decay": "start",
    },
    "trainer": {
        "epochs": None,
        "length_groups": 1,
        "cached_features": False,
        "exact_rows": False,
    },
    "task": {},
    "backbone": {},
    "protocol": {"decay": "start"},
}
_EXACT_INTEGER = 2.0**53  # whole floats below it are exactly those integers


def canonical_json(obj: object) -> str:
    """The one text of a JSON value: sorted keys, no blanks, whole floats as integers (RFC 8785), so
    that `alpha: 16` and `16.0` are one. Raises ValueError for NaN and infinities.
    """
    return json.dumps(
        _whole_numbers(obj),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def config_hash(identity: Mapping[str, Any]) -> str:
    """First 16 hexadecimal digits of SHA-256 over the canonical JSON of a cell's identity."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:HASH_DIGITS]


def hashes_by_seed(identity: Mapping[str, Any]) -> Callable[[int], str]:
    """Return a function of a seed: `config_hash` of the identity with that seed. The other values
    are turned into text only once.
    """
    texts = {key: canonical_json(value) for key, value in identity.items() if key != "seed"}
    before, after = (
        ",".join(f"{canonical_json(key)}:{texts[key]}" for key in sorted(texts) if is_there(key))
        for is_there in ("seed".__gt__, "seed".__lt__)
    )
    whole = hashlib.sha256(f'{{{before},"seed":'.encode())

    def with_seed(seed: int) -> str:
        digest = whole.copy()
        digest.update(f"{canonical_json(seed)},{after}}}".encode())
        return digest.hexdigest()[:HASH_DIGITS]

    return with_seed


def identity(
    config: Mapping[str, Any], data_fingerprint: str, backbone_fingerprint: str
) -> dict[str, Any]:
    """The parts of a composed configuration (`settings.Settings`) that change a cell's result.

    Data and backbone are identified by content. The head and the task's `rank` are included only if
    options are ranked. The table of learning rates is left out, because the method contains its
    own rates. Raises KeyError if a part is missing.
    """
    task = config["task"]
    ranked = config.get("head") == "rank"
    unread = (*_ORIGIN, "rows") if ranked else (*_ORIGIN, "rows", "rank")
    method = _without_added("method", config["method"])
    if "apply" in method:  # without the folder of its function's file
        method["apply"] = PurePath(method["apply"]).name
    return {
        "profile": config["profile"]["name"],
        "protocol": _without_added("protocol", config["protocol"]),
        "task": _without_added("task", task, unread),
        "method": method,
        "backbone": _without_added("backbone", config["backbones"][task["family"]], _ORIGIN),
        "trainer": _without_added("trainer", config["trainer"]),
        "seed": config["seed"],
        "pretrained": config.get("pretrained", True),
        "data_fingerprint": data_fingerprint,
        "backbone_fingerprint": backbone_fingerprint,
        **({"head": "rank"} if ranked else {}),
    }


class Hashes:
    """Hashes of configurations.

    Thousands of configurations have the same objects as values, except for the seed. They are
    turned into text only once.
    """

    def __init__(self) -> None:
        # The keys have ids of values. Keeping the configuration keeps these ids from being reused.
        self._known: dict[tuple[object, ...], tuple[object, Callable[[int], str]]] = {}
        self._partial: dict[tuple[object, ...], tuple[object, str]] = {}

    def of(self, config: Mapping[str, Any], data: str, backbone: str) -> str:
        """`config_hash` of the `identity` of a configuration and two fingerprints. Raises KeyError
        if a part is missing, ValueError as `canonical_json` does.
        """
        key = (data, backbone, *_objects(config))
        if (known := self._known.get(key)) is None:
            known = config, hashes_by_seed(identity(config, data, backbone))
            self._known[key] = known
        return known[1](config["seed"])

    def of_held(self, record: Mapping[str, Any]) -> str:
        """`held_equal_hash` of a record."""
        return self._without_seed(held_equal_hash, record)

    def of_training(self, record: Mapping[str, Any]) -> str:
        """`training_hash` of a record."""
        return self._without_seed(training_hash, record)

    def _without_seed(
        self, hash_of: Callable[[Mapping[str, Any]], str], record: Mapping[str, Any]
    ) -> str:
        config = record["config"]
        key = (hash_of, record["provenance"]["backbone_fingerprint"], *_objects(config))
        if key not in self._partial:
            self._partial[key] = config, hash_of(record)
        return self._partial[key][1]


def _objects(config: Mapping[str, Any]) -> tuple[object, ...]:
    """The names in a configuration, and which objects are its values, but for the seed."""
    return (*config, *(id(value) for name, value in config.items() if name != "seed"))


def held_equal_hash(record: Mapping[str, Any]) -> str:
    """The hash of what a comparison holds equal on a task.

    It covers the backbone's weights and all settings of a record, except the method, the seed, and
    how rows are cut into micro-batches of a step and into batches of an evaluation.
    """
    backbone = record["provenance"]["backbone_fingerprint"]
    held = identity(record["config"], "", backbone)
    del held["method"], held["seed"]
    held["trainer"] = whole_steps(held["trainer"]) | {"eval_batch_rows": None}
    del held["trainer"]["accumulation_steps"]
    return config_hash(held)


def training_hash(record: Mapping[str, Any]) -> str:
    """The hash of what decides a run's trained values, except its seed and its data.

    It covers the backbone's weights and all settings, except those of the trainer that say how a
    run is evaluated.
    """
    trained = identity(record["config"], "", record["provenance"]["backbone_fingerprint"])
    del trained["seed"]
    trainer = whole_steps(trained["trainer"]).items()
    trained["trainer"] = {key: value for key, value in trainer if key not in _EVALUATION}
    return config_hash(trained)


def whole_steps(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """The trainer's settings, however the rows of a step are cut into micro-batches."""
    sizes = [trainer.get(name, 1) for name in ("batch_rows", "accumulation_steps")]
    rows = math.prod(sizes) if all(isinstance(size, int) for size in sizes) else sizes
    return {**trainer, "batch_rows": rows, "accumulation_steps": 1}


def settings_hash(record: Mapping[str, Any], hashes: Hashes | None = None) -> str:
    """The hash of a record's cell without that of its data: files with the same rows differ in
    their bytes between versions of the library that writes them.
    """
    backbone = record["provenance"]["backbone_fingerprint"]
    return (hashes or Hashes()).of(record["config"], "", backbone)


def _without_added(
    part: str, node: Mapping[str, Any], unread: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A node without `unread`, and without the added keys at the value that stands for absent."""
    added = ADDED_KEYS[part].items()
    return {k: v for k, v in node.items() if k not in unread and (k, v) not in added}


def profile_title(config: Mapping[str, Any]) -> str:
    """The profile's title. Records older than version 0.2.0 call synthetic data "stand-in"."""
    return str(config["profile"]["title"]).replace("stand-in data", "synthetic data")


def _whole_numbers(obj: object) -> object:
    if isinstance(obj, float) and obj.is_integer() and abs(obj) < _EXACT_INTEGER:
        return int(obj)
    if isinstance(obj, Mapping):
        return {key: _whole_numbers(value) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [_whole_numbers(value) for value in obj]
    return obj
