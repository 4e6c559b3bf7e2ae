"""A whole report: the records of an experiment -> tables and figures under `results/<profile>/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frod_bench.errors import InputError
from frod_bench.report.areas import read_trials
from frod_bench.report.claims import Judged, judge
from frod_bench.report.claims_table import write_claims
from frod_bench.report.collect import Cell, Collected, collect
from frod_bench.report.convergence import arrivals, convergence_table, time_summary
from frod_bench.report.paired import paired_summary, paired_table
from frod_bench.report.rules import Rules, load_rules
from frod_bench.report.tables import write_table, write_tables

PARTS = ("tables", "plots")


@dataclass(frozen=True)
class Report:
    """What a report wrote and what it was made of; no claims where it wrote no tables."""

    paths: list[Path]
    collected: Collected
    judged: Judged | None

    def holes(self) -> list[str]:
        """A line for each cell that gave no number: what, which, and why where that is known."""
        frame = self.collected.frame
        return [
            f"{row.status}: {row.task}, {row.method}, seed {row.seed}"
            + (f": {row.error}" if isinstance(row.error, str) else "")
            for row in frame[frame["status"] != "ok"].itertuples(index=False)
        ]


def write_report(
    results_root: Path,
    profile: str,
    cells: Sequence[Cell],
    title: str,
    *,
    parts: Sequence[str] = PARTS,
    out_dir: Path | None = None,
    rules: Rules | None = None,
) -> Report:
    """Write `tables/` and `figures/` in `out_dir` from the records of `cells`.

    Without `out_dir` that is `<results_root>/<profile>`. `title` is the profile's title. Raises
    InputError, and writes nothing, where none of the cells has a record.
    """
    rules = rules or load_rules()
    collected = collect(results_root, profile, cells)
    frame = collected.frame
    if frame.empty or (frame["status"] == "missing").all():
        folder = results_root / profile / "records"
        raise InputError(
            f"No records of this experiment's {len(frame)} cells under {folder}. "
            "Make them with `make reproduce-all` (or `make smoke` for three tasks), or one at a "
            f"time: `python -m frod_bench.run profile={profile} task=rte method=frod seed=0`."
        )
    out_dir = out_dir or results_root / profile
    paths: list[Path] = []
    judged = None
    if "tables" in parts:
        trials = read_trials(results_root / profile / "tables" / "tuning.csv")
        judged = judge(frame, collected.curves, trials, profile, rules)
        paths += write_claims(judged, out_dir / "tables", title)
        paths += _write_tables(collected, out_dir / "tables", title, rules)
    if "plots" in parts:
        from frod_bench.report.figures import write_figures  # matplotlib: only where it draws

        paths += write_figures(
            frame, collected.curves, out_dir / "figures", title, rules.convergence
        )
    return Report(paths, collected, judged)


def _write_tables(collected: Collected, out_dir: Path, title: str, rules: Rules) -> list[Path]:
    paths = write_tables(collected.frame, out_dir, title, collected.warnings)
    ours = rules.accuracy.ours
    pairs = paired_summary(collected.frame, ours, rules.accuracy.margin_points)
    if len(pairs):
        paths += write_table(paired_table(pairs, ours, title), pairs, out_dir, "paired")
    arrived = arrivals(collected.frame, collected.curves, rules.convergence)
    times = time_summary(arrived, rules.convergence)
    table = convergence_table(times, rules.convergence, title)
    return paths + write_table(table, times, out_dir, "convergence")
