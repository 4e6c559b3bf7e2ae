"""Synthetic records of variants: one setting each, with a score that a test plants."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frod_bench.records import hashing
from frod_bench.report.asked import Cell
from tests.report.factory import make_record, synthetic_curve, write_record

NAMES = {
    "method.sparse_rate": "s",
    "method.peft.r": "r",
    "rate_factors.lambda": "lambda ×",
    "rate_factors.rotation": "rotation ×",
    "rate_factors.all": "rates ×",
    "trainer.mixed_precision": "precision",
}


def variant(
    root: Path,
    task: str,
    method: str,
    seed: int,
    settings: Mapping[str, Any],
    value: float | None,
    *,
    status: str = "ok",
    percent: float | None = None,
) -> Cell:
    """The cell of a variant; its record is written unless `value` is None and `status` ok."""
    made = make_record(task, method, seed, value, status)
    made["config"]["method"]["variant"] = dict(settings)
    identity = hashing.identity(made["config"], *_fingerprints(made))
    made["cell"]["config_hash"] = hashing.config_hash(identity)
    if percent is not None:
        adapted = round(percent / 100 * made["params"]["backbone_total"])
        made["params"]["trainable"] = adapted + made["params"]["trainable_head"]
        made["params"]["trainable_percent"] = 100 * adapted / made["params"]["backbone_total"]
    if value is not None or status != "ok":
        write_record(root, made, synthetic_curve(steps=20, final=value or 0.5, seed=seed))
    axes = tuple((key, NAMES[key], choice) for key, choice in settings.items())
    return Cell(task, method, seed, made["cell"]["config_hash"], "fair", axes=axes)


def _fingerprints(made: Mapping[str, Any]) -> tuple[str, str]:
    provenance = made["provenance"]
    return provenance["data_fingerprint"], provenance["backbone_fingerprint"]
