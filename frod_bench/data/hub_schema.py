"""The recorded schema of the benchmarks on the Hub: columns, types, class names, labelled splits.

The `source` of an entry of `hub_schema.json` tells where it was read.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from datasets import Features

from frod_bench.common.errors import InputError, did_you_mean

SCHEMA_PATH = Path(__file__).with_name("hub_schema.json")


@cache
def _schema() -> dict[str, dict[str, dict[str, Any]]]:
    return json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))


def data_sets() -> list[tuple[str, str]]:
    """Return every recorded (Hub id, config), sorted."""
    return [(hub_id, config) for hub_id, configs in _schema().items() for config in configs]


def features_of(hub_id: str, hub_config: str) -> Features:
    """Return the columns with types and class names. Raises InputError if nothing is recorded."""
    return Features.from_dict(_entry(hub_id, hub_config)["features"])


def splits_of(hub_id: str, hub_config: str) -> list[str]:
    """Return the names of the labelled splits. Raises InputError if nothing is recorded."""
    return list(_entry(hub_id, hub_config)["splits"])


def _entry(hub_id: str, hub_config: str) -> dict[str, Any]:
    schema = _schema()
    if hub_id not in schema:
        raise InputError(
            f"hub_id: no schema recorded for {hub_id!r}.{did_you_mean(hub_id, schema)}"
        )
    if hub_config not in schema[hub_id]:
        hint = did_you_mean(hub_config, schema[hub_id])
        raise InputError(f"hub_config: no schema recorded for {hub_config!r} of {hub_id}.{hint}")
    return schema[hub_id][hub_config]
