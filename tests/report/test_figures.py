"""Figures: they are drawn from what is there, say what is not, and look the same every time."""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from frod_bench.common import atomic
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.report import build, figures, style
from frod_bench.report.asked import Cell
from frod_bench.report.build import write_report
from frod_bench.report.collect import Collected, collect, missing_runs
from frod_bench.report.convergence import arrivals
from frod_bench.report.curves import evaluated_curves
from frod_bench.report.keys import Method, Run, Task
from frod_bench.report.names import method_named
from frod_bench.report.panels import LOSSES, Panels, experiment_panels
from frod_bench.report.rules import rules_of_edition
from frod_bench.sweep import allotment
from tests.report.factory import make_record, write_record

Experiment = tuple[Path, list[Cell]]
RULE = rules_of_edition("1").convergence


@pytest.fixture(scope="module")
def found(experiment: Experiment) -> Collected:
    root, cells = experiment
    return collect(root, "embedded", cells)


@pytest.fixture(scope="module")
def panels(found: Collected) -> dict[str, Panels]:
    return panels_of(found)


def panels_of(found: Collected, constant: Sequence[Task] = ()) -> dict[str, Panels]:
    measured = evaluated_curves(found.frame, found.curves)
    arrived = arrivals(found.frame, measured, RULE)
    title = "embedded (stand-in data)"
    return experiment_panels(found.frame, measured, arrived, title, RULE, constant=constant)


def test_task_figure_says_what_it_shows(panels: dict[str, Panels]) -> None:
    dtd = panels["dtd"]
    assert dtd.title == "DTD · embedded (stand-in data)"
    assert dtd.y_label == "validation accuracy (%)"
    assert dtd.caption.what.startswith("Validation accuracy, smoothed over 3 evaluations.")
    assert "median over 3 seeds" in dtd.caption.what
    assert "full fine-tuning's mean curve" in dtd.caption.markers
    assert dtd.caption.missing == "Not drawn: LoRA (2 failed)."
    assert dtd.bands["steps"][Method("lora")].seeds == 1
    assert dtd.arrived["steps"][Method("full")] < dtd.arrived["steps"][Method("frod")]
    assert np.isinf(dtd.arrived["steps"][Method("frozen")])


def test_diverged_method_is_named_and_not_drawn(panels: dict[str, Panels]) -> None:
    assert Method("lora") not in panels["mnist"].bands["steps"]
    assert "LoRA (3 diverged)" in panels["mnist"].caption.missing


def test_all_tasks_figure_averages_over_whole_tasks_only(
    found: Collected, panels: dict[str, Panels]
) -> None:
    mean = panels["all_tasks"]
    assert mean.title == "mean of 2 tasks · embedded (stand-in data)"
    lost = "Left out because a method or a seed has no curve: CoLA, DTD, MNIST."
    assert mean.caption.missing == lost
    measured = evaluated_curves(found.frame, found.curves)
    ends = [
        measured[Run(Task(t), Method("full"), 1)].smoothed(3).values[-1] for t in ("rte", "boolq")
    ]
    assert mean.bands["steps"][Method("full")].median[-1] == pytest.approx(np.mean(ends))
    assert mean.x_labels["steps"] == "optimizer steps"


