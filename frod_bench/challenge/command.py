"""`frod-bench challenge`: a user's method through the procedure and the seeds, beside the others.

The learning rates are searched as those of every method were, the judged seeds run at the picks,
and the report shows the runs next to the committed records of the other methods, which are not run
again. Records are the only state: after an interruption the same command resumes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from omegaconf import DictConfig
from rich.console import Console

from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import compose_cells
from frod_bench.challenge.price import Price, price_of
from frod_bench.challenge.reference import (
    Reference,
    read_reference,
    reference_in,
    seconds_of,
)
from frod_bench.cli.arguments import Arguments, parse
from frod_bench.cli.exits import exit_statuses
from frod_bench.common import atomic
from frod_bench.common.errors import CellsFailed, CellsRefused, InputError
from frod_bench.common.names import resolved
from frod_bench.common.paths import EXPERIMENTS_DIR, REFERENCE_DIR, check_writable, published_search
from frod_bench.common.terminal import plain_console
from frod_bench.config.settings import TrackerConfig
from frod_bench.jobs.run import check, check_methods, sweep
from frod_bench.records import sources, store
from frod_bench.report import figures, reproduction
from frod_bench.report.asked import MAIN, asked_cells, refuse_same
from frod_bench.report.build import write_collected
from frod_bench.report.challenger import judge_challenger, rules_for
from frod_bench.report.collect import collect_folder, collect_folders
from frod_bench.report.command import say
from frod_bench.report.names import label, method_named
from frod_bench.report.picks import PICKS_TABLE, picks_of
from frod_bench.report.reproduction import Reproduction
from frod_bench.report.rules import load_rules
from frod_bench.tuning import figure
from frod_bench.tuning.command import (
    FIRST_SEED,
    heads_in,
    refuse_judged,
    schedule_of,
    write_rates,
)
from frod_bench.tuning.searches import Searches, key_of

FURTHER = "all_methods"  # the experiment, and the folder of its published runs
OF_THE_SEARCH = "experiment.procedure."  # keys that only the search has
AGAINST = "against=RESULTS_ROOT/PROFILE"
SAME_PACE = 1.25  # a factor either way, within which seconds compare
FIXED = ("experiment", "protocol", "rate_factors")  # what the comparison itself sets


@dataclass(frozen=True)
class Challenge:
    """A method, the runs that it is judged on, and what it is compared with."""

    config: DictConfig  # of the judged runs
    cells: Sequence[Cell]  # the judged runs, at the learning rates of the method's own file
    searches: Searches
    reference: Reference
    further: Reference | None = None  # the published runs of methods beyond the main table
    own_search: Sequence[str] = ()  # settings of the search that are not those of the others'

    @property
    def name(self) -> str:
        """The method's name."""
        return self.cells[0].method

    @property
    def profile(self) -> str:
        """The profile of all runs."""
        return self.cells[0].profile

    @property
    def results_dir(self) -> Path:
        """Where the method's records are."""
        return self.cells[0].results_dir

    @property
    def references(self) -> list[Reference]:
        """The committed runs that it is shown beside."""
        return [self.reference, *([self.further] if self.further else [])]

    @property
    def out_dir(self) -> Path:
        """Where its report goes."""
        return self.results_dir / "challenge" / self.name

    @property
    def verify_root(self) -> Path:
        """Where the runs that verify this machine are, apart for each way to run them."""
        runtime = self.cells[0].settings.runtime
        how = f"{runtime.device.replace(':', '_')}_{runtime.threads}"
        return self.out_dir / "verify" / how

    @cached_property
    def sample(self) -> list[Cell]:
        """Committed runs to run again here, apart from all other runs, and not tracked.

        They get the device and the threads of the judged runs, because the pace must hold for the
        seconds of these.
        """
        own: dict[str, Any] = {
            "results_root": str(self.verify_root),
            "runtime": self.cells[0].settings.runtime,
            "tracker": TrackerConfig(name="none"),
        }
        return [
            replace(cell, settings=replace(cell.settings, **own))
            for cell in self.reference.sample()
        ]

    @cached_property
    def price(self) -> Price:
        """What all that costs."""
        runtime = self.config.runtime
        return price_of(self.reference, self.sample, self.searches, self.cells, runtime)


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses():
        run(words)


