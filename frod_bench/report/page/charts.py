"""What the page's charts share: plotly figures as plain dictionaries, drawn in the browser."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from frod_bench.report import style
from frod_bench.report.frame import Method
from frod_bench.report.names import label
from frod_bench.stats import Floats

Json = dict[str, Any]

SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left",
    ">": "triangle-right", "D": "diamond", "d": "diamond-tall", "P": "cross", "X": "x",
    "p": "pentagon", "h": "hexagon", "*": "star",
}  # fmt: skip


class Chart(NamedTuple):
    """A figure of plotly's with its caption, and the same in words for who does not see it."""

    figure: Json
    caption: str
    text: str


def colored(method: Method) -> Json:
    """What all traces of a method share; `meta` has its colour on light and on dark paper."""
    look = style.of_method(method)
    colors = {"light": look.color, "dark": look.color_on_dark}
    return {"type": "scatter", "name": label(method), "meta": colors}


def layout_of(x_title: str, y_title: str) -> Json:
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


def rounded(values: Floats | Sequence[float], decimals: int) -> list[float]:
    """Numbers for JSON, no longer than the eye can tell."""
    return [float(value) for value in np.round(np.asarray(values, dtype=np.float64), decimals)]
