"""Figures: they are drawn from what is there, say what is not, and look the same every time."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.report import figures, style
from frod_bench.report.build import write_report
from frod_bench.report.collect import Cell, Collected, collect, holes_of
from frod_bench.report.convergence import arrivals
from frod_bench.report.curves import Curve, evaluated_curves
from frod_bench.report.frame import Method, Run, Task
from frod_bench.report.names import method_named
from frod_bench.report.panels import Panels, all_tasks_panels, task_panels
from frod_bench.report.rules import load_rules

Experiment = tuple[Path, list[Cell]]
RULE = load_rules().convergence


@pytest.fixture(scope="module")
def found(experiment: Experiment) -> Collected:
    root, cells = experiment
    return collect(root, "embedded", cells)


@pytest.fixture(scope="module")
def smoothed(found: Collected) -> dict[Run, Curve]:
    measured = evaluated_curves(found.frame, found.curves)
    return {key: curve.smoothed(3) for key, curve in measured.items()}


def panels_of(found: Collected, smoothed: dict[Run, Curve], task: str) -> Panels:
    cells = found.frame[found.frame["task"] == task]
    arrived = arrivals(found.frame, found.curves, RULE)
    panels = task_panels(cells, smoothed, arrived, "embedded (stand-in data)", RULE)
    assert panels is not None
    return panels


def test_task_figure_says_what_it_shows(found: Collected, smoothed: dict[Run, Curve]) -> None:
    panels = panels_of(found, smoothed, "dtd")
    assert panels.title == "DTD · embedded (stand-in data)"
    assert panels.y_label == "validation accuracy (%)"
    assert "median over 3 seeds" in panels.caption
    assert "Not drawn: LoRA (2 failed)." in panels.caption
    assert panels.bands["steps"][Method("lora")].seeds == 1
    assert panels.arrived["steps"][Method("full")] < panels.arrived["steps"][Method("frod")]
    assert np.isinf(panels.arrived["steps"][Method("frozen")])


def test_diverged_method_is_named_and_not_drawn(
    found: Collected, smoothed: dict[Run, Curve]
) -> None:
    panels = panels_of(found, smoothed, "mnist")
    assert Method("lora") not in panels.bands["steps"]
    assert "LoRA (3 diverged)" in panels.caption


def test_all_tasks_figure_averages_over_whole_tasks_only(
    found: Collected, smoothed: dict[Run, Curve]
) -> None:
    panels = all_tasks_panels(found.frame, smoothed, "embedded", RULE)
    assert panels is not None
    assert panels.title == "mean of 2 tasks · embedded"
    assert panels.caption.endswith("Left out, for a method or seed has no curve: CoLA, DTD, MNIST.")
    end = np.mean([smoothed[Run(Task(t), Method("full"), 1)].values[-1] for t in ("rte", "boolq")])
    assert panels.bands["steps"][Method("full")].median[-1] == pytest.approx(end)


def test_drawn_figure_has_units_and_every_method(
    found: Collected, smoothed: dict[Run, Curve]
) -> None:
    figure = figures.draw(panels_of(found, smoothed, "rte"))
    by_step, by_second = figure.axes
    assert by_step.get_xlabel() == "optimizer steps"
    assert by_second.get_xlabel() == "training time with set-up (s)"
    assert by_step.get_ylabel() == "validation accuracy (%)"
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [*("Full FT", "LoRA", "FRoD", "Frozen")]
    colors = [to_rgb(line.get_color()) for line in by_step.get_lines()]
    assert to_rgb(style.STYLES["frod"].color) in colors


def test_every_method_looks_different_and_always_the_same() -> None:
    looks = list(style.STYLES.values())
    assert len({look.color for look in looks}) == len(looks)
    assert len({look.marker for look in looks}) == len(looks)
    assert style.of_method(Method("mine")) == style.of_method(Method("mine"))


def test_no_two_shipped_methods_share_colour_and_line() -> None:
    names = [path.stem for path in (CONF_DIR / "method").glob("*.yaml")]
    names += ["lora_matched", "dora_matched", "pissa_matched", "rslora_matched"]
    looks = {name: style.of_method(method_named(name)) for name in names}
    assert len({(look.color, look.line) for look in looks.values()}) == len(names)
    for name in ("lora", "dora"):
        matched = looks[f"{name}_matched"]
        assert matched._replace(line=looks[name].line) == looks[name]


def test_a_method_of_ones_own_has_no_shipped_methods_colour() -> None:
    own = {style.of_method(Method(f"mine_{number}")).color for number in range(200)}
    assert len(own) > 1
    assert not own & {look.color for look in style.STYLES.values()}


def test_report_writes_everything_twice_the_same(experiment: Experiment) -> None:
    root, cells = experiment
    few = [cell for cell in cells if cell.task == "rte"]
    first = write_report(root, "embedded", few, "embedded")
    names = {path.relative_to(root).as_posix() for path in first.paths}
    for table in ("main", "parameters", "convergence"):
        assert {f"embedded/tables/{table}.{end}" for end in ("md", "csv", "tex")} <= names
    for figure in ("rte", "all_tasks"):
        assert {f"embedded/figures/convergence_{figure}.{end}" for end in ("png", "pdf")} <= names
    before = {path: path.read_bytes() for path in first.paths}
    again = write_report(root, "embedded", few, "embedded")
    assert {path: path.read_bytes() for path in again.paths} == before
    assert "embedded/report.html" in names
    assert holes_of(first.collected.frame) == []


def test_report_names_its_holes(experiment: Experiment) -> None:
    root, cells = experiment
    report = write_report(root, "embedded", cells, "embedded", parts=["tables"])
    holes = holes_of(report.collected.frame)
    assert "missing: cola, lora, seed 1" in holes
    assert "failed: dtd, lora, seed 1: RuntimeError: out of luck" in holes
    assert len(holes) == 6


def test_no_records_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make reproduce-all"):
        write_report(tmp_path, "embedded", [Cell("rte", "frod", 0)], "embedded")
    assert list(tmp_path.iterdir()) == []
