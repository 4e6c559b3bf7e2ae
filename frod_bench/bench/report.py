"""A run's numbers as a JSON document, and as tables for a terminal."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.console import Console

from frod_bench.bench.floor import LayerTimes, by_model, over_the_floor
from frod_bench.bench.goals import Verdict
from frod_bench.bench.options import Options, model_label
from frod_bench.bench.race import Race, Row
from frod_bench.cells import results
from frod_bench.common import processes
from frod_bench.report.table import Row as Line
from frod_bench.report.table import Table, to_rich

DERIVED = ("cheaper_form", "ratio", "rate")  # properties of `LayerTimes`
MET = {True: "yes", False: "no", None: "not measured"}
OVER_THE_FLOOR = (
    "One FRoD layer's training step over its floor: the multiply-adds of the cheaper exact form at "
    "the rate of a\ntorch.mm of 2048^3 (on a GPU 8192^3), interleaved; linear: a plain layer whose "
    "weight is trained."
)


def document_of(
    race: Race, verdicts: Sequence[Verdict], options: Options, start: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that was measured, round by round, and its provenance with `start`."""
    version, dirty = results.code_version()
    return {
        "schema_version": 1,
        "provenance": {
            "code_version": version,
            "dirty": dirty,
            "packages": results.package_versions(),
            "device": options.device,
            "device_name": processes.device_name(options.device),
            "dtype": "float32" if options.device == "cpu" else "bfloat16",
            "rounds": options.rounds,
            **start,
        },
        "rows": [asdict(row) for row in race.rows],
        "layers": [
            asdict(times) | {name: getattr(times, name) for name in DERIVED}
            for times in race.layers
        ],
        "models_over_the_floor": [
            {"shape": shape, "tokens": tokens, "ratio": over_the_floor(found)}
            for (shape, tokens), found in by_model(race.layers).items()
        ],
        "goals": [asdict(verdict) for verdict in verdicts],
    }


def show(race: Race, verdicts: Iterable[Verdict], rounds: int, console: Console) -> None:
    """Print the times, the layers beside their floor, and the goals."""

    def say(line: str, style: str | None = None) -> None:
        console.print(line, style=style, soft_wrap=True)

    say(f"Medians of {rounds} rounds; x full, x frod: medians of the rounds' ratios to that method")
    for title, rows in groupby(race.rows, key=_batch_title):
        console.print(to_rich(_times_table(title, rows)))
    for line in dict.fromkeys(
        f"{row.method} is out on {model_label(row.shape, row.compiled)}: {row.error}"
        for row in race.rows
        if row.error is not None
    ):
        say(line, "red")
    if race.layers:
        say(OVER_THE_FLOOR)
    for (shape, tokens), found in by_model(race.layers).items():
        rate = statistics.median(times.rate for times in found)
        title = f"{shape}, {tokens} tokens; torch.mm: {rate / 1e9:.3g} G multiply-adds per second"
        console.print(to_rich(_floor_table(title, found)))
    goals = [
        Line(v.name, (_number(v.measured), f"{v.bound} {v.goal:g}", MET[v.met])) for v in verdicts
    ]
    console.print(to_rich(Table("Goals", "", ("goal", "measured", "bound", "met"), goals)))


def _batch_title(row: Row) -> str:
    threads = f"{row.threads} thread{'s' if row.threads > 1 else ''}"
    size = f"{row.rows} x {row.length} = {row.tokens} tokens"
    return f"{model_label(row.shape, row.compiled)}, {size}, {threads}"


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
        sizes = (times.cheaper_form, str(times.layers), work)
        rows.append(Line(shape, (*sizes, frod_ms, floor_ms, ratio, linear_ms)))
    total = sum(times.layers for times in layers)
    rows.append(Line("all", ("", str(total), "", "", "", f"{over_the_floor(layers):.3f}", "")))
    return Table(title, "", ("m x k", "cheaper form", *names), rows, texts=1)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
