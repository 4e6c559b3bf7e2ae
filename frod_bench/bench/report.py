"""A run's numbers as a JSON document, and as tables for a terminal."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from frod_bench.bench.floor import LayerTimes, merged_multiply_adds, over_the_floor
from frod_bench.bench.goals import Verdict
from frod_bench.bench.options import Options
from frod_bench.bench.race import LayerRow, Race, Row, layers_at
from frod_bench.bench.shapes import model_label
from frod_bench.records import provenance
from frod_bench.report.table import Row as Line
from frod_bench.report.table import Table, to_rich

SCHEMA_VERSION = 1
CPUINFO = Path("/proc/cpuinfo")
MET = {True: "yes", False: "no", None: "not measured"}


@dataclass(frozen=True)
class Start:
    """When a run started, and how busy the machine was.

    Attributes:
        started_at: UTC, ISO 8601.
        load_average: jobs that ran or waited in the minute before; 0 on an idle machine.
    """

    started_at: str
    load_average: float

    @classmethod
    def now(cls) -> "Start":
        """Return this moment."""
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), os.getloadavg()[0])


def document_of(
    race: Race, verdicts: Sequence[Verdict], options: Options, start: Start
) -> dict[str, Any]:
    """Return everything that was measured, round by round, and its provenance."""
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
            **asdict(start),
        },
        "rows": [asdict(row) for row in race.rows],
        "layers": [
            {
                "shape": row.shape,
                **asdict(row.times),
                "cheaper_form": _cheaper_form(row.times),
                "ratio": row.times.ratio,
                "rate": row.times.rate,
            }
            for row in race.layers
        ],
        "models_over_the_floor": [
            {"shape": shape, "tokens": tokens, "ratio": over_the_floor(found)}
            for (shape, tokens), found in _by_model(race.layers).items()
        ],
        "goals": [asdict(verdict) for verdict in verdicts],
    }


def as_json(document: dict[str, Any]) -> str:
    """Return the text of the document."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def device_name(device: str) -> str:
    """Return the machine's name of its processor or accelerator."""
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
    """Print the times, the layers beside their floor, and the goals."""
    _say(
        console,
        f"Medians of {rounds} rounds; x full, x frod: medians of the rounds' ratios to that method",
    )
    for title, rows in _by_batch(race.rows).items():
        console.print(to_rich(_times_table(title, rows)))
    for line in dict.fromkeys(
        f"{row.method} is out on {model_label(row.shape, row.compiled)}: {row.error}"
        for row in race.rows
        if row.error is not None
    ):
        _say(console, line, "red")
    if race.layers:
        _say(
            console,
            "One FRoD layer's training step over its floor: the multiply-adds of the cheaper exact "
            "form at the rate of a\ntorch.mm of 2048^3 (on a GPU 8192^3), interleaved; linear: "
            "a plain layer whose weight is trained.",
        )
    for (shape, tokens), found in _by_model(race.layers).items():
        rate = statistics.median(times.rate for times in found)
        title = f"{shape}, {tokens} tokens; torch.mm: {rate / 1e9:.3g} G multiply-adds per second"
        console.print(to_rich(_floor_table(title, found)))
    if verdicts:
        goals = [
            Line(v.name, (_number(v.measured), f"{v.bound} {v.goal:g}", MET[v.met]))
            for v in verdicts
        ]
        table = Table("Goals", "", ("goal", "measured", "bound", "met"), goals)
        console.print(to_rich(table))


def _say(console: Console, line: str, style: str | None = None) -> None:
    console.print(line, style=style, soft_wrap=True)


def _times_table(title: str, rows: Iterable[Row]) -> Table:
    names = (
        "attach s", "cached s", "step s", "x full", "x frod", "forward s", "x full", "x frod",
        "peak MiB",
    )  # fmt: skip
    lines = []
    for row in rows:
        peak = row.peak_device_bytes or row.peak_rss_bytes
        numbers = (
            row.attach_sec, row.attach_cached_sec,
            row.step_sec, row.step_ratio.get("full"), row.step_ratio.get("frod"),
            row.forward_sec, row.forward_ratio.get("full"), row.forward_ratio.get("frod"),
        )  # fmt: skip
        name = row.method if row.error is None else f"{row.method} (out)"
        memory = "-" if peak is None else f"{peak / 2**20:.0f}"
        lines.append(Line(name, (*map(_number, numbers), memory)))
    return Table(title, "", ("method", *names), lines)


def _floor_table(title: str, layers: Sequence[LayerTimes]) -> Table:
    """Return one row per layer shape, then one of all layers of the model."""
    names = ("layers", "G multiply-adds", "FRoD ms", "floor ms", "FRoD / floor", "linear ms")
    rows = []
    for times in layers:
        frod_ms, floor_ms, linear_ms = (
            _number(1e3 * statistics.median(sec))
            for sec in (times.frod_sec, times.floor_sec, times.linear_sec)
        )
        shape = f"{times.out_features} x {times.in_features}"
        work, ratio = f"{times.multiply_adds / 1e9:.3g}", f"{times.ratio:.3f}"
        cells = (_cheaper_form(times), str(times.layers), work, frod_ms, floor_ms, ratio, linear_ms)
        rows.append(Line(shape, cells))
    total = sum(times.layers for times in layers)
    rows.append(Line("all", ("", str(total), "", "", "", f"{over_the_floor(layers):.3f}", "")))
    return Table(title, "", ("m x k", "cheaper form", *names), rows, texts=1)


def _cheaper_form(times: LayerTimes) -> str:
    merged = merged_multiply_adds(times.tokens, times.out_features, times.in_features)
    return "merged" if times.multiply_adds == merged else "factored"


def _by_model(layers: Sequence[LayerRow]) -> dict[tuple[str, int], list[LayerTimes]]:
    """Return the layers of each shape at each number of tokens, in the order of the race."""
    keys = dict.fromkeys((row.shape, row.times.tokens) for row in layers)
    return {(shape, tokens): layers_at(layers, shape, tokens) for shape, tokens in keys}


def _by_batch(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows of each batch of each shape, by the title of their table."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        title = (
            f"{model_label(row.shape, row.compiled)}, {row.rows} x {row.length} = {row.tokens} "
            f"tokens, {row.threads} thread{'s' if row.threads > 1 else ''}"
        )
        found.setdefault(title, []).append(row)
    return found


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
