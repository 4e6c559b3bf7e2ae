"""An analysis of synthetic cells: its numbers, its table, and its figures as drawn."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from frod_bench.report.analyses.about import About
from frod_bench.report.analyses.kinds import KINDS, analyse, csv_of
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from frod_bench.report.figures import SCREEN, render
from frod_bench.report.table import Table


@dataclass(frozen=True)
class Analysed:
    """What an analysis made of some cells."""

    numbers: pd.DataFrame
    table: Table
    figures: dict[str, Figure]

    def row(self, **where: object) -> pd.Series:
        """The one row of the numbers with these values."""
        found = self.numbers
        for name, value in where.items():
            found = found[found[name] == value]
        assert len(found) == 1, found
        return found.iloc[0]

    def lines(self) -> dict[str, tuple[str, ...]]:
        """The cells of the table by label; of equal labels the last, which is the mean's."""
        return {row.label: row.cells for row in self.table.rows}

    def words(self, figure: str = "") -> str:
        """Every text of a figure, of the first by default, on a line of its own."""
        texts = self.figures[figure or next(iter(self.figures))].findobj(Text)
        return "".join(f"\n{' '.join(text.get_text().split())}\n" for text in texts)


Analyse = Callable[[str, Path, Sequence[Cell]], Analysed]


@pytest.fixture
def analysed() -> Iterator[Analyse]:
    """analysed(kind, results_root, cells); every figure is rendered once."""

    def run(kind: str, root: Path, cells: Sequence[Cell]) -> Analysed:
        frame = collect(root, "embedded", cells).frame
        about = About("embedded (stand-in data)", frame)
        numbers = analyse([kind], frame)[kind]
        drawings = KINDS[kind].draw(numbers, about)
        figures = {name: render(drawing, SCREEN) for name, drawing in drawings.items()}
        for figure in figures.values():
            figure.canvas.draw()
        return Analysed(csv_of(kind, numbers), KINDS[kind].table(numbers, about), figures)

    yield run
    plt.close("all")
