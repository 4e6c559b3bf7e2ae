"""Convergence curves that one can toggle and hover: a chart a task, quantity and axis."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from frod_bench.report import style
from frod_bench.report.curves import AXES, Axis, Band
from frod_bench.report.frame import Method
from frod_bench.report.names import label
from frod_bench.report.page.charts import SYMBOLS, Chart, Json, colored, layout_of, rounded
from frod_bench.report.panels import ALL_TASKS, AXIS_LABELS, Panels
from frod_bench.stats import Floats

BAND_ARRAYS = 8  # arrays of a band's length in its traces: x three times, median, the range twice
MOST_NUMBERS = 240_000  # in all curves together: about 1.7 MB of the file
POINTS = (16, 121)  # of a curve: at least, at most
LINE_PX = 2.2
DECADE = 10.0  # the ratio of a loss's ends from which on its axis is logarithmic
SCORE = "score"


class Unit(NamedTuple):
    """How the values of bands are shown: times `scale`, on hovering in a format of d3's."""

    scale: float
    form: str
    may_be_log: bool = False

    def hover(self, name: str) -> str:
        """One of a trace's values in a hover template."""
        return f"%{{{name}:{self.form}}}"


POINTS_UNIT = Unit(100.0, ".1f")
LOSS_UNIT = Unit(1.0, ".3g", may_be_log=True)


def dash(look: style.MethodStyle, width_px: float = LINE_PX) -> str:
    """A method's line as an SVG dash array; `solid` where it has no gaps."""
    if look.line == "-":
        return "solid"
    return ",".join(f"{width_px * part:.1f}px" for part in look.line[1])


def curve_charts(
    scores: Mapping[str, Panels], losses: Mapping[str, Mapping[str, Panels]]
) -> dict[str, Chart]:
    """A chart for each of the panels, quantity and axis, by `<name>/<quantity>/<axis>`.

    All tasks come first. The quantities are `score` and those of `losses`, by name, that all names
    have. Curves are thinned so that all of them together stay within `MOST_NUMBERS`; where not even
    that leaves room for losses, there are none.
    """
    names = sorted(scores, key=lambda name: name != ALL_TASKS)
    shown = {SCORE: scores} | {q: p for q, p in losses.items() if set(names) <= set(p)}
    if _numbers(shown, POINTS[0]) > MOST_NUMBERS:
        shown = {SCORE: scores}
    points = int(np.clip(MOST_NUMBERS / max(_numbers(shown, 1), 1), *POINTS))
    return {
        f"{name}/{quantity}/{axis}": curve_chart(
            panels[name], axis, points, POINTS_UNIT if quantity == SCORE else LOSS_UNIT
        )
        for name in names
        for quantity, panels in shown.items()
        for axis in AXES
    }


def _numbers(shown: Mapping[str, Mapping[str, Panels]], points: int) -> int:
    """How many numbers the curves of all panels are at so many points each."""
    every = [panels for of_quantity in shown.values() for panels in of_quantity.values()]
    bands = sum(len(of_axis) for panels in every for of_axis in panels.bands.values())
    return bands * BAND_ARRAYS * points


def curve_chart(panels: Panels, axis: Axis, points: int, unit: Unit = POINTS_UNIT) -> Chart:
    """Median and range of each method over an axis, the target, and when it is reached."""
    traces: list[Json] = []
    ends: list[str] = []
    bands = {method: band for method, band in panels.bands[axis].items() if band.grid.size}
    for method, band in bands.items():
        traces += _band_traces(method, thinned(band, points), unit)
        ends.append(f"{label(method)} {unit.scale * band.median[-1]:{unit.form}}")
        when = panels.arrived.get(axis, {}).get(method, np.nan)
        if np.isfinite(when):
            height = float(np.interp(when, band.grid, band.median))
            traces.append(_arrival_trace(method, axis, when, unit.scale * height))
    layout = layout_of(AXIS_LABELS[axis], panels.y_label) | {"hovermode": "x unified"}
    layout["xaxis"] |= {"rangemode": "tozero"}
    if unit.may_be_log:
        layout["yaxis"] |= _log_axis(list(bands.values()))
    if np.isfinite(panels.target):
        layout |= _target_line(unit.scale * panels.target)
    notes = _missed(panels, axis)
    if layout["yaxis"].get("type") == "log":
        notes = f"{notes} The upright axis is logarithmic.".strip()
    text = f"{panels.title}: {panels.y_label} over {AXIS_LABELS[axis]}. At the end: "
    return Chart(
        {"data": traces, "layout": layout},
        f"{panels.caption} {notes}".strip(),
        f"{text}{', '.join(ends)}. {notes}".strip(),
    )


