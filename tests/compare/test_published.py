"""Published training losses over those of a comparison."""

from pathlib import Path

import numpy as np
import pytest

from frod_bench.compare import command as compare
from frod_bench.compare.published import overlaid, read_losses
from frod_bench.compare.records import compare as compared
from frod_bench.compare.records import parse
from frod_bench.report.keys import Method
from frod_bench.report.panels import Panels
from frod_bench.report.rules import rules_of_edition
from tests.report.factory import make_record, synthetic_curve, write_record

RULES = rules_of_edition("1")
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for method in ("full", "frod", "lora", "dora"):
        for seed in range(2):
            write_record(tmp_path, make_record("rte", method, seed), synthetic_curve(seed=seed))
    return tmp_path


def words(results: Path, *more: str) -> list[str]:
    return ["task=rte", "method=frod,lora,dora", f"results_root={results}", *more]


def panels(results: Path, published: str) -> Panels:
    config = parse(words(results))
    (found,) = overlaid(compared(config, RULES), read_losses(published)).values()
    return found


def test_losses_are_drawn_dashed_over_ours(results: Path, capsys: Captured) -> None:
    assert compare.main(words(results, "published=released_cars")) == 0
    printed = capsys.readouterr().out
    assert "Dashed: the curves that FRoD's authors released" in printed
    assert "Other data, backbone, batch and learning rates" in printed
    assert "Not published: DoRA." in printed
    drawn = results / "embedded/figures/compare_rte_training_loss_frod_lora_dora.png"
    assert drawn.is_file()
    found = panels(results, "released_cars")
    sides = [(method.method, method.side) for method in found.bands["steps"]]
    ours = [(name, "here") for name in ("frod", "lora", "dora")]
    assert sides == [*ours, ("frod", "published"), ("lora", "published")]
    assert not found.has_target


def test_methods_share_one_published_budget(results: Path) -> None:
    """FRoD's released runs are longer than LoRA's: 100 % is the same point for both."""
    bands = panels(results, "released_cars").bands["steps"]
    frod, lora = (bands[Method(name, side="published")] for name in ("frod", "lora"))
    assert frod.grid[-1] == lora.grid[-1] == 100
    reached = [100 * np.argmax(band.median < 1) / len(band.grid) for band in (frod, lora)]
    assert reached[1] / reached[0] == pytest.approx(3.6, abs=0.2)
    ours = bands[Method("frod", side="here")]
    assert (ours.grid[0], ours.grid[-1]) == (1, 100)


def test_peft_is_drawn_with_the_default_settings_of_a_method(results: Path) -> None:
    found = panels(results, "peft_metamathqa")
    frod = found.bands["steps"][Method("frod", side="published")]
    assert frod.seeds == 1
    assert frod.median[-1] == pytest.approx(0.58609)
    assert Method("dora", side="published") in found.bands["steps"]
    assert "Left out, for other settings: frod--llama-3.2-3B-sparse0.02" in str(found.caption)


def test_a_file_of_ones_own(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    rows = [f"lora,{run},{point},{9 - point}" for run in "ab" for point in range(9)]
    path.write_text("\n".join(["method,run,logged_point,training_loss", *rows]))
    bands = panels(results, str(path)).bands["steps"]
    assert bands[Method("lora", side="published")].seeds == 2
    assert bands[Method("lora", side="published")].median[-1] == pytest.approx(2)  # of 3, 2 and 1


def test_curves_in_the_terminal(results: Path, capsys: Captured) -> None:
    assert compare.main(words(results, "published=released_cars", "plot=terminal")) == 0
    printed = capsys.readouterr().out
    assert "training loss by optimizer steps (% of the run)" in printed
    assert "FRoD · published" in printed
    assert (
        printed.count("┌") == 5
    )  # two axes of the score and of the held-out loss, one of training


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["published=released"], "published=released: is unknown. Did you mean 'released_cars'?"),
        (["published=nowhere.csv"], "nowhere.csv: cannot be read"),
        (["published=released_cars", "plot=none"], "Leave plot=none out"),
    ],
)
def test_bad_input(results: Path, capsys: Captured, more: list[str], message: str) -> None:
    assert compare.main(words(results, *more)) == 2
    out, error = capsys.readouterr()
    assert message in error
    assert not out
    assert not (results / "embedded/figures").exists()


def test_a_published_file_that_does_not_fit(
    results: Path, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("method,run,logged_point,training_loss\nlora,a,0,3\nlora,a,1,inf\n")
    assert compare.main(words(results, f"published={path}")) == 2
    assert f"{path}, line 3: training_loss='inf' must be a finite number" in capsys.readouterr().err


def test_methods_that_nobody_published(results: Path, capsys: Captured) -> None:
    more = ["task=rte", "method=dora", f"results_root={results}", "published=released_cars"]
    assert compare.main(more) == 2
    assert "has no curve of DoRA. Compare some of full, lora" in capsys.readouterr().err


def test_two_folders_have_no_room_for_a_third(results: Path, capsys: Captured) -> None:
    folder = results / "embedded"
    assert compare.main([f"folder={folder},{folder}", "published=released_cars"]) == 2
    assert f"Leave folder={folder},{folder} out." in capsys.readouterr().err


def test_a_curve_that_begins_after_the_shortest_has_ended_is_refused(
    results: Path, tmp_path: Path, capsys: Captured
) -> None:
    rows = [
        f"{method},{method}-1,{first + point},1"
        for method, first in (("lora", 0), ("frod", 200))
        for point in range(0, 50, 10)
    ]
    path = tmp_path / "theirs.csv"
    path.write_text("\n".join(["method,run,logged_point,training_loss", *rows]))
    assert compare.main(words(results, f"published={path}")) == 2
    assert "FRoD begins at 200, and the shortest run ends at 40" in capsys.readouterr().err