def run(words: Sequence[str]) -> None:
    """Run all stages. Raises CellsFailed or CellsRefused, after the report, if a run failed."""
    console = plain_console(stderr=True)
    console.print("planning")
    challenge = challenge_of(parse("challenge", words))
    show_plan(challenge, console)
    if challenge.config.plan_only:
        return
    verified = verify(challenge, console)
    console.print(f"search: learning rates of {challenge.name}, on validation")
    challenge.searches.run()
    written = write_search(challenge)
    cells = [at_its_pick(challenge.searches, cell) for cell in challenge.cells]
    console.print(f"judged seeds: {len(cells)} runs of {challenge.name} at the picked rates")
    failed: CellsFailed | CellsRefused | None = None
    try:
        sweep(challenge.config, cells)
    except (CellsFailed, CellsRefused) as error:
        failed = error
    write_comparison(challenge, cells, verified, console)
    print(*written, sep="\n")
    if failed is not None:
        raise failed


def challenge_of(asked: Arguments) -> Challenge:
    """Compose everything that the command line asks for, and check it; reads only.

    Raises InputError for bad input, and if the others have no records to compare with.
    """
    methods = [word for word in asked.overrides if word.startswith("method=")]
    if len(methods) != 1 or "," in methods[0]:
        raise InputError(
            "method: must be given once, as one method. Name its YAML, method=path/to/mine.yaml."
        )
    for word in asked.overrides:
        key = word.lstrip("+~").partition("=")[0]
        if key.partition(".")[0] in FIXED and not key.startswith(OF_THE_SEARCH):
            raise InputError(
                f"{word}: cannot be chosen, since all methods are compared by the same rules. "
                f"Leave it out. Of the search, {OF_THE_SEARCH}KEY=VALUE can be set."
            )
    judged = [word for word in asked.overrides if OF_THE_SEARCH not in word]
    config, cells = compose_cells([f"experiment={MAIN}", *judged])
    refuse_same(asked_cells(cells))
    heads = {(cell.task, cell.settings.head) for cell in cells}
    if len(heads) > len({task for task, _ in heads}):
        raise InputError(
            "head: gives a task two heads, and a challenge judges each task once. Name one, e.g. "
            "head=auto."
        )
    if high := [cell.seed for cell in cells if cell.seed >= FIRST_SEED]:
        raise InputError(
            f"seed={high[0]}: learning rates are picked on seeds from {FIRST_SEED} on, so nothing "
            f"is judged there. Name seeds below {FIRST_SEED}, e.g. seed=0,1,2."
        )
    name, profile = cells[0].method, cells[0].profile
    not_theirs = ("method", "plan_only", "tracker", "figures", "runtime", "launcher")
    of_others = [word for word in judged if not word.lstrip("+~").startswith(not_theirs)]
    _, others = compose_cells([f"experiment={MAIN}", *of_others])
    if name in {cell.method for cell in others}:
        raise InputError(
            f"{methods[0]}: is one of the methods that others are compared with. Name the YAML of "
            "another one, method=path/to/mine.yaml."
        )
    check_writable(cells[0].results_dir, value=str(config.results_root))
    against = Path(asked.values.get("against", REFERENCE_DIR / profile))
    reference = read_reference(resolved(against, "against"), others, of_others)
    theirs = {name, *(cell.method for cell in others)}
    further = None if "against" in asked.values else read_further(profile, theirs, of_others)
    own = f"tune_{profile}"
    search = own if (EXPERIMENTS_DIR / f"{own}.yaml").exists() else "tune"
    of_search = [word for word in asked.overrides if not word.startswith("seed=")]
    base, searched = compose_cells([f"experiment={search}", *of_search])
    keys = set(map(key_of, cells))
    searched = [cell for cell in searched if key_of(cell) in keys]
    if lost := sorted(family for family, _ in keys - set(map(key_of, searched))):
        raise InputError(
            f"experiment={search}: searches on no task of {', '.join(lost)}. Name tasks that it "
            "can search on, task=a,b."
        )
    picks = published_search(profile) / PICKS_TABLE
    searches = Searches(base, searched, heads_in(picks, base))
    refuse_judged(searched)
    schedule_of(searched, searches_around=False)
    searches.check()
    own_search = [word for word in asked.overrides if OF_THE_SEARCH in word]
    return Challenge(config, cells, searches, reference, further, own_search)


