"""Convergence curves that one can toggle and hover: a chart a task and axis."""

from collections.abc import Mapping

import numpy as np

from frod_bench.report import style
from frod_bench.report.curves import AXES, Axis, Band
from frod_bench.report.page.charts import SYMBOLS, Chart, Json, colored, layout_of, rounded
from frod_bench.report.panels import ALL_TASKS, AXIS_LABELS, Panels
from frod_bench.stats import Floats

BAND_ARRAYS = 8  # arrays of a band's length in its traces: x three times, median, the range twice
MOST_NUMBERS = 200_000  # in all curves together: about 1.2 MB of the file
POINTS = (16, 121)  # of a curve: at least, at most
LINE_PX = 2.2


def dash(look: style.MethodStyle, width_px: float = LINE_PX) -> str:
    """A method's line as an SVG dash array; `solid` where it has no gaps."""
    if look.line == "-":
        return "solid"
    return ",".join(f"{width_px * part:.1f}px" for part in look.line[1])


def curve_charts(panels: Mapping[str, Panels]) -> dict[str, Chart]:
    """A chart for each of the panels and axis, by `<name>/<axis>`; all tasks first.

    Curves are thinned so that all of them together stay within `MOST_NUMBERS`.
    """
    bands = sum(len(of_axis) for shown in panels.values() for of_axis in shown.bands.values())
    points = int(np.clip(MOST_NUMBERS / BAND_ARRAYS / max(bands, 1), *POINTS))
    names = sorted(panels, key=lambda name: name != ALL_TASKS)
    return {
        f"{name}/{axis}": curve_chart(panels[name], axis, points) for name in names for axis in AXES
    }


def curve_chart(panels: Panels, axis: Axis, points: int) -> Chart:
    """Median and range of each method over an axis, the target, and when it is reached."""
    traces: list[Json] = []
    ends: list[str] = []
    for method, band in panels.bands[axis].items():
        if not band.grid.size:
            continue
        traces += _band_traces(method, thinned(band, points))
        ends.append(f"{method} {100 * band.median[-1]:.1f}")
        when = panels.arrived.get(axis, {}).get(method, np.nan)
        if np.isfinite(when):
            height = float(np.interp(when, band.grid, band.median))
            traces.append(_arrival_trace(method, axis, when, 100 * height))
    layout = layout_of(AXIS_LABELS[axis], panels.y_label) | {"hovermode": "x unified"}
    layout["xaxis"] |= {"rangemode": "tozero"}
    if np.isfinite(panels.target):
        layout |= _target_line(100 * panels.target)
    missed = _missed(panels, axis)
    text = f"{panels.title}: {panels.y_label} over {AXIS_LABELS[axis]}. At the end: "
    return Chart(
        {"data": traces, "layout": layout},
        f"{panels.caption} {missed}".strip(),
        f"{text}{', '.join(ends)}. {missed}".strip(),
    )


def thinned(band: Band, points: int) -> Band:
    """At most `points` points of a band, evenly spaced, the first and the last among them."""
    size = len(band.grid)
    keep = np.unique(np.linspace(0, size - 1, min(points, size)).round().astype(int))
    return Band(band.grid[keep], band.median[keep], band.low[keep], band.high[keep], band.seeds)


def _band_traces(method: str, band: Band) -> list[Json]:
    look = style.of_method(method)
    grid = rounded(band.grid, _decimals(band.grid))
    median, low, high = (rounded(100 * v, 2) for v in (band.median, band.low, band.high))
    line = colored(method) | {
        "mode": "lines",
        "x": grid,
        "y": median,
        "line": {"color": look.color, "width": LINE_PX, "dash": dash(look)},
        "hovertemplate": "%{y:.1f}",
    }
    if band.seeds == 1:
        return [line]
    edge = {"type": "scatter", "name": method, "mode": "lines", "x": grid, "line": {"width": 0}}
    edge |= {"hoverinfo": "skip"}
    line |= {
        "customdata": [list(ends) for ends in zip(low, high, strict=True)],
        "hovertemplate": "%{y:.1f} (%{customdata[0]:.1f} to %{customdata[1]:.1f})",
    }
    upper = edge | {"y": high, "fill": "tonexty", "meta": line["meta"]}
    return [edge | {"y": low}, upper, line]


def _arrival_trace(method: str, axis: Axis, when: float, height: float) -> Json:
    look = style.of_method(method)
    return colored(method) | {
        "mode": "markers",
        "x": [round(when, 4)],
        "y": [round(height, 2)],
        "marker": {"symbol": SYMBOLS[look.marker], "size": 10, "color": look.color},
        "hovertemplate": f"{method} reaches the target at {when:,.4g} {axis}<extra></extra>",
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
    missed = [method for method, when in times.items() if np.isinf(when)]
    if missed and len(missed) == len(times):
        return "No method reaches the target."
    return f"The target is not reached by {', '.join(missed)}." if missed else ""


def _decimals(values: Floats) -> int:
    """Decimals that give a pixel its own number."""
    return max(0, 4 - int(np.ceil(np.log10(max(float(np.max(values)), 1e-9)))))
