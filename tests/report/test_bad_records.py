"""A report that meets something bad among its records says so, and goes on with the others."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from frod_bench.records import hashing, store
from frod_bench.report import figures
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from frod_bench.report.command import report_folder
from frod_bench.report.keys import Method
from frod_bench.report.predictions import predictions_of
from tests.report.factory import make_record, noting_files, synthetic_curve, write_record

QUIET = Console(quiet=True)
MATHTEXT = (r"$\frac{$", "$a_b^$", "$$", r"\$ a_b^ $x", "100 % {of} #all & more")


def rehashed(made: dict[str, Any]) -> dict[str, Any]:
    """The record with the hash that belongs to its configuration."""
    prints = [made["provenance"][f"{what}_fingerprint"] for what in ("data", "backbone")]
    made["cell"]["config_hash"] = hashing.config_hash(hashing.identity(made["config"], *prints))
    made["curve"] = f"{made['cell']['seed']}-{made['cell']['config_hash']}.curve.jsonl"
    return made


def test_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    """Of a profile, which all tasks share, and of each task's split and metric: none is a formula.

    A split and a metric have a figure of their own, so that no name is drawn beside another.
    """
    for task, name in zip(("rte", "cola", "boolq", "dtd", "mnist"), MATHTEXT, strict=True):
        for method in ("full", "frod"):
            made = make_record(task, method, 0)
            made["config"]["profile"]["title"] = MATHTEXT[0]
            made["config"]["protocol"]["curve_split"] = name
            score = {"value": 0.8, "n": 9, "stderr": 0.1}
            made |= {"primary_metric": name, "metrics": {name: score}}
            write_record(tmp_path, rehashed(made), synthetic_curve(metric=name))
        drawn = f"embedded/figures/convergence_{task}.pdf"
    written = report_folder("all", {"folder": str(tmp_path / "embedded")}, QUIET)
    assert tmp_path / "embedded/report.html" in written
    assert tmp_path / drawn in written


@pytest.mark.parametrize("name", MATHTEXT)
def test_a_variants_name_below_an_axis_is_drawn_as_it_is(tmp_path: Path, name: str) -> None:
    """And so are the title, the caption and the name of an axis."""

    def draw(look: figures.Look) -> Any:
        methods = [Method("frod", f"{name} 1"), Method("lora", "$x^$")]
        handles = list(map(figures.legend_handle, methods))
        figure, (ax,) = figures.panelled(look, 1, 1, 2.0, handles, y_label=f"{name} 2")
        figures.methods_below(ax, methods)
        return figure

    drawing = figures.Drawing(f"{name} 3", f"{name} 4", draw)
    assert len(figures.save({"drawn": drawing}, tmp_path)) == 2
    shown = {text.get_text() for text in figures.render(drawing).findobj(figures.Text)}
    assert {f"{name} 2", f"{name} 3", f"{name} 4", f"FRoD ({name} 1)"} <= shown


def spoil(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """A record with something else in it."""

    def apply(path: Path) -> None:
        made = json.loads(path.read_text())
        change(made)
        path.write_text(json.dumps(made))

    return apply


def of_curve(line: str) -> Callable[[Path], None]:
    """A curve that ends with another line."""

    def apply(path: Path) -> None:
        curve = store.curve_path(path)
        curve.write_text(curve.read_text() + line)

    return apply


def folder_at(place: Callable[[Path], Path]) -> Callable[[Path], None]:
    """A folder in the place of a file."""

    def apply(path: Path) -> None:
        place(path).unlink(missing_ok=True)
        place(path).mkdir()

    return apply


def predictions(**columns: Any) -> Callable[[Path], None]:
    table = {"split": ["test"], "row_id": [1], "prediction": [1], "label": [1]} | columns
    return lambda path: pd.DataFrame(table).to_parquet(store.predictions_path(path))


UNUSABLE = {
    "keys missing": (spoil(lambda made: made.pop("metrics")), "metrics is missing"),
    "config missing": (spoil(lambda made: made["config"].pop("trainer")), "composed configuration"),
    "1e308": (spoil(lambda made: made["metrics"]["accuracy"].update(value=1e308)), "less than"),
    "rows": (spoil(lambda made: made["config"]["trainer"].update(curve_rows="x")), "curve_rows"),
    "head": (spoil(lambda made: made["config"].update(head=[1])), "config.head is [1]"),
    "a folder": (folder_at(lambda path: path), "it is a folder"),
}
WARNED = {
    "curve of 1e308": (of_curve('{"step": 101, "seconds": 9, "accuracy": 1e308}'), "accuracy is"),
    "curve to infinity": (of_curve('{"step": 1e999, "seconds": 9}'), "not a point"),
    "curve backwards": (of_curve('{"step": 1, "seconds": 9}'), "not after the line before"),
    "curve deep": (of_curve("[" * 100_000), "is not JSON"),
    "curve a folder": (folder_at(store.curve_path), "curve cannot be read"),
    "predictions a folder": (folder_at(store.predictions_path), "predictions cannot be read"),
    "predictions cut": (lambda path: store.predictions_path(path).write_bytes(b"PAR1"), "differs"),
}
UNSAID = {  # of version 1, which notes no digests
    "predictions of lists": predictions(split=[["a"]], prediction=[[1]]),
    "predictions of text": predictions(prediction=["a"]),
    "predictions without labels": lambda path: pd.DataFrame({"split": ["test"]}).to_parquet(
        store.predictions_path(path)
    ),
    "no parquet": lambda path: store.predictions_path(path).write_bytes(b"PAR1 and PAR1"),
}


@pytest.mark.parametrize("fewest", [1, 1000], ids=["predictions in a copy", "all here"])
def test_one_bad_record_of_each_kind_is_named_and_the_report_goes_on(
    fewest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frod_bench.report.collect.FEWEST_FOR_A_COPY", fewest)
    kinds = [*UNUSABLE.items(), *WARNED.items(), *((k, (v, "")) for k, v in UNSAID.items())]
    cells = [Cell("rte", method, seed) for method in ("frod", "full") for seed in range(len(kinds))]
    for cell in cells:
        made = make_record("rte", cell.method, cell.seed)
        path = write_record(tmp_path, made, synthetic_curve(seed=cell.seed))
        name, (apply, _) = kinds[cell.seed]
        if cell.method == "frod":
            predictions()(path)
            if name in WARNED and name.startswith("predictions"):
                noting_files(path)
            apply(path)
    written = report_folder("all", {"folder": str(tmp_path / "embedded")}, QUIET)
    assert tmp_path / "embedded/report.html" in written
    found = collect(tmp_path, "embedded", cells[: len(kinds)])
    for (name, (_, words)), row in zip(kinds, found.frame.itertuples(), strict=True):
        assert row.status == ("unusable" if name in UNUSABLE else "ok"), name
        if name in UNUSABLE:
            assert words in row.error, name
        elif name in WARNED:
            assert any(words in line for line in found.warnings), name
        else:
            assert list(predictions_of([Path(row.path)])) == [None], name


def test_a_folder_that_cannot_be_read_is_named_and_the_report_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("full", "frod"):
        path = write_record(tmp_path, make_record("rte", method, 0), synthetic_curve())
    closed, scandir = path.parent, os.scandir

    def scan(place: Any) -> Any:
        if Path(place) == closed:
            raise OSError(errno.EIO, "Input/output error", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", scan)
    report_folder("tables", {"folder": str(tmp_path / "embedded")}, QUIET)
    text = (tmp_path / "embedded/tables/main.md").read_text()
    assert "| RTE | 80.0 (one seed) |" in text
    assert "records/rte/frod is not a usable record, and left out: it cannot be read" in text
