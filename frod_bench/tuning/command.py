"""`frod-bench tune`: run the search of each method, write its evidence and the picked rates."""

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from omegaconf import DictConfig, OmegaConf, open_dict

from frod_bench.cells.cell import Cell
from frod_bench.cells.compose import composer
from frod_bench.cells.grid import compose_cells
from frod_bench.cli.arguments import Arguments, parse
from frod_bench.common import atomic
from frod_bench.common.errors import DoesNotFitError, InputError
from frod_bench.common.names import has_settings
from frod_bench.common.paths import CONF_DIR, check_writable, published_search
from frod_bench.common.terminal import plain_console
from frod_bench.config.conversion import CONSTANT
from frod_bench.jobs.run import check_methods
from frod_bench.report import figures
from frod_bench.report.keys import FROZEN
from frod_bench.report.picks import rates_of_pick
from frod_bench.report.sensitivity import read_search
from frod_bench.tuning import evidence, figure
from frod_bench.tuning.procedure import HEAD, Point, Rules, step_of
from frod_bench.tuning.searches import Key, Searches, experiment_of, key_of, search_of

SEARCHED = r"the rates of ([^:]*), picked on"  # in such a line
WRITTEN = "# Written by `frod-bench tune`"  # the first words of a table written here
WRITTEN_BEFORE = "# Written by `python -m"  # those of an older one
SHIPPED_TABLES = CONF_DIR / "learning_rates"
FIRST_SEED = 100  # lower ones are judged


def write_rates(picked: pd.DataFrame, experiment: str, path: Path, schedule: str = "") -> None:
    """Write the table of learning rates that a profile composes.

    The rates of other methods are kept, and so are the comments about them. The comment of a search
    names the methods that it has searched. `schedule` is added to the names of the families if
    their rates are for another schedule than the profile's. Raises InputError if `path` has
    something else than a table of rates.
    """
    table = rates_in(path)
    for _, row in picked.iterrows():
        name = f"{row['family']}{schedule}"
        table[name] = (table.get(name) or {}) | {row["method"]: rates_of_pick(row)}
    lines = path.read_text().split("\n") if path.exists() else []
    comments = list(takewhile(lambda line: line.startswith("#"), lines))
    heads = {line.partition(":")[0]: line for line in comments if line.startswith(WRITTEN)}
    rest = [line for line in comments if not line.startswith(WRITTEN)]
    source = f"{WRITTEN}, experiment={experiment}"
    before = re.search(SEARCHED, heads.get(source, ""))
    searched = {*(before[1].split(", ") if before else ()), *picked["method"]}
    known = {method for own in table.values() for method, rates in (own or {}).items() if rates}
    if known <= searched and rest and rest[0].startswith(WRITTEN_BEFORE):
        rest = []  # it is of rates that are all replaced
    varied = any(map(has_settings, searched))
    heads[source] = (  # where it was, if there is one
        f"{source}: the rates of {'its variants' if varied else ', '.join(sorted(searched))}, "
        "picked on validation. The runs that they rest on are in "
        f"tables/search{schedule}.csv, and how sure the picks are in tables/picks{schedule}.csv."
    )
    text = yaml.safe_dump(table, sort_keys=False, default_flow_style=None)
    atomic.write_text(path, "\n".join([*heads.values(), *rest, text]))