def test_runs_of_different_lengths_are_averaged_by_their_share(tmp_path: Path) -> None:
    """After half of its run a method has half of its gain, whatever the number of steps."""
    for task, steps in (("rte", 100), ("boolq", 40)):
        made = make_record(task, "full", 0) | {"steps": steps}
        curve = [
            {"step": s, "epoch": 0, "seconds": s, "train_loss": 1.0, "accuracy": s / steps}
            for s in range(0, steps + 1, steps // 10)
        ]
        write_record(tmp_path, made, curve)
    cells = [Cell(task, "full", 0) for task in ("rte", "boolq")]
    mean = panels_of(collect(tmp_path, "embedded", cells))["all_tasks"]
    band = mean.bands["steps"][Method("full")]
    assert mean.x_labels["steps"] == "optimizer steps (% of the run)"
    assert (band.grid[0], band.grid[-1]) == (0, 100)
    assert np.interp(50, band.grid, band.median) == pytest.approx(0.4)  # mean of three


def test_no_target_if_the_reference_predicts_a_single_class(found: Collected) -> None:
    rte = panels_of(found, [Task("rte")])["rte"]
    assert not rte.has_target
    assert rte.caption.markers == "No target: full fine-tuning predicts a single class."


def test_drawn_figure_has_units_and_every_method(panels: dict[str, Panels]) -> None:
    figure = figures.render(figures.convergence(panels["rte"]), figures.SCREEN)
    by_step, by_second = figure.axes
    assert by_step.get_xlabel() == "optimizer steps"
    assert by_second.get_xlabel() == "training time with set-up (s)"
    assert by_step.get_ylabel() == "validation accuracy (%)"
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [*("Full FT", "LoRA", "FRoD", "Frozen")]
    colors = [to_rgb(line.get_color()) for line in by_step.get_lines()]
    assert to_rgb(style.STYLES["frod"].color) in colors


def losses_of(found: Collected, constant: Sequence[Task] = ()) -> list[Panels]:
    rule, loss = rules_of_edition("2").convergence, LOSSES["held-out loss"]
    measured = evaluated_curves(found.frame, found.curves, loss.column)
    arrived = arrivals(found.frame, measured, rule)
    panels = experiment_panels(
        found.frame, measured, arrived, "embedded", rule, quantity=loss, constant=constant
    )
    return [one for one in panels.values() if one.task is not None]


def test_losses_have_a_panel_for_each_task_with_its_target(found: Collected) -> None:
    of_tasks = losses_of(found)
    drawing = figures.losses_by_task(of_tasks, "embedded")
    assert drawing.title == "Validation loss by task · embedded"
    assert "DTD: Not drawn: LoRA (2 failed)." in drawing.caption
    assert "A marker shows when a method reaches it" in drawing.caption
    assert "Without a target" not in drawing.caption
    figure = figures.render(drawing, figures.SCREEN)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["RTE", "CoLA", "BoolQ", "DTD", "MNIST"]
    assert [ax.get_xlabel() != "" for ax in figure.axes] == [False, True, True, True, True]
    for one, ax in zip(of_tasks, figure.axes, strict=True):
        drawn = [line.get_ydata() for line in ax.get_lines() if len(line.get_ydata()) == 2]
        assert any(list(ends) == [one.target, one.target] for ends in drawn)


def test_losses_of_a_task_without_a_target_say_so(found: Collected) -> None:
    caption = figures.losses_by_task(losses_of(found, [Task("rte")]), "").caption
    assert "Without a target: RTE." in caption
    assert "A marker shows" in caption  # from a task that has one


def test_a_method_without_steps_is_a_level_line(tmp_path: Path) -> None:
    """A frozen backbone that ranks options is evaluated once, and a curve of one value is none."""
    for method, ends in (("full", (0, 100)), ("frozen", (0,))):
        curve = [{"step": s, "epoch": 0, "seconds": s, "accuracy": 0.4} for s in ends]
        write_record(tmp_path, make_record("rte", method, 0) | {"steps": ends[-1]}, curve)
    cells = [Cell("rte", method, 0) for method in ("full", "frozen")]
    found = collect(tmp_path, "embedded", cells)
    panels = panels_of(found)["rte"]
    (ax, _) = figures.render(figures.convergence(panels), figures.SCREEN).axes
    frozen = to_rgb(style.STYLES["frozen"].color)
    (line,) = (one for one in ax.get_lines() if to_rgb(one.get_color()) == frozen)
    assert list(line.get_ydata()) == [40.0, 40.0]
    assert list(line.get_xdata()) == [0.0, 100.0]  # steps, as long as the other method's
    mean = panels_of(found)["all_tasks"].bands["steps"][Method("frozen")]
    assert (mean.grid.tolist(), mean.median.tolist()) == ([0.0, 100.0], [0.4, 0.4])


@pytest.mark.parametrize(("length", "rows"), [(4, 1), (14, 2), (45, 3), (60, 6)])
def test_a_legend_is_no_wider_than_its_figure(length: int, rows: int) -> None:
    entries = [figures.legend_entry("s" * length, style.STYLES["frod"]) for _ in range(6)]

    def draw(look: figures.Look) -> Figure:
        return figures.panelled(look, 1, 1, 2.0, entries)[0]

    figure = figures.render(figures.Drawing("", "", draw), figures.SCREEN)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert legend.get_window_extent().width <= figure.bbox.width
    heights = {round(line.get_window_extent().y0) for line in legend.get_texts()}
    assert len(heights) == rows


@pytest.mark.parametrize("name", ["rte", "all_tasks"])
def test_the_legend_has_the_markers_that_are_drawn(panels: dict[str, Panels], name: str) -> None:
    figure = figures.render(figures.convergence(panels[name]), figures.SCREEN)
    lines = [line for ax in figure.axes for line in ax.get_lines()]
    drawn = {line.get_marker() for line in lines} - {"None"}
    (legend,) = figure.legends
    named = {line.get_marker() for line in legend.get_lines()} - {"None"}
    assert named == drawn
    assert (
        len(named) == {"rte": 2, "all_tasks": 4}[name]
    )  # LoRA and the frozen backbone miss the target


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is copied")
def test_figures_drawn_in_copies_are_those_drawn_here(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cells = experiment
    here, drawn_here = os.getpid(), []
    saved = build._saved

    def noted(*of_drawing: Any) -> list[Path]:
        if os.getpid() == here:
            drawn_here.append(of_drawing[0])
        return saved(*of_drawing)

    monkeypatch.setattr(build, "_saved", noted)
    written, counts = {}, {}
    for processes in (0, 3):
        monkeypatch.setattr(build, "_copies", lambda drawings, n=processes: n)
        out_dir = tmp_path / str(processes) / "report"
        names = root, "embedded", cells, "embedded"
        report = write_report(*names, parts=("plots",), out_dir=out_dir)
        written[processes] = [(str(p.relative_to(out_dir)), p.read_bytes()) for p in report.paths]
        counts[processes] = len(drawn_here)
    assert counts[0] == counts[3] == len(written[0]) // 2 >= 3  # each a PNG and a PDF
    assert written[0] == written[3]


def test_as_many_processes_draw_as_have_enough_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allotment, "cores", lambda: 2)
    assert [build._copies(drawings) for drawings in (0, 1, 7, 8, 22)] == [0, 0, 0, 2, 2]
    monkeypatch.setattr(allotment, "cores", lambda: 64)
    assert [build._copies(drawings) for drawings in (8, 12, 22)] == [2, 3, 4]
    monkeypatch.setattr(allotment, "cores", lambda: 1)
    assert build._copies(22) == 0


def test_one_layout_for_png_and_pdf_is_that_of_each(
    panels: dict[str, Panels], tmp_path: Path
) -> None:
    drawing = figures.convergence(panels["rte"])
    png, pdf = figures.save({"rte": drawing}, tmp_path)
    with figures.SCREEN.applied():  # matplotlib lays a figure out for each file
        figures.render(drawing).savefig(tmp_path / "own.png", metadata={"Software": None})
    assert png.read_bytes() == (tmp_path / "own.png").read_bytes()
    assert b"/Subtype /Type3" in pdf.read_bytes()  # TrueType takes longer, and is for papers


def test_paper_figures_have_its_widths_fonts_and_no_words(
    panels: dict[str, Panels], tmp_path: Path
) -> None:
    drawing = figures.convergence(panels["rte"])
    paths = figures.save({"rte": drawing}, tmp_path, "paper")
    names = [f"rte{part}.{end}" for part in ("", "_column") for end in ("png", "pdf", "tex")]
    assert [path.name for path in paths] == names
    for look, width in zip(figures.LOOKS["paper"], (7.0, 3.3), strict=True):
        figure = figures.render(drawing, look)
        assert figure.get_size_inches()[0] == width
        texts = [t.get_text() for t in figure.findobj(Text)]
        assert not any("smoothed" in text or "embedded" in text for text in texts)
        sizes = {t.get_fontsize() for t in figure.findobj(Text) if t.get_text().strip()}
        assert sizes == {8.0}
        plt.close(figure)
    pdf = (tmp_path / "rte_column.pdf").read_bytes()
    assert b"/Subtype /Type3" not in pdf  # fonts are embedded as TrueType, which publishers take
    assert b"/CIDFontType2" in pdf
    latex = (tmp_path / "rte_column.tex").read_text()
    assert latex.startswith("\\begin{figure}\n")
    assert "{rte_column}" in latex
    assert "\\caption{Validation accuracy, smoothed" in latex
    assert "90 \\% of the gain" in latex
    assert (tmp_path / "rte.tex").read_text().startswith("\\begin{figure*}\n")


def test_every_method_looks_different_and_always_the_same() -> None:
    looks = list(style.STYLES.values())
    assert len({look.color for look in looks}) == len(looks)
    assert len({look.marker for look in looks}) == len(looks)
    own = style.of_method(Method("mine"))  # by its name alone, in every process
    assert (own.color, own.line, own.marker) == ("#44AA99", (0, (9, 2)), "d")


def test_no_two_shipped_methods_share_colour_and_line() -> None:
    names = [path.stem for path in (CONF_DIR / "method").glob("*.yaml")]
    names += ["lora_matched", "dora_matched", "pissa_matched", "rslora_matched"]
    looks = {name: style.of_method(method_named(name)) for name in names}
    assert len({(look.color, look.line) for look in looks.values()}) == len(names)
    for name in ("lora", "dora"):
        matched = looks[f"{name}_matched"]
        assert matched._replace(line=looks[name].line) == looks[name]


@pytest.mark.parametrize(
    ("varied", "apart", "changes_colour"),
    [
        ({"frod": 3}, True, True),
        ({"frod": 6}, True, True),
        ({"frod": 7}, False, False),  # more than there are looks: a front of sizes, say
        ({"frod": 2, "lora": 2}, True, False),
        ({"full": 2, "lora": 6}, True, False),  # whose own lines are among those of variants
    ],
)
def test_variants_are_told_apart_where_they_are_shown_together(
    varied: dict[str, int], apart: bool, changes_colour: bool
) -> None:
    methods = [Method(name, f"s {n}") for name, many in varied.items() for n in range(many)]
    alone = {method: style.of_method(method) for method in methods}
    with style.telling_apart([*methods, Method("lora", "matched"), Method("dora")]):
        looks = {method: style.of_method(method) for method in methods}
        assert style.of_method(Method("dora")) == style.STYLES["dora"]
    assert (len(set(looks.values())) == len(methods)) == apart
    lines = {(method.method, look.line) for method, look in looks.items()}
    markers = {(method.method, look.marker) for method, look in looks.items()}
    assert (len(lines) == len(markers) == len(methods)) == apart
    for method, look in looks.items():
        is_first = method.variant == "s 0"
        assert (look == alone[method]) == (is_first or not apart)
        assert (look.color == alone[method].color) == (is_first or not changes_colour)
    assert {method: style.of_method(method) for method in methods} == alone


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
    assert missing_runs(first.collected.frame) == []


def test_a_file_of_a_report_appears_whole(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cells = experiment
    renamed: list[Path] = []
    replace = Path.replace

    def note(partial: Path, target: Path) -> Path:
        renamed.append(target)
        return replace(partial, target)

    monkeypatch.setattr(Path, "replace", note)
    few = [cell for cell in cells if cell.task == "rte"]
    report = write_report(root, "embedded", few, "embedded")
    assert sorted(renamed) == sorted(report.paths)


def test_a_report_without_space_leaves_the_one_before(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cells = experiment
    few = [cell for cell in cells if cell.task == "rte"]
    figure = next(
        path
        for path in write_report(root, "embedded", few, "embedded", parts=["plots"]).paths
        if path.suffix == ".png"
    )
    before = figure.read_bytes()

    def fill(_: Figure, path: Path, **__: object) -> None:
        Path(path).write_bytes(before[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fill)
    with pytest.raises(OSError, match="No space left"):
        write_report(root, "embedded", few, "embedded", parts=["plots"])
    assert figure.read_bytes() == before
    assert not list(figure.parent.glob(atomic.TEMPORARIES))


def test_report_names_its_holes(experiment: Experiment) -> None:
    root, cells = experiment
    report = write_report(root, "embedded", cells, "embedded", parts=["tables"])
    holes = missing_runs(report.collected.frame)
    assert "missing: cola, lora, seed 1" in holes
    assert "failed: dtd, lora, seed 1: RuntimeError: out of luck" in holes
    assert len(holes) == 6


def test_no_records_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make reproduce-all"):
        write_report(tmp_path, "embedded", [Cell("rte", "frod", 0)], "embedded")
    assert list(tmp_path.iterdir()) == []
