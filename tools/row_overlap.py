"""How much of what the profile `real` validates and tests on is in what it trains on.

    python -m tools.row_overlap data_root=mirror model_root=mirror

counts it on the rows themselves, for each seed of the table, and writes a CSV file of
results/reference/rows from which docs/reference/real_rows.md has its table.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pandas as pd

from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import compose_cells
from frod_bench.config.settings import TaskConfig
from frod_bench.data.labels import read_labels
from frod_bench.data.load import load_data
from frod_bench.data.prompts import rank_prompt_of
from frod_bench.data.source import read_data_set, take_split
from frod_bench.report.keys import Task
from frod_bench.report.names import label as named
from frod_bench.report.table import pipes
from tools.differences import head

OVERLAP = Path(__file__).parents[1] / "results" / "reference" / "rows" / "overlap.csv"
TABLE = ("profile=real", "suite=real10", "head=auto", "experiment=main_table", "method=frozen")
FEWEST_WORDS = 3  # of a text: shorter ones are in others by chance
TRACK = re.compile(r"(\d{5})_\d{5}\.\w+")  # of a training image of GTSRB: the sign, and the frame
BETWEEN = "\n"  # texts, none of which has it
COUNTED = ("equal", "within", "answer")  # columns, in percent

Texts = frozenset[str]


class Pieces(NamedTuple):
    """What can be in two rows."""

    texts: Texts  # what is read, or the image; on GTSRB also the sign that was filmed
    answer: Texts = Texts()  # the right option, of a task that has options


def pieces_of(row: Mapping[str, Any], task: TaskConfig, label: int) -> Pieces:
    """The pieces of a row: texts of at least `FEWEST_WORDS` words, in lower case. Of a question
    that has several columns the one that may be cut counts, as topics and stock questions recur.
    """
    if task.family == "vision":
        image = row[task.input_columns[0]]
        track = TRACK.fullmatch(Path(image["path"] or "").name)
        sign = [f"sign {label}/{track[1]}"] if track else []
        return Pieces(frozenset([image["bytes"].hex(), *sign]))
    if task.family == "reasoning":
        prompt = rank_prompt_of(task)
        column = prompt.question.config.truncate or prompt.question.columns[0]
        text = prompt.question.clean(row[column])
        return Pieces(_normal([text]), _normal([prompt.options(row)[label]]))
    return Pieces(_normal(row[name] for name in task.input_columns))


def _normal(texts: Iterable[str]) -> Texts:
    words = (text.lower().split() for text in texts)
    return frozenset(" ".join(one) for one in words if len(one) >= FEWEST_WORDS)


def shares(rows: Sequence[Pieces], trained: Sequence[Pieces]) -> tuple[float, float, float]:
    """Three percentages of `rows`, by what is also in the `trained` rows.

    The first is of rows with a text that is a text of a trained row. The second is of rows with a
    text that is a sequence of whole words in such a text. The third is of rows whose right option
    is such a sequence in a text or in a right option of a trained row.
    """
    known = frozenset().union(*(row.texts for row in trained))
    answers = frozenset().union(*(row.answer for row in trained))
    whole, every = (
        f" {BETWEEN.join(f' {one} ' for one in sorted(of))}" for of in (known, known | answers)
    )
    equal = [not row.texts.isdisjoint(known) for row in rows]
    within = [any(f" {text} " in whole for text in row.texts) for row in rows]
    answered = [any(f" {text} " in every for text in row.answer) for row in rows]
    return _percent(equal), _percent(within), _percent(answered)


def _percent(which: Sequence[bool]) -> float:
    return 100 * sum(which) / len(which)


def overlaps(cell: Cell) -> Iterator[dict[str, Any]]:
    """Rows of validation and of test of a cell, next to the rows that it trains on."""
    settings, task = cell.settings, cell.settings.task
    data, whole = load_data(settings), read_data_set(task, settings.data_root)

    def pieces(split: str, ids: Sequence[int]) -> list[Pieces]:
        table = take_split(whole, task, split)
        labels = read_labels(task, table)
        if task.family == "vision":
            table = table.cast_column(task.input_columns[0], datasets.Image(decode=False))
        return [pieces_of(table[at], task, int(labels[at] or 0)) for at in ids]

    trained = pieces(task.train_split, data.train.ids)
    parts = {"validation": (task.train_split, data.validation.ids)}
    parts["test"] = (task.test_split, data.tests["test"].ids)
    for name, (split, ids) in parts.items():
        found = dict(zip(COUNTED, shares(pieces(split, ids), trained), strict=True))
        names = {"task": task.name, "head": settings.head, "seed": cell.seed, "split": name}
        yield names | {"rows": len(ids)} | found


def table() -> str:
    """Percent of rows, means over the seeds of the table."""
    found = pd.read_csv(OVERLAP)
    columns = [f"{split}: {what}" for split in ("validation", "test") for what in COUNTED]
    lines = head("task", columns)
    for (task, of_head), rows in found.groupby(["task", "head"], sort=False):
        means = rows.groupby("split")[list(COUNTED)].mean()
        values = [
            "–" if what == "answer" and of_head != "rank" else f"{means.loc[split, what]:.1f}"
            for split in ("validation", "test")
            for what in COUNTED
        ]
        lines.append(pipes([named(Task(str(task), str(of_head))), *values]))
    return "\n".join(lines)


def main(words: Sequence[str]) -> int:
    """Count the overlap of all tasks and seeds; returns the exit status."""
    _, cells = compose_cells([*TABLE, *words])
    rows = [row for cell in cells for row in overlaps(cell)]
    OVERLAP.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(OVERLAP, index=False, float_format="%.4f")
    print(OVERLAP)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