def read_further(profile: str, theirs: Collection[str], words: Sequence[str]) -> Reference | None:
    """The published runs of the methods that `theirs` leaves out, on the tasks and seeds that
    `words` ask for; None if there are none.
    """
    folder = (REFERENCE_DIR / FURTHER / profile).resolve()
    records, _ = sources.opened(folder).scan()
    methods = sorted({record["cell"]["method"] for record in records} - {*theirs})
    if not methods:
        return None
    _, cells = compose_cells([f"experiment={FURTHER}", *words, f"method={','.join(methods)}"])
    found = reference_in(folder, records, cells)
    return found if found.records else None


def show_plan(challenge: Challenge, console: Console) -> None:
    """Check that the method fits each backbone, and print what will run and for how long.

    Raises InputError if it does not fit.
    """
    check_methods(challenge.cells)
    of_family = {key_of(cell): cell for cell in reversed(challenge.cells)}
    for cell in of_family.values():
        console.print(check(cell), soft_wrap=True)
    seeds = ", ".join(map(str, sorted({cell.seed for cell in challenge.cells})))
    beside = " and ".join(
        f"{', '.join(found.methods)} of {found.folder}" for found in challenge.references
    )
    console.print(
        f"{challenge.name}: {len({c.task for c in challenge.cells})} tasks, seeds {seeds}, beside "
        f"{beside}",
        soft_wrap=True,
    )
    for line in (*missing_lines(challenge), *challenge.price.lines):
        console.print(line, soft_wrap=True)


def missing_lines(challenge: Challenge) -> list[str]:
    """What the comparison lacks, as warnings."""
    lines = chain.from_iterable(found.missing for found in challenge.references)
    lost = [f"No committed record: {line}." for line in lines]
    if challenge.own_search:
        lost.append(
            f"Learning rates of {challenge.name} were searched by other numbers than those of the "
            f"other methods ({', '.join(challenge.own_search)}): a search of more points picks "
            "better rates."
        )
    return lost


class Verified(NamedTuple):
    """How this machine compares with the one that the committed runs are from."""

    outcome: Reproduction
    pace: float | None  # its seconds over the recorded ones, of the same runs; None if unknown

    @property
    def seconds_compare(self) -> bool:
        """Whether the same runs take about the same seconds on both machines."""
        return self.pace is not None and 1 / SAME_PACE < self.pace < SAME_PACE

    def warnings(self, name: str) -> list[str]:
        """What a reader of the comparison must know of it."""
        found = []
        if not self.outcome.holds:
            found.append(
                "This machine does not reproduce the committed runs (tables/verify.csv): what "
                f"separates {name} from the other methods may be the machine. Run the others here "
                f"as well, frod-bench reproduce, and compare with these: {AGAINST}."
            )
        if self.pace is not None and not self.seconds_compare:
            found.append(
                f"This machine took {self.pace:.1f} times the recorded seconds of the committed "
                f"runs: seconds of {name} do not compare with those of the other methods."
            )
        return found


