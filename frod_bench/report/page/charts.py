"""The page's charts: plotly figures as plain dictionaries, which the browser draws.

Convergence curves come as one chart per task, quantity and axis; the front of score over trained
parameters as one chart for all tasks and one per family.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report import style
from frod_bench.report.curves import AXES, Axis, Band
from frod_bench.report.frame import family_of, method_of, methods_in
from frod_bench.report.keys import METHOD_KEY, Family, Method
from frod_bench.report.names import label
from frod_bench.report.panels import ALL_TASKS, Panels
from frod_bench.report.tables import COSTS
from frod_bench.stats import Floats

Json = dict[str, Any]

SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left",
    ">": "triangle-right", "D": "diamond", "d": "diamond-tall", "P": "cross", "X": "x",
    "p": "pentagon", "h": "hexagon", "*": "star",
}  # fmt: skip
MOST_POINTS = 30_000  # of all curves together; with eight numbers each, about 1.7 MB of the file
FEWEST, MOST = 16, 121  # points of a curve
LINE_PX = 2.2
DECADE = 10.0  # a loss that spans more than this ratio has a logarithmic axis


class Chart(NamedTuple):
    """A plotly figure with its caption, and a text in its place for readers who cannot see it."""

    figure: Json
    caption: str
    text: str
    label: str  # of the entry that picks it


def curve_charts(
    scores: Mapping[str, Panels], losses: Mapping[str, Mapping[str, Panels]]
) -> dict[str, Chart]:
    """A chart per panels, quantity and axis, by `<name>/<quantity>/<axis>`; all tasks come first.

    The quantities are `score` and those of `losses` that all names have. Curves are subsampled so
    that together they stay within `MOST_POINTS`; if even the fewest points do not, losses are left
    out.
    """
    names = sorted(scores, key=lambda name: name != ALL_TASKS)
    shown = {"score": scores} | {q: p for q, p in losses.items() if set(names) <= set(p)}
    if FEWEST * _n_curves(shown) > MOST_POINTS:
        shown = {"score": scores}
    points = int(np.clip(MOST_POINTS / max(_n_curves(shown), 1), FEWEST, MOST))
    return {
        f"{name}/{quantity}/{axis}": _curve_chart(panels[name], axis, points)
        for name in names
        for quantity, panels in shown.items()
        for axis in AXES
    }


def _n_curves(shown: Mapping[str, Mapping[str, Panels]]) -> int:
    every = [panels for of_quantity in shown.values() for panels in of_quantity.values()]
    return sum(len(of_axis) for panels in every for of_axis in panels.bands.values())


def _curve_chart(panels: Panels, axis: Axis, points: int) -> Chart:
    """Median and range of each method over an axis, the target, and when it is reached."""
    traces, ends = [], []
    form = ".3g" if panels.is_loss else ".1f"
    times, x_label = panels.arrived.get(axis, {}), panels.x_labels[axis]
    bands = {method: band for method, band in panels.bands[axis].items() if band.grid.size}
    for method, band in bands.items():
        traces += _band_traces(method, subsample(band, points), panels.scale, form)
        ends.append(f"{label(method)} {panels.scale * band.median[-1]:{form}}")
        if np.isfinite(when := times.get(method, np.nan)):
            height = panels.scale * float(np.interp(when, band.grid, band.median))
            height = round(height, 4 if panels.is_loss else 2)
            traces.append(_target_reached(method, axis, when, height))
    layout = _layout(x_label, panels.y_label) | {"hovermode": "x unified"}
    layout["xaxis"]["rangemode"] = "tozero"
    notes = []
    missed = [label(method) for method, when in times.items() if np.isinf(when)]
    if missed and len(missed) == len(times):
        notes.append("No method reaches the target.")
    elif missed:
        notes.append(f"The target is not reached by {', '.join(missed)}.")
    if panels.is_loss and (log_axis := _log_axis(list(bands.values()))):
        layout["yaxis"] |= log_axis
        notes.append("The vertical axis is logarithmic.")
    if panels.has_target:
        y = panels.scale * panels.target
        line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y}
        # Of a logarithmic axis, plotly takes the position of a text as its logarithm.
        text_y = float(np.log10(y)) if layout["yaxis"].get("type") == "log" else y
        place = {"xref": "paper", "x": 0, "xanchor": "left", "y": text_y, "yanchor": "bottom"}
        layout["shapes"] = [line | {"line": {"width": 1, "dash": "dot"}}]
        layout["annotations"] = [place | {"text": panels.target_text, "showarrow": False}]
    text = f"{panels.title}: {panels.y_label} over {x_label}. At the end: {', '.join(ends)}."
    return Chart(
        {"data": traces, "layout": layout},
        " ".join([str(panels.caption), *notes]),
        " ".join([text, *notes]),
        label(panels.task) if panels.task else "all tasks",
    )


def _log_axis(bands: Sequence[Band]) -> Json:
    """A logarithmic axis if the values are positive and span more than `DECADE`."""
    low = min((float(band.low.min()) for band in bands), default=1.0)
    high = max((float(band.high.max()) for band in bands), default=1.0)
    if low <= 0 or high / low <= DECADE:
        return {}
    decades: Floats = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = np.outer(decades, (1, 2, 5)).ravel() if high / low < 1000 else decades
    return {"type": "log", "tickvals": ticks.tolist(), "ticktext": [f"{t:g}" for t in ticks]}


def subsample(band: Band, points: int) -> Band:
    """At most `points` points of a band, evenly spaced, with the first and the last."""
    size = len(band.grid)
    keep = np.unique(np.linspace(0, size - 1, min(points, size)).round().astype(int))
    return Band(band.grid[keep], band.median[keep], band.low[keep], band.high[keep], band.seeds)


def _band_traces(method: Method, band: Band, scale: float, form: str) -> list[Json]:
    look = style.of_method(method)
    # Decimals that give each pixel its own number.
    decimals = max(0, 4 - int(np.ceil(np.log10(max(float(np.max(band.grid)), 1e-9)))))
    grid = _rounded(band.grid, decimals)
    median, low, high = (
        [float(f"{scale * value:.4g}") for value in values]  # digits, for logarithmic axes
        for values in (band.median, band.low, band.high)
    )
    line = _trace(method, "lines", grid, median) | {
        "line": {"color": look.color, "width": LINE_PX, "dash": dash(look)},
        "hovertemplate": f"%{{y:{form}}}",
    }
    if band.seeds == 1:
        return [line]
    line["customdata"] = [list(ends) for ends in zip(low, high, strict=True)]
    line["hovertemplate"] += f" (%{{customdata[0]:{form}}} to %{{customdata[1]:{form}}})"
    edge = {"type": "scatter", "name": line["name"], "mode": "lines", "hoverinfo": "skip"}
    edge |= {"x": grid, "line": {"width": 0}}
    upper = edge | {"y": high, "fill": "tonexty", "meta": line["meta"]}
    return [edge | {"y": low}, upper, line]


def _target_reached(method: Method, axis: Axis, when: float, height: float) -> Json:
    look = style.of_method(method)
    return _trace(method, "markers", [round(when, 4)], [height]) | {
        "marker": {"symbol": SYMBOLS[look.marker], "size": 10, "color": look.color},
        "hovertemplate": f"{label(method)} reaches the target at {when:,.4g} {axis}<extra></extra>",
    }


def front_charts(summary: pd.DataFrame) -> dict[str, Chart]:
    """Score over trained share of each method: of all tasks, and of each family if several.

    `summary` is what `summarise` returns. A scope in which no method has both numbers has no chart.
    """
    of_families = summary[summary["scope"] == "family"].itertuples(index=False)
    families = list(dict.fromkeys(map(family_of, of_families)))
    scopes = [("all tasks", "overall", Family("", ""))]
    scopes += [(label(f), "family", f) for f in families] if len(families) > 1 else []
    found = {name: front_points(summary, scope, family) for name, scope, family in scopes}
    return {name: _front_chart(name, points) for name, points in found.items() if len(points)}


def front_points(summary: pd.DataFrame, scope: str, family: Family) -> pd.DataFrame:
    """The methods with a score and a share: method, variant, side, percent, mean, low, high, whole,
    front.

    `whole`: no run is missing. `front`: whole, and no other whole method has a score as high with
    as small a share, and is better in one of the two.
    """
    is_family = (summary["family"] == family.family) & (summary["head"] == family.head)
    here = summary[(summary["scope"] == scope) & is_family]
    scores = here[here["primary"]].set_index(METHOD_KEY)
    shares = here[here["metric"] == COSTS[0].name].set_index(METHOD_KEY)["mean"]
    points = scores[["mean", "low", "high"]].assign(
        percent=shares.reindex(scores.index), whole=scores["holes"] == ""
    )
    points = points.dropna(subset=["mean", "percent"]).reset_index()
    points["front"] = stats.pareto_front(points["percent"], points["mean"].where(points["whole"]))
    return points.sort_values("percent", kind="stable").reset_index(drop=True)


def _front_chart(name: str, points: pd.DataFrame) -> Chart:
    xs, x_axis = _log_axis_with_zero(points["percent"].to_numpy())
    on_front = points["front"].to_numpy(dtype=bool)
    traces: list[Json] = []
    if on_front.sum() > 1:
        line = {"shape": "hv", "dash": "dot", "width": 1.5, "color": style.MUTED}
        places = {"x": _rounded(xs[on_front], 4), "y": _rounded(points.loc[on_front, "mean"], 2)}
        front = {"type": "scatter", "mode": "lines", **places, "line": line, "hoverinfo": "skip"}
        traces.append(front | {"showlegend": False, "name": "front"})
    traces += map(_front_trace, points.itertuples(index=False), xs)
    layout = _layout("trained % of the backbone", "mean score (points)")
    layout["xaxis"] |= x_axis | {"automargin": True}
    layout["xaxis"]["title"]["standoff"] = 10
    layout |= {"hovermode": "closest", "showlegend": True}
    # Below the axis: names beside the points would overlap if points are near.
    layout["legend"] = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}
    layout["legend"] |= {"itemclick": False, "itemdoubleclick": False}
    fronts = ", ".join(map(label, methods_in(points[on_front]))) or "none"
    caption = (
        f"Mean score of {name}, with its 95 % interval if it has one, over the share of the "
        "backbone that is trained, without the head; the legend is ordered from left to right. "
        "Higher and further left is better. The dotted line joins the methods that no other beats "
        f"in both: {fronts}."
    )
    if (points["percent"] <= 0).any():
        caption += " The axis is logarithmic, with 0 at its left end."
    if not points["whole"].all():
        lost = ", ".join(map(label, methods_in(points[~points["whole"]])))
        caption += f" Hollow markers are not compared, because runs are missing: {lost}."
    listed = [
        f"{label(method_of(r))} {r.mean:.1f} at {r.percent:.3g} %" for r in points.itertuples()
    ]
    text = f"Score over trained parameters, {name}: {', '.join(listed)}. Best in both: {fronts}."
    return Chart({"data": traces, "layout": layout}, caption, text, name)


def _log_axis_with_zero(percent: Floats) -> tuple[Floats, Json]:
    """Coordinates on a logarithmic axis, with zero left of all; and that axis."""
    known = percent[percent > 0]
    least, most = (known.min(), known.max()) if known.size else (1.0, 1.0)
    first = int(np.floor(np.log10(least)))
    last = max(int(np.ceil(np.log10(most))), first + 1)
    ticks = [10.0**power for power in range(first, last + 1)]
    labels = [f"{tick:g}" for tick in ticks]
    if known.size < percent.size:
        ticks, labels = [ticks[0] / 10**0.5, *ticks], ["0", *labels]
    low, high = np.log10(ticks[0]), np.log10(ticks[-1])
    pad = 0.12 * max(high - low, 0.5)
    axis = {"type": "log", "range": [low - pad, high + pad], "tickvals": ticks, "ticktext": labels}
    return np.where(percent > 0, percent, ticks[0]), axis


def _front_trace(row: Any, x: float) -> Json:
    method = method_of(row)
    look = style.of_method(method)
    symbol = SYMBOLS[look.marker] + ("" if row.whole else "-open")
    trace = _trace(method, "markers", _rounded([x], 6), _rounded([row.mean], 2)) | {
        "cliponaxis": False,
        "marker": {"symbol": symbol, "size": 12, "color": look.color},
    }
    ends = "interval not available"
    if not np.isnan(row.low):
        ends = f"[{row.low:.1f}, {row.high:.1f}]"
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": _rounded([row.high - row.mean], 2),
            "arrayminus": _rounded([row.mean - row.low], 2),
            "color": look.color,
            "thickness": 1.2,
            "width": 4,
        }
    trace["hovertemplate"] = (
        f"{label(method)}<br>{row.mean:.1f} {ends}<br>{row.percent:.3g} % trained<extra></extra>"
    )
    return trace


def dash(look: style.MethodStyle) -> str:
    """A method's line as plotly writes it: an SVG dash array, or `solid`."""
    if look.line == "-":
        return "solid"
    return ",".join(f"{LINE_PX * part:.1f}px" for part in look.line[1])


def _trace(method: Method, mode: str, x: list[float], y: list[float]) -> Json:
    """What all traces of a method share; `meta` has its colour on light and on dark paper."""
    look = style.of_method(method)
    colors = {"light": look.color, "dark": look.color_on_dark}
    named = {"type": "scatter", "name": label(method), "meta": colors}
    return named | {"mode": mode, "x": x, "y": y}


def _layout(x_title: str, y_title: str) -> Json:
    """What all charts share; the page's script sets the colours of text, grid and bands."""
    return {
        "autosize": True,
        "margin": {"l": 56, "r": 16, "t": 28, "b": 52},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "xaxis": {"title": {"text": x_title}, "zeroline": False},
        "yaxis": {"title": {"text": y_title}, "zeroline": False},
    }


def _rounded(values: Floats | Sequence[float], decimals: int) -> list[float]:
    """Numbers for JSON with as many decimals as can be seen."""
    return [float(value) for value in np.round(np.asarray(values, dtype=np.float64), decimals)]
