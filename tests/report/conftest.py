"""One synthetic experiment that has everything in it: holes, failures, several families."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from frod_bench.report.asked import Cell
from frod_bench.report.figures import Drawing
from frod_bench.report.published import figure
from tests.report.factory import FAMILIES, PRIMARY, make_record, synthetic_curve, write_record
from tests.report.page_reader import Page, write_page

RATES = {"full": 0.12, "lora": 0.03, "frod": 0.07, "frozen": 0.004}
SEEDS = (0, 1, 2)
MISSING = ("cola", "lora", 1)


@pytest.fixture(autouse=True)
def _published_drawn_by_its_own_tests(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others measured is the same figure in every report, and takes a second."""
    if request.path.name != "test_published.py":
        monkeypatch.setattr(figure, "draw", lambda *_: Drawing("published", "", lambda _: Figure()))


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Cell]]:
    """A results folder and the cells that it should hold.

    lora on dtd failed for two seeds, lora on mnist diverged, one record of cola is missing.
    """
    root = tmp_path_factory.mktemp("results")
    cells = [Cell(t, m, s) for t in FAMILIES for m in RATES for s in SEEDS]
    for cell in cells:
        task, method, seed = cell.task, cell.method, cell.seed
        if (task, method, seed) == MISSING:
            continue
        status = "ok"
        if (task, method) == ("dtd", "lora") and seed > 0:
            status = "failed"
        if (task, method) == ("mnist", "lora"):
            status = "diverged"
        value = 0.8 + 0.01 * seed
        curve = synthetic_curve(
            rate=RATES[method], final=value, metric=PRIMARY.get(task, "accuracy"), seed=seed
        )
        write_record(root, make_record(task, method, seed, value, status), curve)
    return root, cells


@pytest.fixture(scope="session")
def page(experiment: tuple[Path, list[Cell]]) -> Page:
    """The experiment's page, read back."""
    return write_page(*experiment)
