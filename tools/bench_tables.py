"""The tables of what `make bench` measured, from its published documents."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from frod_bench.report.table import pipes
from tools.differences import REFERENCE, head

# Kind of processor -> its document. The first, which the pages quote, is of version 1.0.0, and the
# second of a version shortly before it.
DOCUMENTS = {"AMD": "frod_amd.json", "Intel": "frod_intel.json"}
METHODS = {
    "full": "full",
    "lora": "LoRA r 8",
    "dora": "DoRA r 8",
    "frod": "FRoD",
    "frod_peft": "PEFT's FRoD",
    "frozen": "frozen",
}
OWN_SHAPES = {"encoder": "embedded_encoder", "decoder": "embedded_decoder", "ViT": "embedded_vit"}
MANY, FEW = 4096, 512  # tokens of a batch at RoBERTa-base's shape
MIB = 2**20

Row = Mapping[str, Any]


@functools.cache
def document(processor: str) -> dict[str, Any]:
    """What `make bench` wrote on a kind of processor."""
    path = REFERENCE / "bench" / DOCUMENTS[processor]
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def rows_of(processor: str, shape: str, tokens: int | None = None) -> dict[str, Row]:
    """The rows of a shape, at one number of tokens if it has several, by method."""
    rows = document(processor)["rows"]
    of_shape = [row for row in rows if row["shape"] == shape and not row["compiled"]]
    return {row["method"]: row for row in of_shape if tokens in (None, row["tokens"])}


def in_the_readme() -> str:
    """Seconds and memory of a training step at RoBERTa-base's shape, by method."""
    [processor, *_] = DOCUMENTS
    rows = {tokens: rows_of(processor, "roberta_base", tokens) for tokens in (MANY, FEW)}
    many, few = (
        {method: f"{_digits(row['step_sec'])} s" for method, row in rows[tokens].items()}
        for tokens in (MANY, FEW)
    )
    peak = {method: f"{row['peak_rss_bytes'] / 2**30:.1f}" for method, row in rows[MANY].items()}
    return (
        f"On two {processor} cores, at the shape of RoBERTa-base and with 4,096 tokens, a training "
        f"step took {many['frod']} with FRoD, {many['full']} with full fine-tuning, "
        f"{many['lora']} with LoRA, {many['dora']} with DoRA, and {many['frod_peft']} with PEFT's "
        f"implementation of FRoD; peak memory was {peak['frod']}, {peak['full']}, {peak['lora']}, "
        f"{peak['dora']} and {peak['frod_peft']} GiB. With 512 tokens it took {few['frod']}, "
        f"{few['full']}, {few['lora']}, {few['dora']} and {few['frod_peft']}: the smaller the "
        "step, the more FRoD costs relative to LoRA "
        "([costs](docs/explanation/method.md#seconds-and-memory-of-a-step))."
    )


def steps(processor: str) -> str:
    """Seconds and memory by method; beside a step its ratio to full fine-tuning's."""
    lines = head(f"2 {processor} cores, float32, s = 0.02", list(METHODS.values()))
    at = {tokens: rows_of(processor, "roberta_base", tokens) for tokens in (FEW, MANY)}
    lines += [_line(f"step, {tokens:,} tokens", rows, _step) for tokens, rows in at.items()]
    lines += [_line(f"evaluation, {tokens:,} tokens", rows, _pass) for tokens, rows in at.items()]
    lines += [
        _line(f"peak resident memory, {tokens:,} tokens, MiB", rows, _peak)
        for tokens, rows in at.items()
    ]
    for name, shape in OWN_SHAPES.items():
        rows = rows_of(processor, shape)
        one = rows["frod"]
        batch = f"{one['rows']} x {one['length']} tokens, 1 thread"
        lines.append(_line(f"suite's {name}, {batch}, step", rows, _step))
    return "\n".join(lines)


def goals() -> str:
    """The goals of `make bench`, and what was measured on each kind of processor."""
    lines = head("goal", ["asked", *DOCUMENTS])
    for of_goal in zip(*(document(name)["goals"] for name in DOCUMENTS), strict=True):
        asked = " and ".join(f"{goal:g}" for goal in dict.fromkeys(one["goal"] for one in of_goal))
        values = [f"{one['measured']:.3g}{', met' * one['met']}" for one in of_goal]
        lines.append(pipes([of_goal[0]["name"], f"{of_goal[0]['bound']} {asked}", *values]))
    return "\n".join(lines)


def _line(what: str, rows: Mapping[str, Row], say: Callable[[Row], str]) -> str:
    return pipes([what, *(say(rows[method]) for method in METHODS)])


def _step(row: Row) -> str:
    ratio = f" ({_digits(row['step_ratio']['full'])})"
    return _digits(row["step_sec"]) + ratio * (row["method"] not in ("full", "frozen"))


def _pass(row: Row) -> str:
    return _digits(row["forward_sec"])


def _peak(row: Row) -> str:
    return f"{row['peak_rss_bytes'] / MIB:,.0f}"


def _digits(value: float) -> str:
    """Three of them, with zeros at the end."""
    return f"{value:#.3g}".rstrip(".")
