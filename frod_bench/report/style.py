"""One look for every figure and for the page: a fixed colour, line and marker for each method.

Colours are Okabe and Ito's, then Tol's, which are distinct to any colour vision; line styles and
markers repeat the distinction for print without colour.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple

from frod_bench.report.keys import Method
from frod_bench.report.names import MATCHED

INK = "#222222"
MUTED = "#6b6b6b"
HAIRLINE = "#d9d9d9"


class MethodStyle(NamedTuple):
    """How a method is drawn."""

    color: str
    line: Any  # a matplotlib line style
    marker: str

    @property
    def marker_pt(self) -> float:
        """The marker's size in points; a star has little area for its extent."""
        return 9.0 if self.marker == "*" else 5.5

    @property
    def color_on_dark(self) -> str:
        """The colour on dark paper, a lighter one if it would be invisible there."""
        return _ON_DARK.get(self.color, self.color)


_DASHED = (0, (5, 1.6))
_DASHDOT = (0, (6, 1.5, 1.2, 1.5))
_DOTTED = (0, (1.2, 1.4))
_LONG = (0, (9, 2))
_SHORT = (0, (2.4, 1.2))

STYLES = {
    "frod": MethodStyle("#D55E00", "-", "o"),
    "full": MethodStyle("#000000", _DASHED, "s"),
    "lora": MethodStyle("#0072B2", _DASHDOT, "^"),
    "dora": MethodStyle("#009E73", _LONG, "D"),
    "frozen": MethodStyle("#8c8c8c", _DOTTED, "v"),
    "pissa": MethodStyle("#CC79A7", "-", "P"),
    "vera": MethodStyle("#56B4E9", _DASHED, "X"),
    "rslora": MethodStyle("#E69F00", _DASHDOT, "<"),
    "randlora": MethodStyle("#882255", _LONG, "h"),
    "bitfit": MethodStyle("#999933", _DOTTED, "p"),
    "frod_peft": MethodStyle("#332288", _DASHED, ">"),
    "frod_released": MethodStyle("#8c510a", _DASHDOT, "*"),
    "frod_smaller": MethodStyle("#AA4499", _SHORT, "d"),
}
_ON_DARK = {
    "#000000": "#f2f2f2",
    "#0072B2": "#2b8cd6",
    "#882255": "#d0709f",
    "#332288": "#9d8ff0",
    "#8c510a": "#c9935a",
    "#AA4499": "#cf6bbf",
    "#117733": "#4db870",
    "#4477AA": "#7aa6d6",
    "#661100": "#d98066",
}
_SPARE_COLORS = ("#CC6677", "#44AA99", "#117733", "#4477AA", "#661100")  # of no method above
_SPARE_LINES = (_LONG, _DOTTED, _DASHDOT)
_SPARE_MARKERS = ("p", "h", "*", ">", "d")
_VARIANT_LINES = (_DASHED, _DASHDOT, _DOTTED, _LONG, _SHORT, "-")  # one may be the method's own
_MATCHED_LINE = (0, (6, 1.5, 1.2, 1.5, 1.2, 1.5))
_SIDE_LINES = {"A": "-", "B": _SHORT, "here": "-", "published": _SHORT}


_TOLD_APART: ContextVar[Mapping[Method, MethodStyle]] = ContextVar(
    "told apart", default=MappingProxyType({})
)


@contextmanager
def telling_apart(methods: Iterable[Method]) -> Iterator[None]:
    """Within it, variants of a method differ in what is drawn: the first has the method's look,
    others have another line and marker, and another colour too if one method alone has variants.

    If a method has more variants than there are such looks, all variants remain alike.
    """
    plain = [m for m in dict.fromkeys(methods) if not (m.side or _is_matched(m))]
    variants = Counter(method.method for method in plain)
    several = [name for name, count in variants.items() if count > 1]
    looks: dict[Method, MethodStyle] = {}
    for name in several if max(variants.values(), default=0) <= 1 + len(_SPARE_MARKERS) else ():
        own = of_method(Method(name))
        others = [method for method in plain if method.method == name][1:]
        lines = (line for line in _VARIANT_LINES if line != own.line)
        spare = zip(_SPARE_COLORS, lines, _SPARE_MARKERS, strict=False)
        for method, (color, line, marker) in zip(others, spare, strict=False):
            looks[method] = MethodStyle(color if len(several) == 1 else own.color, line, marker)
    token = _TOLD_APART.set(looks)
    try:
        yield
    finally:
        _TOLD_APART.reset(token)


def of_method(method: Method) -> MethodStyle:
    """A method's style, fixed by its name alone, so that it is the same in every figure.

    Variants of a method look alike, except where they are told apart, and except that a variant at
    FRoD's count of parameters has another line. If two folders, or records and published curves,
    are compared, the line says whose a method is.
    """
    if method in _TOLD_APART.get():
        return _TOLD_APART.get()[method]
    if method.side:
        return of_method(method._replace(side=""))._replace(line=_SIDE_LINES[method.side])
    if _is_matched(method):
        return of_method(Method(method.method))._replace(line=_MATCHED_LINE)
    if method.method in STYLES:
        return STYLES[method.method]
    pick = zlib.crc32(method.method.encode())
    return MethodStyle(
        _SPARE_COLORS[pick % len(_SPARE_COLORS)],
        _SPARE_LINES[pick // 7 % len(_SPARE_LINES)],
        _SPARE_MARKERS[pick // 31 % len(_SPARE_MARKERS)],
    )


def _is_matched(method: Method) -> bool:
    return method.variant.partition(", ")[0] == MATCHED