def rates_in(path: Path) -> dict[str, Any]:
    """The table of learning rates at `path`, empty if there is none: family -> method -> rates.
    Raises InputError if it is something else.
    """
    if not path.exists():
        return {}
    try:
        found: Any = OmegaConf.to_container(OmegaConf.load(path))
        problem = "" if isinstance(found, dict) else "it has no families"
    except (OSError, ValueError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
    if not problem and not all(isinstance(one, dict | None) for one in found.values()):
        problem = "a family has no methods"
    if problem:
        raise InputError(
            f"{path}: cannot be read as a table of learning rates ({problem}). Move it away, or "
            "name another folder, out=DIR."
        )
    return dict(found)


def without_variants(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of evidence without those of an experiment's variants."""
    return rows[~rows["method"].map(has_settings)]


def rates_path(profile: str, folder: Path) -> Path:
    """The file of a profile's tuned learning rates; never one that somebody wrote by hand."""
    path = folder / f"{profile}.yaml"
    first = path.read_text().split("\n", 1)[0] if path.exists() else WRITTEN
    by_hand = not first.startswith((WRITTEN, WRITTEN_BEFORE))
    return folder / f"{profile}_tuned.yaml" if by_hand else path


def start(words: Sequence[str]) -> None:
    """Search, write the two tables of evidence and the table of rates, and print their paths."""
    asked = parse("tune", words)
    base, cells = compose_search(asked.grid("tune"))
    profile, results_dir = base.profile.name, cells[0].results_dir
    refuse_judged(cells)
    cells = fitting(cells)
    tables = results_dir / "tables"
    published = published_search(profile) / "tables"
    schedule = schedule_of(cells, searches_around=bool(Rules.of(experiment_of(base)).around))
    names = (f"search{schedule}.csv", f"picks{schedule}.csv")
    kept = {n: (tables if (tables / n).exists() else published) / n for n in {*names, "picks.csv"}}
    for path in filter(Path.exists, kept.values()):
        read_search(path)  # refuses what does not fit
    searches = Searches(base, cells, heads_in(kept["picks.csv"], base), picks_in(kept["picks.csv"]))
    searches.check()
    if not any(cell.settings.method.learning_rates for cell in cells):
        methods = ", ".join(dict.fromkeys(cell.method for cell in cells))
        raise InputError(
            f"method={methods}: trains nothing here and has no learning rate to search. Name a "
            "method that trains, or tasks under head=classify."
        )
    if base.plan_only:
        plan(searches)
        return
    check_writable(results_dir, value=str(base.results_root))
    path = rates_path_of(asked, profile, results_dir)
    searches.run()
    table, picked = searches.tables()
    whole = [evidence.merged(r, kept[n]) for n, r in zip(names, (table, picked), strict=True)]
    for name, rows in zip(names, whole, strict=True):
        atomic.write_text(tables / name, rows.to_csv(index=False))
    drawn: list[Path] = []
    if not schedule:
        varied = has_settings(picked["method"].iloc[0])  # variants have a figure of their own
        runs, picks = (table, picked) if varied else map(without_variants, whole)
        name = f"search_{base.experiment.name}" if varied else "search"
        drawings = figure.drawings(name, runs, picks, str(base.profile.title))
        drawn = figures.save(drawings, results_dir / "figures", base.figures.style)
    shipped = rates_path(profile, SHIPPED_TABLES)
    if not path.exists() and shipped.exists():  # keeps what is not searched now
        atomic.write_bytes(path, shipped.read_bytes())
    write_rates(picked, base.experiment.name, path, schedule)
    print(*(tables / name for name in names), *drawn, path.resolve(), sep="\n")


def rates_path_of(asked: Arguments, profile: str, results_dir: Path) -> Path:
    """Where the rates go. Raises InputError, before hours of a search, if they cannot go there."""
    folder = Path(asked.values.get("out", results_dir / "learning_rates"))
    if "out" in asked.values:
        check_writable(folder, "out")
    path = rates_path(rates_path(profile, SHIPPED_TABLES).stem, folder)
    rates_in(path)
    return path


def compose_search(overrides: Sequence[str]) -> tuple[DictConfig, list[Cell]]:
    """The base configuration and the cells of a search.

    If the experiment has no procedure, it says which variants are searched, each for itself. The
    protocol, seeds, head, tasks and numbers of the procedure are then those of the profile's own
    search.
    """
    with composer() as compose_one:
        named = [word for word in overrides if word.startswith(("experiment=", "profile="))]
        asked = compose_one(named)
        name = search_of(asked.profile.name)
        own = [word for word in named if word.startswith("profile=")]
        is_search = asked.experiment is None or "procedure" in asked.experiment
        rules = asked if is_search else compose_one([f"experiment={name}", *own])
    if is_search:
        return compose_cells(overrides)
    given = dict(word.partition("=")[::2] for word in overrides)
    if given.get("protocol", rules.protocol.name) != rules.protocol.name:
        raise _is_judged(given["protocol"])
    params = rules.hydra.sweeper.params
    kept = ("seed", "head") if "suite" in given else ("seed", "head", "task")
    ours = {
        "protocol": rules.protocol.name,
        **{key: str(params[key]) for key in kept if key in params},
        "trainer.eval_every_steps": "${trainer.max_steps}",
    }
    trainer: Any = OmegaConf.to_container(rules.trainer, resolve=False)
    curve_rows = trainer["curve_rows"]
    if isinstance(curve_rows, int):  # the search's own: its runs are then the main search's
        ours["trainer.curve_rows"] = str(curve_rows)
    added = [f"{key}={value}" for key, value in ours.items() if key not in given]
    base, cells = compose_cells([*overrides, *added])
    with open_dict(base):
        base.experiment.procedure = rules.experiment.procedure
    return base, cells


def fitting(cells: Sequence[Cell]) -> list[Cell]:
    """Those of `cells` whose method fits the backbone of their family; says which are left out.
    Raises InputError if there are none, and for any other bad input.
    """
    refused: dict[Key, DoesNotFitError] = {}
    first: dict[Key, Cell] = {}
    for cell in cells:
        first.setdefault(key_of(cell), cell)
    for key, cell in first.items():
        try:
            check_methods([cell])
        except DoesNotFitError as error:
            refused[key] = error
    kept = [cell for cell in cells if key_of(cell) not in refused]
    if not kept:
        raise next(iter(refused.values()))
    console = plain_console(stderr=True)
    for (family, method), why in refused.items():
        console.print(f"{method} in {family} is not searched: {why}", soft_wrap=True)
    return kept


def schedule_of(cells: Sequence[Cell], *, searches_around: bool) -> str:
    """The ending of the names of tables and families: empty, or that of rates without a decay.

    Rates without a decay are tried around the picks of the search. Raises InputError if the
    schedule and the search do not fit.
    """
    for cell in cells:
        if (cell.settings.trainer.schedule == "constant") != searches_around:
            schedule = cell.settings.trainer.schedule
            raise InputError(
                f"trainer.schedule={schedule}: is not the schedule of this search. Leave it out. "
                "Rates without a decay are searched by frod-bench tune experiment=tune_constant, "
                "after frod-bench tune."
            )
    return CONSTANT if searches_around else ""


def refuse_judged(cells: Sequence[Cell]) -> None:
    """Raise InputError for cells that measure on test, have a judged seed, or have rate factors."""
    for cell in cells:
        settings = cell.settings
        if settings.protocol.name != "tune" or settings.protocol.metrics_split != "validation":
            raise _is_judged(settings.protocol.name)
        if settings.seed < FIRST_SEED:
            raise InputError(
                f"seed={settings.seed}: results are judged on it. Learning rates are picked on "
                f"seeds from {FIRST_SEED} on, e.g. seed={FIRST_SEED}."
            )
        if changed := [name for name, by in settings.rate_factors.items() if by != 1]:
            raise InputError(
                f"rate_factors.{changed[0]}={settings.rate_factors[changed[0]]:g}: the search sets "
                "the rates itself. Leave rate_factors out."
            )


def _is_judged(protocol: str) -> InputError:
    return InputError(
        f"protocol={protocol}: learning rates are picked on validation alone. Leave protocol= out, "
        "and name a search, e.g. experiment=tune."
    )


def heads_in(path: Path, base: DictConfig) -> dict[str, int]:
    """Family -> grid step of the frozen backbone's best head rate.

    A step comes from the table of picks at `path`, or else from the profile's table of rates.
    """
    rates: Any = OmegaConf.to_container(base.learning_rates, resolve=False) or {}
    listed = {
        family: (of_family or {}).get(FROZEN.method, {}) for family, of_family in rates.items()
    }
    found = {
        family: step_of(of_frozen[HEAD])
        for family, of_frozen in listed.items()
        if of_frozen.get(HEAD)
    }
    if path.exists():
        picks = pd.read_csv(path)
        own = picks[picks["method"] == FROZEN.method].dropna(subset=["head_step"])
        found |= {f: int(s) for f, s in zip(own["family"], own["head_step"], strict=True)}
    return found


def picks_in(path: Path) -> dict[Key, Point]:
    """The picks of a table, if it is there, by family and method."""
    if not path.exists():
        return {}
    picks = pd.read_csv(path)
    keys = zip(picks["family"], picks["method"], strict=True)
    return dict(zip(keys, evidence.points_of(picks), strict=True))


def plan(searches: Searches) -> None:
    """Print how many runs the first stage of each search has; the next ones depend on these."""
    console = plain_console()
    total = 0
    for (family, method), cells in searches.cells.items():
        first = searches.first_points((family, method))
        total += first * len(cells)
        asked = f"{first} rates, {len(cells)} tasks and seeds" if first else "has no learning rate"
        console.print(f"{method} in {family}: {asked}")
    if searches.rules.around:
        console.print(f"{total} runs: the picks of the search, moved by steps of its grid.")
        return
    console.print(
        f"{total} runs in the first stage. About as many follow, for extensions of the grid, the "
        "head's rate (not for variants) and the rotation's rate. Which ones depends on the results."
    )
