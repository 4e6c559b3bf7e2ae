"""Command line: look into the trained models of an experiment.

    python -m frod_bench.analyses landscape|spectrum|expressible [Hydra overrides]

Each reads the cells of its own experiment (`experiment=landscape`, `update_spectrum`,
`expressible`) unless the overrides name another that keeps trained values, and writes tables and a
figure in a folder of the experiment's name beside the records. Cells that are missing are told on
standard error, with the command that makes them. Exit status 2 for bad input, and where there is
no trained model at all.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from frod_bench.analyses.kept import Kept, kept_cells
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import check_writable

EXPERIMENTS = {
    "landscape": "landscape",
    "spectrum": "update_spectrum",
    "expressible": "expressible",
}


def parse(words: Sequence[str]) -> tuple[str, list[str]]:
    """(analysis, overrides) of a command line; the experiment is the analysis's unless named."""
    what, *overrides = words or ("",)
    if what not in EXPERIMENTS:
        raise InputError(f"{what!r} is no analysis." + did_you_mean(what, EXPERIMENTS))
    if not any(override.startswith("experiment=") for override in overrides):
        overrides.insert(0, f"experiment={EXPERIMENTS[what]}")
    return what, overrides


def analyse(what: str, kept: Kept) -> list[Path]:
    """Measure, write tables and the figure; returns the files."""
    # Only now: torch and matplotlib are not needed to say what is missing.
    from frod_bench.analyses import expressible, figures, landscape, show, spectrum

    protocols = ", ".join(dict.fromkeys(cell.protocol for cell in kept.cells))
    told = show.profile_words(kept.config, protocols)
    tables, drawn = kept.out_dir / "tables", kept.out_dir / "figures"
    match what:
        case "landscape":
            points = landscape.measure(kept.cells, say)
            paths = show.write_landscape(points, told, tables)
            return paths + figures.write_landscape(points, told, drawn)
        case "spectrum":
            spectra = spectrum.measure(kept.cells, say)
            paths = show.write_spectrum(spectra, told, tables)
            return paths + figures.write_spectrum(spectra, told, drawn)
        case _:
            layers = expressible.measure(kept.cells, say)
            paths = show.write_expressible(layers, told, tables)
            return paths + figures.write_expressible(layers, told, drawn)


def say(line: str) -> None:
    """To standard error: standard output is for the files' paths."""
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str]) -> None:
    """Analyse, and print the paths. Raises InputError for bad input."""
    what, overrides = parse(words)
    kept = kept_cells(overrides)
    check_writable(kept.out_dir)
    for line in kept.lacking:
        say(line)
    for path in analyse(what, kept):
        print(path)


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses():
        main(words)