def verify(challenge: Challenge, console: Console) -> Verified:
    """Run some of the committed runs again, compare, and print the outcome."""
    cells, reference = challenge.sample, challenge.reference
    console.print(f"verify: does this machine reproduce {len(cells)} of the committed runs?")
    try:
        sweep(challenge.config, cells)
    except (CellsFailed, CellsRefused) as error:
        console.print(str(error))
    profile = challenge.profile
    ours, theirs = (
        reproduction.cells_table(collect_folder(folder, profile, asked))
        for folder, asked in (
            (challenge.verify_root / profile, asked_cells(cells)),
            (reference.folder, reference.asked(cells)),
        )
    )
    outcome = reproduction.compare(ours, theirs, reproduction.load_tolerance(profile))
    found = Verified(outcome, pace_of(cells, reference))
    lines = [*outcome.lines, *found.warnings(challenge.name)]
    if found.pace is not None:
        lines.append(challenge.price.left(found.pace))
    for line in lines:
        console.print(line, soft_wrap=True)
    return found


def pace_of(cells: Sequence[Cell], reference: Reference) -> float | None:
    """Seconds of the runs here over the recorded ones."""
    pairs = [
        (seconds_of(store.load(cell.record_path)), seconds_of(reference.records[cell]))
        for cell in cells
        if store.status_at(cell.record_path) == "ok"
    ]
    known = [(here, there) for here, there in pairs if here is not None and there is not None]
    if not known:
        return None
    here, there = map(sum, zip(*known, strict=True))
    return here / there


def at_its_pick(searches: Searches, cell: Cell) -> Cell:
    """A judged cell at the learning rates that its family's search picked."""
    picked = searches.picks.get(key_of(cell))
    return cell if picked is None else searches.at(cell, picked)


def write_search(challenge: Challenge) -> list[Path]:
    """Write the evidence of the search and the picked rates; returns the files."""
    tables, searches = challenge.out_dir / "tables", challenge.searches
    found, picked = searches.tables()
    atomic.write_text(tables / "search.csv", found.to_csv(index=False))
    atomic.write_text(tables / "picks.csv", picked.to_csv(index=False))
    paths = [tables / "search.csv", tables / "picks.csv"]
    if "rate_step" in found and found["rate_step"].notna().any():
        drawings = {"search": figure.drawing(found, picked, str(challenge.config.profile.title))}
        style = challenge.config.figures.style
        paths += figures.save(drawings, challenge.out_dir / "figures", style)
    if len(picked):
        path = challenge.out_dir / "learning_rates.yaml"
        write_rates(picked, searches.base.experiment.name, path)
        paths.append(path)
    return paths


def write_comparison(
    challenge: Challenge, cells: Sequence[Cell], verified: Verified, console: Console
) -> None:
    """Write and print tables, figures and page of the judged `cells` beside the committed runs."""
    console.print("writing the report")
    out_dir, config = challenge.out_dir, challenge.config
    checks = [(check.text, check.holds) for check in verified.outcome.checks]
    table = pd.DataFrame(checks, columns=["check", "holds"])
    atomic.write_text(out_dir / "tables" / "verify.csv", table.to_csv(index=False))
    asked = {found.folder: found.asked() for found in challenge.references}
    asked[challenge.results_dir] = [
        *asked.get(challenge.results_dir, []),
        *asked_cells(cells),
    ]
    collected = collect_folders(challenge.profile, asked)
    collected.others = []  # runs of the search, and committed runs of other tasks
    collected.warnings = [
        *verified.warnings(challenge.name),
        *missing_lines(challenge),
        *collected.warnings,
    ]
    method = method_named(challenge.name)
    seeds = sorted({cell.seed for cell in cells})
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    is_suite = set(tasks) == set(config.suite.tasks)
    judged_on = str(config.suite.name) if is_suite else ", ".join(tasks)
    rules = load_rules().of_profile(challenge.profile)
    rules = rules_for(method.method, rules, judged_on, seeds)
    title = f"{label(method)} · {config.profile.title}"
    written = write_collected(
        collected,
        challenge.profile,
        title,
        out_dir,
        rules=rules,
        judge=partial(judge_challenger, seconds_compare=verified.seconds_compare),
        figure_style=config.figures.style,
        picks=picks_of(out_dir, challenge.profile),
    )
    say(written, title, console)
