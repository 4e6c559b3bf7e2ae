"""A results folder reported as it is: the cells that its records name, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from frod_bench.common.errors import InputError
from frod_bench.report.asked import parse
from frod_bench.report.command import report_folder
from frod_bench.report.folder import cells_in
from tests.report.factory import make_record, rehash, synthetic_curve, write_record

QUIET = Console(quiet=True)


def of_protocol(name: str, made: dict[str, Any]) -> dict[str, Any]:
    """The record with another protocol, and the hash that this gives it."""
    made["config"]["protocol"]["name"] = made["cell"]["protocol"] = name
    rehash(made)
    return made


def test_its_records_make_the_report(tmp_path: Path) -> None:
    for method in ("frozen", "frod", "full"):
        for seed in (0, 1):
            made = make_record("rte", method, seed, 0.8)
            write_record(tmp_path, made, synthetic_curve(seed=seed))
    write_record(tmp_path, of_protocol("tune", make_record("cola", "full", 0, 0.5)))
    folder = tmp_path / "embedded"
    cells, _ = cells_in(folder)
    names = [(cell.task, cell.method, cell.seed) for cell in cells]
    assert names == [("rte", m, s) for m in ("full", "frod", "frozen") for s in (0, 1)]
    part, _, given = parse(["tables", f"folder={folder}", f"out={tmp_path / 'out'}"])
    paths = report_folder(part, given, QUIET)
    assert tmp_path / "out/tables/main.md" in paths
    assert "| RTE | **80.0** (80.0 to 80.0) |" in (tmp_path / "out/tables/main.md").read_text()
    assert not (folder / "tables").exists()


def test_its_figures_can_be_drawn_for_a_paper(tmp_path: Path) -> None:
    write_record(tmp_path, make_record("rte", "full", 0), synthetic_curve())
    words = [f"folder={tmp_path / 'embedded'}", f"out={tmp_path / 'out'}"]
    part, _, given = parse(["plots", *words, "figures.style=paper"])
    paths = report_folder(part, given, QUIET)
    assert tmp_path / "out/figures/convergence_rte_column.tex" in paths
    with pytest.raises(InputError, match=r"figures.style=print: is unknown. Allowed: .*paper"):
        report_folder("plots", given | {"figures.style": "print"}, QUIET)


def test_a_record_that_cannot_be_used_is_a_hole_and_not_forgotten(tmp_path: Path) -> None:
    for method in ("full", "frod"):
        for seed in (0, 1):
            path = write_record(tmp_path, make_record("rte", method, seed), synthetic_curve())
    path.write_text(path.read_text().replace('"value": 0.8', '"value": NaN'))
    twin = path.with_name("0-" + 16 * "f" + ".json")
    twin.write_text(next(path.parent.glob("0-*.json")).read_text())
    report_folder("tables", {"folder": str(tmp_path / "embedded")}, QUIET)
    text = (tmp_path / "embedded/tables/main.md").read_text()
    assert "| RTE | 80.0 (80.0 to 80.0) | 80.0 (1 of 2: 1 unusable) |" in text
    assert f"- rte/frod/{twin.name} is not a usable record, and left out: " in text