def _log_axis(bands: Sequence[Band]) -> Json:
    """A logarithmic axis where the values are positive and span more than `DECADE`."""
    low = min((float(band.low.min()) for band in bands), default=1.0)
    high = max((float(band.high.max()) for band in bands), default=1.0)
    if low <= 0 or high / low <= DECADE:
        return {}
    decades: Floats = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = np.outer(decades, (1, 2, 5)).ravel() if high / low < 1000 else decades
    return {"type": "log", "tickvals": ticks.tolist(), "ticktext": [f"{t:g}" for t in ticks]}


def thinned(band: Band, points: int) -> Band:
    """At most `points` points of a band, evenly spaced, the first and the last among them."""
    size = len(band.grid)
    keep = np.unique(np.linspace(0, size - 1, min(points, size)).round().astype(int))
    return Band(band.grid[keep], band.median[keep], band.low[keep], band.high[keep], band.seeds)


def _band_traces(method: Method, band: Band, unit: Unit) -> list[Json]:
    look = style.of_method(method)
    grid = rounded(band.grid, _decimals(band.grid))
    median, low, high = (_short(unit.scale * v) for v in (band.median, band.low, band.high))
    line = colored(method) | {
        "mode": "lines",
        "x": grid,
        "y": median,
        "line": {"color": look.color, "width": LINE_PX, "dash": dash(look)},
        "hovertemplate": unit.hover("y"),
    }
    if band.seeds == 1:
        return [line]
    edge = {
        "type": "scatter",
        "name": label(method),
        "mode": "lines",
        "x": grid,
        "line": {"width": 0},
    }
    edge |= {"hoverinfo": "skip"}
    line |= {
        "customdata": [list(ends) for ends in zip(low, high, strict=True)],
        "hovertemplate": "{} ({} to {})".format(
            *map(unit.hover, ("y", "customdata[0]", "customdata[1]"))
        ),
    }
    upper = edge | {"y": high, "fill": "tonexty", "meta": line["meta"]}
    return [edge | {"y": low}, upper, line]


def _arrival_trace(method: Method, axis: Axis, when: float, height: float) -> Json:
    look = style.of_method(method)
    return colored(method) | {
        "mode": "markers",
        "x": [round(when, 4)],
        "y": [round(height, 2)],
        "marker": {"symbol": SYMBOLS[look.marker], "size": 10, "color": look.color},
        "hovertemplate": f"{label(method)} reaches the target at {when:,.4g} {axis}<extra></extra>",
    }


def _target_line(target: float) -> Json:
    across = {"xref": "paper", "x0": 0, "x1": 1, "y0": target, "y1": target}
    return {
        "shapes": [{"type": "line", **across, "line": {"width": 1, "dash": "dot"}}],
        "annotations": [
            {
                "text": f"target {target:.1f}",
                "xref": "paper",
                "x": 0,
                "xanchor": "left",
                "y": target,
                "yanchor": "bottom",
                "showarrow": False,
            }
        ],
    }


def _missed(panels: Panels, axis: Axis) -> str:
    """Which methods do not reach the target, in words."""
    times = panels.arrived.get(axis, {})
    missed = [label(method) for method, when in times.items() if np.isinf(when)]
    if missed and len(missed) == len(times):
        return "No method reaches the target."
    return f"The target is not reached by {', '.join(missed)}." if missed else ""


def _short(values: Floats) -> list[float]:
    """Numbers for JSON to four digits, however small: an axis may be logarithmic."""
    return [float(f"{value:.4g}") for value in values]


def _decimals(values: Floats) -> int:
    """Decimals that give a pixel its own number."""
    return max(0, 4 - int(np.ceil(np.log10(max(float(np.max(values)), 1e-9)))))
