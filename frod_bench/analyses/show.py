"""The analyses as tables: what each figure draws, as Markdown, LaTeX and CSV."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from frod_bench.analyses import expressible, landscape
from frod_bench.analyses.spectrum import QUARTILES, Spectra
from frod_bench.report.table import NOT_THERE, Row, Table, write_table

_SPECTRUM = {
    "relative_norm": ("||change|| / ||weight||, %", 100.0, "{:.2f}"),
    "effective_rank": ("effective rank", 1.0, "{:.1f}"),
    "stable_rank": ("stable rank", 1.0, "{:.1f}"),
    "cosine_with_full": ("cosine with full's change", 1.0, "{:.3f}"),
}


@dataclass(frozen=True)
class ProfileWords:
    """What titles and captions say of the profile that the numbers are of.

    Attributes:
        title: the profile's title.
        words: a sentence or two on profile and protocol.
    """

    title: str
    words: str


def profile_words(config: Any, protocol: str) -> ProfileWords:
    """Of a composed configuration and the protocol of its cells."""
    words = f"Profile {config.profile.name}, protocol {protocol}."
    if config.profile.stand_in:
        words += " Data and backbones are stand-ins: these are not the benchmarks' numbers."
    return ProfileWords(str(config.profile.title), words)


def write_spectrum(found: Spectra, told: ProfileWords, out_dir: Path) -> list[Path]:
    """`update_spectrum.*`, a row a layer in the CSV, and `update_spectrum_lines.csv`."""
    rows = []
    for task, of_task in found.layers.groupby("task", sort=False):
        rows.append(Row(str(task), heading=True))
        for method, layers in of_task.groupby("method", sort=False):
            cells = tuple(
                _quartiles(scale * layers[name], form)
                for name, (_, scale, form) in _SPECTRUM.items()
            )
            rows.append(Row(str(method), cells))
    table = Table(
        f"Learned updates: {told.title}",
        "Of the change of each adapted layer's weight, W after training less W before: its size, "
        "how many directions it is spread over, and how it lies to full fine-tuning's of the same "
        f"seed. Median over layers and seeds, and in brackets the middle half. {told.words}",
        ("method", *(label for label, _, _ in _SPECTRUM.values())),
        rows,
    )
    paths = write_table(table, found.layers, out_dir, "update_spectrum")
    return [*paths, _write_csv(found.lines, out_dir / "update_spectrum_lines.csv")]


def write_expressible(layers: pd.DataFrame, told: ProfileWords, out_dir: Path) -> list[Path]:
    """`expressible.*`, all layers of a cell together, and `expressible_layers.csv`."""
    pooled = expressible.pooled(layers)
    kinds = [expressible.LOW_RANK, expressible.SPARSE, expressible.ON_AXIS, expressible.RANDOM]
    rows = []
    for (task, method), of_task in pooled.groupby(["task", "method"], sort=False):
        rows.append(Row(f"{task}, update of {method}", heading=True))
        percents = of_task.groupby("budget")["percent"].mean().sort_values()
        for budget, percent in percents.items():
            at = of_task[of_task["budget"] == budget]
            errors = (at.loc[at["parametrisation"] == kind, "error"] for kind in kinds)
            cells = (f"{percent:.2f}", *(_mean(100 * error) for error in errors))
            rows.append(Row(str(budget), cells))
    unsettled = int(pooled["unsettled"].sum())
    notes = [f"{unsettled} fits did not settle; their errors are upper bounds."] * (unsettled > 0)
    table = Table(
        f"What could express the update: {told.title}",
        "Relative error, %, of the best approximation of the update of all adapted layers, by how "
        "many values are trained; mean over seeds. Low rank: truncated SVD, chosen with the update "
        "in sight. On axis + sparse: FRoD's basis and random support, chosen before it. Random "
        "subspace: what any fixed subspace that knows nothing of the update expresses. "
        f"{told.words}",
        ("budget", "trained, % of the weights", *kinds),
        rows,
        notes,
    )
    paths = write_table(table, pooled, out_dir, "expressible")
    return [*paths, _write_csv(layers, out_dir / "expressible_layers.csv")]


def write_landscape(points: pd.DataFrame, told: ProfileWords, out_dir: Path) -> list[Path]:
    """`landscape.*`, a row a plane, and `landscape_points.csv`."""
    summary = landscape.rises(points)
    names = [f"rise_{radius:g}" for radius in landscape.RADII]
    rows = []
    for (task, seed), planes in summary.groupby(["task", "seed"], sort=False):
        rows.append(Row(f"{task}, seed {seed}", heading=True))
        for line in planes.to_dict("records"):
            cells = tuple(f"{line[str(name)]:.3f}" for name in ("loss", "lowest", *names))
            rows.append(Row(str(line["centre"]), cells))
    table = Table(
        f"Loss around the start and the ends: {told.title}",
        "Loss on the rows of the curve's split at the plane's centre, the lowest on the plane, and "
        "by how much the mean at a distance from the centre is above it; a distance of 1 is the "
        f"norm of each filter of the pretrained weights. {told.words}",
        ("centre", "loss", "lowest", *(f"rise at {radius:g}" for radius in landscape.RADII)),
        rows,
    )
    paths = write_table(table, summary, out_dir, "landscape")
    return [*paths, _write_csv(points, out_dir / "landscape_points.csv")]


def _write_csv(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False, float_format="%.10g", lineterminator="\n")
    return path


def _quartiles(values: pd.Series, form: str) -> str:
    known = values.dropna()
    if known.empty:
        return NOT_THERE
    low, median, high = (form.format(value) for value in np.quantile(known, QUARTILES))
    return f"{median} [{low}, {high}]"


def _mean(values: Iterable[float]) -> str:
    found = list(values)
    return f"{np.mean(found):.1f}" if found else NOT_THERE
