"""The Pareto front: score over trained share of each method, of all tasks and of each family."""

from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.report import style
from frod_bench.report.frame import FAMILY_KEY, METHOD_KEY, Family, family_of, method_of, methods_in
from frod_bench.report.names import label
from frod_bench.report.page.charts import SYMBOLS, Chart, Json, colored, layout_of, rounded
from frod_bench.report.summary import COSTS
from frod_bench.stats import Floats

LEGEND = {  # below the axis: names beside the points would overprint where points are near
    "orientation": "h",
    "yref": "container",
    "y": 0,
    "yanchor": "bottom",
    "itemclick": False,
    "itemdoubleclick": False,
}


def front_charts(summary: pd.DataFrame) -> dict[str, Chart]:
    """Score over trained share of each method: of all tasks, and of each family if several.

    `summary` is that of `summarise`. A scope in which no method has both numbers gets no chart.
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

    `whole`: no cell is missing. `front`: whole, and no other whole method has a score as high with
    as small a share.
    """
    is_family = (summary[FAMILY_KEY] == list(family)).all(axis=1)
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
    places, ticks = _log_places(points["percent"].to_numpy())
    traces: list[Json] = []
    on_front = points["front"].to_numpy(dtype=bool)
    if on_front.sum() > 1:
        traces.append(_front_line(places[on_front], points.loc[on_front, "mean"].to_numpy()))
    for row, place in zip(points.itertuples(index=False), places, strict=True):
        traces.append(_front_trace(row, place))
    layout = layout_of("trained % of the backbone", "mean score (points)")
    low, high = np.log10(ticks[0][0]), np.log10(ticks[0][-1])
    pad = 0.12 * max(high - low, 0.5)
    layout["xaxis"] |= {
        "type": "log",
        "range": [low - pad, high + pad],
        "tickvals": ticks[0],
        "ticktext": ticks[1],
        "automargin": True,
    }
    layout["xaxis"]["title"] |= {"standoff": 10}
    layout |= {"hovermode": "closest", "showlegend": True, "legend": LEGEND}
    fronts = ", ".join(map(label, methods_in(points[on_front]))) or "none"
    caption = (
        f"Mean score of {name} with its 95 % interval, where it has one, over the share of the "
        "backbone that is trained, without the head; named from left to right. Higher and further "
        f"left is better; the dotted line joins the methods that no other beats in both: {fronts}."
    )
    if (points["percent"] <= 0).any():
        caption += " The axis is logarithmic; 0 stands at its left end."
    if not points["whole"].all():
        lost = ", ".join(map(label, methods_in(points[~points["whole"]])))
        caption += f" Hollow, and not compared: {lost}, whose mean is over fewer cells."
    listed = (
        f"{label(method_of(r))} {r.mean:.1f} at {r.percent:.3g} %" for r in points.itertuples()
    )
    text = f"Score over trained parameters, {name}: {', '.join(listed)}. Best in both: {fronts}."
    return Chart({"data": traces, "layout": layout}, caption, text)


def _log_places(percent: Floats) -> tuple[Floats, tuple[list[float], list[str]]]:
    """Places on a logarithmic axis, where zero stands left of all; and its ticks with labels."""
    known = percent[percent > 0]
    least, most = (float(known.min()), float(known.max())) if known.size else (1.0, 1.0)
    first = int(np.floor(np.log10(least)))
    last = int(np.ceil(np.log10(most)))
    decades = [10.0**power for power in range(first, max(last, first + 1) + 1)]
    labels = [f"{decade:g}" for decade in decades]
    if known.size == percent.size:
        return percent, (decades, labels)
    zero = decades[0] / 10**0.5
    return np.where(percent > 0, percent, zero), ([zero, *decades], ["0", *labels])


def _front_line(places: Floats, means: Floats) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": rounded(places, 4),
        "y": rounded(means, 2),
        "line": {"shape": "hv", "dash": "dot", "width": 1.5, "color": style.MUTED},
        "hoverinfo": "skip",
        "showlegend": False,
        "name": "front",
    }


def _front_trace(row: Any, place: float) -> Json:
    method = method_of(row)
    look = style.of_method(method)
    trace = colored(method) | {
        "mode": "markers",
        "x": rounded([place], 6),
        "y": rounded([row.mean], 2),
        "cliponaxis": False,
        "marker": {
            "symbol": SYMBOLS[look.marker] + ("" if row.whole else "-open"),
            "size": 12,
            "color": look.color,
        },
    }
    ends = "interval not available"
    if not np.isnan(row.low):
        ends = f"[{row.low:.1f}, {row.high:.1f}]"
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": rounded([row.high - row.mean], 2),
            "arrayminus": rounded([row.mean - row.low], 2),
            "color": look.color,
            "thickness": 1.2,
            "width": 4,
        }
    trace["hovertemplate"] = (
        f"{label(method)}<br>{row.mean:.1f} {ends}<br>{row.percent:.3g} % trained<extra></extra>"
    )
    return trace
