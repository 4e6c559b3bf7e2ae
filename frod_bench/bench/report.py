"""A run's numbers as a document, and as tables on the terminal."""

import dataclasses
import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from frod_bench.bench.floor import LayerTimes, merged_multiply_adds, over_the_floor
from frod_bench.bench.goals import Verdict
from frod_bench.bench.options import Options
from frod_bench.bench.race import LayerRow, Race, Row, layers_at
from frod_bench.common import atomic
from frod_bench.records import provenance

SCHEMA_VERSION = 1
CPUINFO = Path("/proc/cpuinfo")


@dataclasses.dataclass(frozen=True)
class Start:
    """When a run started, and on how busy a machine.

    Attributes:
        started_at: UTC, ISO 8601.
        load_average: jobs that ran or waited in the minute before; an idle machine has 0.
    """

    started_at: str
    load_average: float


def start_now() -> Start:
    """This moment."""
    return Start(datetime.now(UTC).isoformat(timespec="seconds"), os.getloadavg()[0])


def document_of(
    race: Race, verdicts: Sequence[Verdict], options: Options, start: Start
) -> dict[str, Any]:
    """All that was measured, round by round, with where it comes from."""
    version, dirty = provenance.code_version()
    return {
        "schema_version": SCHEMA_VERSION,
        "provenance": {
            "code_version": version,
            "dirty": dirty,
            "packages": provenance.package_versions(),
            "device": options.device,
            "device_name": device_name(options.device),
            "dtype": "float32" if options.device == "cpu" else "bfloat16",
            "rounds": options.rounds,
            **dataclasses.asdict(start),
        },
        "rows": [dataclasses.asdict(row) for row in race.rows],
        "layers": [_layer_entry(row) for row in race.layers],
        "models_over_the_floor": [
            {"shape": shape, "tokens": tokens, "ratio": over_the_floor(found)}
            for (shape, tokens), found in _by_model(race.layers).items()
        ],
        "goals": [dataclasses.asdict(verdict) for verdict in verdicts],
    }


def save(document: dict[str, Any], path: Path) -> None:
    """Write the document atomically."""
    atomic.write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def device_name(device: str) -> str:
    """What the machine calls its processor or accelerator."""
    if device != "cpu":
        import torch

        return torch.cuda.get_device_name(torch.device(device))
    try:
        lines = CPUINFO.read_text().splitlines()
        return next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def show(race: Race, verdicts: Sequence[Verdict], rounds: int, console: Console) -> None:
    """The times, the layers beside their floor, and the goals."""
    print_times(race.rows, rounds, console)
    errors = {
        f"{row.method} is out on {_model(row.shape, row.compiled)}: {row.error}": None
        for row in race.rows
        if row.error is not None
    }
    for line in errors:
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    if race.layers:
        print_floors(race.layers, console)
    if verdicts:
        console.print(goals_table(verdicts))


def print_times(rows: Iterable[Row], rounds: int, console: Console) -> None:
    """A table for each batch of each shape, one row a method."""
    console.print(
        f"Medians of {rounds} rounds; x full, x frod: medians of the rounds' ratios to that method",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    tables: dict[str, list[Row]] = {}
    for row in rows:
        title = (
            f"{_model(row.shape, row.compiled)}, {row.rows} x {row.length} = {row.tokens} tokens, "
            f"{row.threads} thread{'s' if row.threads > 1 else ''}"
        )
        tables.setdefault(title, []).append(row)
    for title, found in tables.items():
        console.print(times_table(title, found))


def times_table(title: str, rows: Iterable[Row]) -> Table:
    """One row a method."""
    names = (
        "attach s", "cached s", "step s", "x full", "x frod", "forward s", "x full", "x frod",
        "peak MiB",
    )  # fmt: skip
    table = _table(title, ("method",), names)
    for row in rows:
        peak = row.peak_device_bytes or row.peak_rss_bytes
        numbers = (
            row.attach_sec, row.attach_cached_sec,
            row.step_sec, row.step_ratio.get("full"), row.step_ratio.get("frod"),
            row.forward_sec, row.forward_ratio.get("full"), row.forward_ratio.get("frod"),
        )  # fmt: skip
        name = row.method if row.error is None else f"{row.method} (out)"
        table.add_row(name, *map(_number, numbers), "-" if peak is None else f"{peak / 2**20:.0f}")
    return table


def print_floors(layers: Sequence[LayerRow], console: Console) -> None:
    """A table for each number of tokens of each shape."""
    console.print(
        "One FRoD layer's training step over its floor: the multiply-adds of the cheaper exact "
        "form at the rate of a\ntorch.mm of 2048^3 (on a GPU 8192^3) in the same turns; linear: "
        "a plain layer whose weight is trained.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    for (shape, tokens), found in _by_model(layers).items():
        rate = statistics.median(times.rate for times in found)
        title = f"{shape}, {tokens} tokens; torch.mm: {rate / 1e9:.3g} G multiply-adds a second"
        console.print(floor_table(title, found))


def floor_table(title: str, layers: Sequence[LayerTimes]) -> Table:
    """One row a layer shape, then all layers of the model."""
    names = ("layers", "G multiply-adds", "FRoD ms", "floor ms", "FRoD / floor", "linear ms")
    table = _table(title, ("m x k", "cheaper form"), names)
    for times in layers:
        frod_ms, floor_ms, linear_ms = (
            _number(1e3 * statistics.median(sec))
            for sec in (times.frod_sec, times.floor_sec, times.linear_sec)
        )
        table.add_row(
            f"{times.out_features} x {times.in_features}",
            _cheaper_form(times),
            str(times.layers),
            f"{times.multiply_adds / 1e9:.3g}",
            frod_ms,
            floor_ms,
            f"{times.ratio:.3f}",
            linear_ms,
        )
    total = sum(times.layers for times in layers)
    table.add_row("all", "", str(total), "", "", "", f"{over_the_floor(layers):.3f}", "")
    return table


def goals_table(verdicts: Iterable[Verdict]) -> Table:
    """Each goal, what was measured, and whether it is met."""
    table = _table("Goals", ("goal",), ("measured", "bound", "met"))
    words = {True: Text("yes", "green"), False: Text("no", "red"), None: Text("not measured")}
    for verdict in verdicts:
        bound = f"{verdict.bound} {verdict.goal:g}"
        table.add_row(verdict.name, _number(verdict.measured), bound, words[verdict.met])
    return table


def _table(title: str, words: Iterable[str], numbers: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in words:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _layer_entry(row: LayerRow) -> dict[str, Any]:
    times = row.times
    return {
        "shape": row.shape,
        **dataclasses.asdict(times),
        "cheaper_form": _cheaper_form(times),
        "ratio": times.ratio,
        "rate": times.rate,
    }


def _cheaper_form(times: LayerTimes) -> str:
    merged = merged_multiply_adds(times.tokens, times.out_features, times.in_features)
    return "merged" if times.multiply_adds == merged else "factored"


def _by_model(layers: Sequence[LayerRow]) -> dict[tuple[str, int], list[LayerTimes]]:
    """The layers of each shape at each number of tokens, in the order of the race."""
    keys = dict.fromkeys((row.shape, row.times.tokens) for row in layers)
    return {(shape, tokens): layers_at(layers, shape, tokens) for shape, tokens in keys}


def _model(shape: str, compiled: bool) -> str:
    return f"{shape} (compiled)" if compiled else shape


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
