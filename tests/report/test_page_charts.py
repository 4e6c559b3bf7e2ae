"""The charts of the page: plotly figures of the records' numbers, that stay small."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from frod_bench.report.asked import Cell
from frod_bench.report.curves import AXES, Band
from frod_bench.report.keys import Family, Method
from frod_bench.report.page import charts
from frod_bench.report.page.write import as_json
from frod_bench.report.panels import LOSSES, Caption, Panels
from frod_bench.stats import Floats
from tests.report.conftest import RATES
from tests.report.factory import FAMILIES, PRIMARY, make_record, synthetic_curve, write_record
from tests.report.page_reader import Page, write_page

Experiment = tuple[Path, list[Cell]]


def test_charts_are_plotly_figures_with_captions_and_words(page: Page) -> None:
    curves, fronts = page.charts("curves-data"), page.charts("fronts-data")
    assert set(curves) == {
        f"{name}/{quantity}/{axis}"
        for name in ("all_tasks", *FAMILIES)
        for quantity in ("score", *LOSSES)
        for axis in ("steps", "seconds")
    }
    assert list(fronts) == ["all tasks", "Language", "Reasoning", "Vision"]
    for chart in (*curves.values(), *fronts.values()):
        assert go.Figure(chart["figure"]).data  # raises where plotly knows a property not
        assert chart["caption"]
        assert "FRoD" in chart["text"]
    traces = curves["rte/score/steps"]["figure"]["data"]
    lines = {trace["name"]: trace for trace in traces if "dash" in trace.get("line", {})}
    assert lines["FRoD"]["line"]["color"] == "#D55E00"
    assert "At the end: Full FT 81.0, FRoD 81.0, Frozen" in curves["mnist/score/steps"]["text"]
    assert "Not drawn: LoRA (3 diverged)." in curves["mnist/score/steps"]["caption"]


def test_front_leaves_out_what_is_beaten_or_not_whole() -> None:
    rows = [
        *(("frod", 70.0, 2.0, ""), ("lora", 72.0, 9.0, ""), ("dora", 71.0, 10.0, "")),
        *(("full", 75.0, 100.0, ""), ("frozen", 50.0, 0.0, ""), ("vera", 90.0, 1.0, "1 failed")),
    ]
    base = {
        "scope": "overall",
        "family": "",
        "head": "",
        "variant": "",
        "side": "",
        "low": np.nan,
        "high": np.nan,
    }
    summary = pd.DataFrame(
        [
            base | {"method": m, "mean": mean, "metric": metric, "primary": primary, "holes": holes}
            for m, score, share, holes in rows
            for metric, mean, primary in (
                ("primary", score, True),
                ("trainable, without the head", share, False),
            )
        ]
    )
    points = charts.front_points(summary, "overall", Family("", "")).set_index("method")
    assert set(points.index[points["front"]]) == {"frozen", "frod", "lora", "full"}
    chart = charts.front_charts(summary)["all tasks"]
    traces = {trace["name"]: trace for trace in chart.figure["data"]}
    assert traces["VeRA"]["marker"]["symbol"].endswith("-open")
    assert "error_y" not in traces["FRoD"]
    assert "interval not available" in traces["FRoD"]["hovertemplate"]
    assert 0 < traces["Frozen"]["x"][0] < 1  # a logarithmic axis has no zero
    named = [trace["name"] for trace in chart.figure["data"] if trace.get("showlegend", True)]
    assert named == ["Frozen", "VeRA", "FRoD", "LoRA", "DoRA", "Full FT"]  # as they stand
    assert chart.figure["layout"]["showlegend"]  # and no names in the plot, to overprint others
    assert not any("text" in trace for trace in traces.values())


def test_page_of_a_thousand_cells_is_below_eight_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    cells = [Cell(t, f"m{m}", s) for t in FAMILIES for m in range(20) for s in range(10)]
    for cell in cells:
        metric = PRIMARY.get(cell.task, "accuracy")
        curve = synthetic_curve(every=10, seed=cell.seed, metric=metric)
        write_record(tmp_path, make_record(cell.task, cell.method, cell.seed), curve)
    page = write_page(tmp_path, cells)
    assert page.path.stat().st_size < 8e6
    assert (
        len(page.charts("curves-data")) == 36
    )  # of five tasks and all, three quantities, two axes


def test_curves_of_very_many_methods_stay_small() -> None:
    """Two cells each of a hundred methods on five tasks, by steps and by seconds."""
    grid = np.linspace(0.123456, 1234.56, 241)
    band = Band(grid, np.sin(grid), np.sin(grid) - 1, np.sin(grid) + 1, 2)
    bands = {Method(f"m{m}"): band for m in range(100)}
    shown = Panels("task", "accuracy (%)", Caption(""), {"steps": bands, "seconds": bands})
    panels = {f"task{t}": shown for t in range(6)}
    found = charts.curve_charts(panels, {"loss": panels})
    text = as_json(found)
    assert len(text) < 2.5e6
    assert list(found) == [f"task{t}/score/{axis}" for t in range(6) for axis in AXES]  # no loss


def loss_chart(losses: Floats, low: Floats) -> dict[str, Any]:
    """The upright axis and the numbers of a chart with one curve of losses and its band."""
    band = Band(np.arange(len(losses), dtype=float), losses, low, losses, 2)
    bands = {Method("frod"): band}
    both = {"steps": bands, "seconds": bands}
    panels = {"rte": Panels("rte", "loss", Caption("Caption."), both, is_loss=True)}
    chart = charts.curve_charts(panels, {"loss": panels})["rte/loss/steps"]
    line = next(trace for trace in chart.figure["data"] if "hovertemplate" in trace)
    return {
        **chart.figure["layout"]["yaxis"],
        "y": line["y"],
        "says": "logarithmic" in chart.caption,
    }


def test_losses_over_more_than_a_decade_have_a_logarithmic_axis() -> None:
    losses = np.array([2.0, 0.5, 0.0123456])
    wide = loss_chart(losses, losses)
    assert (wide["type"], wide["says"]) == ("log", True)
    assert wide["y"] == [2.0, 0.5, 0.01235]  # in its own unit, to four digits
    assert {0.02, 0.1, 1.0} <= set(wide["tickvals"])
    narrow = loss_chart(losses[:2], losses[:2])
    assert ("type" in narrow, narrow["says"]) == (False, False)
    zero = loss_chart(losses, np.zeros(3))  # the end of a band may be nothing: no logarithm of it
    assert ("type" in zero, zero["says"]) == (False, False)
    assert loss_chart(losses[:2], losses[:2] / 10)["type"] == "log"


def test_losses_are_those_of_the_records(experiment: Experiment, page: Page) -> None:
    chart = page.charts("curves-data")["rte/held-out loss/steps"]
    drawn = [t for t in chart["figure"]["data"] if "hovertemplate" in t]
    traces = {t["name"]: t for t in drawn if t["mode"] == "lines"}
    gain = 1 - np.exp(-RATES["full"] * np.array([90, 95, 100]))
    assert traces["Full FT"]["y"][-1] == pytest.approx(np.mean(1 - 0.6 * gain), abs=1e-3)
    assert chart["figure"]["layout"]["yaxis"]["title"]["text"] == "validation loss"
    (line,) = chart["figure"]["layout"]["shapes"]
    lowest = np.mean(1 - 0.6 * gain)
    start = 1 - 0.6 * (1 - np.exp(-RATES["full"] * 5))
    assert line["y0"] == pytest.approx(start - 0.9 * (start - lowest), abs=1e-3)
    reached = {t["name"]: t["y"][0] for t in drawn if t["mode"] == "markers"}
    assert reached["Full FT"] <= line["y0"]
    score = page.charts("curves-data")["rte/score/steps"]
    assert "shapes" not in score["figure"]["layout"]  # the target is one of the loss
    assert chart["caption"].startswith("Validation loss, smoothed over 3 evaluations. Line: median")
    lost = page.charts("curves-data")["dtd/training loss/seconds"]["caption"]
    assert lost.startswith("Training loss, smoothed over 20")
    assert "Not drawn: LoRA (2 failed)." in lost


def test_without_losses_in_a_curve_there_is_no_choice(tmp_path: Path) -> None:
    bare = [{k: v for k, v in p.items() if k != "eval_loss"} for p in synthetic_curve()]
    write_record(tmp_path, make_record("rte", "full", 0), bare)
    page = write_page(tmp_path, [Cell("rte", "full", 0)])
    quantities = {name.split("/")[1] for name in page.charts("curves-data")}
    assert quantities == {"score", "training loss"}
    assert "<option>held-out loss</option>" not in page.source


def test_subsampled_curve_keeps_its_ends() -> None:
    grid = np.linspace(0, 1, 241)
    band = charts.subsample(Band(grid, grid, grid, grid, 3), 24)
    assert (len(band.grid), band.grid[0], band.grid[-1]) == (24, 0, 1)
