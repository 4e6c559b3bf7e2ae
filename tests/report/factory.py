"""Makes valid synthetic records and curves, so that reports are tested without training."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frod_bench.records import hashing, store

FAMILIES = {"rte": "nlu", "cola": "nlu", "boolq": "reasoning", "dtd": "vision", "mnist": "vision"}
PRIMARY = {"cola": "matthews_correlation"}


def composed_config(
    task: str = "rte", method: str = "frod", seed: int = 0, profile: str = "embedded"
) -> dict[str, Any]:
    """A composed configuration with the parts that a record's identity is made of."""
    family = FAMILIES.get(task, "nlu")
    return {
        "profile": {"name": profile, "title": f"{profile} (stand-in data)", "stand_in": True},
        "protocol": {"name": "fair", "validation_percent": 10.0, "curve_split": "validation"},
        "suite": {"name": "smoke"},
        "task": {"name": task, "family": family, "hub_id": f"hub/{task}", "revision": None},
        "method": {"name": method, "kind": method, "learning_rates": {"lambda": 5e-4}},
        "backbones": {family: {"name": f"tiny-{family}", "hub_id": "hub/tiny", "max_length": 64}},
        "trainer": {"max_steps": 100, "batch_rows": 16},
        "tracker": {"name": "none"},
        "runtime": {"jobs": 1},
        "seed": seed,
        "results_root": "results",
    }


def synthetic_curve(
    steps: int = 100,
    every: int = 5,
    start: float = 0.5,
    final: float = 0.8,
    rate: float = 0.05,
    metric: str = "accuracy",
    step_sec: float = 0.02,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """An exponential approach from `start` to `final` with a little noise; a line a step."""
    rng = np.random.default_rng(seed)
    points: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        gain = 1.0 - float(np.exp(-rate * step))
        point = {
            "step": step,
            "epoch": step / 50,
            "seconds": step * step_sec,
            "train_loss": 1.0 - 0.7 * gain + float(rng.normal(0, 0.02)),
            "lr_lambda": 5e-4,
        }
        if step % every == 0:
            point[metric] = start + (final - start) * gain + float(rng.normal(0, 0.005))
            point["eval_loss"] = 1.0 - 0.6 * gain
        points.append(point)
    return points


def evaluated(**curve: Any) -> list[dict[str, Any]]:
    """The lines of a `synthetic_curve` that have an evaluation: most are of single batches."""
    return [point for point in synthetic_curve(**curve) if "eval_loss" in point]


def rehash(made: dict[str, Any]) -> None:
    """Give a record whose configuration was changed the hash of what it is now."""
    prints = [made["provenance"][f"{what}_fingerprint"] for what in ("data", "backbone")]
    identity = hashing.identity(made["config"], *prints)
    made["cell"]["config_hash"] = hashing.config_hash(identity)


def make_record(
    task: str = "rte",
    method: str = "frod",
    seed: int = 0,
    value: float | None = 0.8,
    status: str = "ok",
    profile: str = "embedded",
    code_version: str = "abc1234",
) -> dict[str, Any]:
    """A valid record of schema version 1, as the committed ones are; `noting_files` makes it one of
    version 2.
    """
    config = composed_config(task, method, seed, profile)
    family = config["task"]["family"]
    config_hash = hashing.config_hash(
        hashing.identity(config, "data-" + task, "backbone-" + family)
    )
    metric = PRIMARY.get(task, "accuracy")
    trainable = {"full": 1_000_000, "lora": 20_000, "frozen": 0}.get(method, 17_200)
    name = f"{seed}-{config_hash}"
    failure = {"type": "RuntimeError", "message": "out of luck", "where": "step 7"}
    return {
        "schema_version": 1,
        "status": status,
        "error": None if status == "ok" else failure,
        "cell": {
            "profile": profile,
            "protocol": "fair",
            "task": task,
            "family": family,
            "method": method,
            "backbone": f"tiny-{family}",
            "seed": seed,
            "config_hash": config_hash,
        },
        "metrics": {metric: {"value": value, "n": 200, "stderr": 0.02}} if status == "ok" else {},
        "primary_metric": metric,
        "higher_is_better": True,
        "params": {
            "trainable": trainable + 258,
            "trainable_head": 258,
            "backbone_total": 1_000_000,
            "extra_frozen": 50_000,
            "trainable_percent": trainable / 10_000,
        },
        "time": {"setup_sec": 0.5, "train_sec": 2.0, "eval_sec": 0.4},
        "steps": 100,
        "tokens_or_images": 64_000,
        "memory": {"peak_rss_bytes": 512 * 2**20, "peak_device_bytes": None},
        "predictions": f"{name}.predictions.parquet" if status == "ok" else None,
        "curve": f"{name}.curve.jsonl",
        "provenance": {
            "code_version": code_version,
            "dirty": False,
            "packages": {"torch": "2.13.0"},
            "device": "cpu",
            "dtype": "float32",
            "threads": 1,
            "data_fingerprint": "data-" + task,
            "backbone_fingerprint": "backbone-" + family,
            "started_at": "2026-11-24T12:00:00+00:00",
        },
        "config": config,
    }


def write_record(
    results_root: Path, made: dict[str, Any], curve: Sequence[dict[str, Any]] | None = None
) -> Path:
    """Save a record, and its curve where one is given, at its place under a results folder."""
    path = store.record_path(results_root, made["cell"])
    store.save(made, path)
    if curve is not None:
        lines = [json.dumps(point) + "\n" for point in curve]
        store.curve_path(path).write_text("".join(lines), encoding="utf-8")
    return path


def noting_files(path: Path) -> dict[str, Any]:
    """Save a written record again, as one of version 2 that notes the files beside it."""
    made: dict[str, Any] = json.loads(path.read_text())
    files = {"curve": store.curve_path(path), "predictions": store.predictions_path(path)}
    noted = {kind: store.digest_of(file) if file.exists() else None for kind, file in files.items()}
    made |= {kind: files[kind].name if noted[kind] else None for kind in files}
    made |= {"schema_version": 2, "files": noted | {"adapter": None}}
    made["data_counts"] = {"rows_read": 1000, "rows_unusable": 0, "sequences_cut": 3}
    made["provenance"]["processes"] = 1
    store.save(made, path)
    return made


def result_of(path: Path) -> dict[str, Any]:
    """The result in a record file: all but times and paths, with the curve as text."""
    record: dict[str, Any] = dict(store.load(path))
    fields = ("status", "cell", "metrics", "primary_metric", "params", "steps", "tokens_or_images")
    points = store.read_curve(path) if record["curve"] is not None else []
    curve = [{name: value for name, value in p.items() if name != "seconds"} for p in points]
    return {name: record[name] for name in fields} | {"curve": json.dumps(curve, sort_keys=True)}
