"""What a challenge will run, and about how long that takes, before anything runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from frod_bench.cells.cell import Cell
from frod_bench.challenge.reference import Reference
from frod_bench.common.names import with_head
from frod_bench.config.settings import RuntimeConfig
from frod_bench.sweep import allotment
from frod_bench.tuning.procedure import HEAD, Rules, has_rotation, main_group
from frod_bench.tuning.searches import Searches

# Points that extensions and the second look at the rate add: 0 to 9, and 3.5 on average, in the
# published searches of the embedded profile (results/reference/search).
USUALLY_MORE = 4
SHOWN_IN_SECONDS = 100  # below this


@dataclass(frozen=True)
class Stage:
    """One stage: the least runs that it takes, and the usual number, with their seconds."""

    name: str
    runs: tuple[int, int]
    seconds: tuple[float, float]  # on one worker

    def line(self, workers: int) -> str:
        """The stage for people."""
        runs = " to ".join(str(n) for n in dict.fromkeys(self.runs))
        return f"  {self.name}: {runs} runs, about {span(self.seconds[1] / workers)}"


@dataclass(frozen=True)
class Price:
    """All stages, with what their seconds are based on."""

    stages: Sequence[Stage]
    mean_seconds: float  # of a run of the others
    workers: int

    @property
    def lines(self) -> list[str]:
        """The price for people."""
        usual = sum(stage.seconds[1] for stage in self.stages) / self.workers
        workers = f"{self.workers} worker" + "s" * (self.workers > 1)
        return [
            *(stage.line(self.workers) for stage in self.stages),
            f"About {span(usual)} with {workers}, at the recorded seconds of the other methods' "
            f"runs ({self.mean_seconds:.1f} s each on average: setup, training, evaluation; the "
            "search evaluates once). A slower method, or machine, takes longer. Runs that have "
            "records are not run again.",
        ]

    def left(self, pace: float) -> str:
        """The time from the search on, if this machine takes `pace` times the recorded seconds."""
        usual = sum(stage.seconds[1] for stage in self.stages[1:]) / self.workers
        return (
            f"This machine took {pace:.1f} times the recorded seconds: about "
            f"{span(pace * usual)} from here."
        )


def price_of(
    reference: Reference,
    sample: Sequence[Cell],
    searches: Searches,
    judged: Sequence[Cell],
    runtime: RuntimeConfig,
) -> Price:
    """Count the runs of each stage, for as many workers as `runtime` gives."""
    known, searching = reference.seconds, reference.search_seconds

    def seconds(cells: Iterable[Cell], known: Mapping[str, float] = known) -> float:
        mean = mean_of(known)
        return sum(known.get(with_head(c.task, c.settings.head), mean) for c in cells)

    least = usual = 0
    least_seconds = usual_seconds = 0.0
    for cells in searches.cells.values():
        few, many = points(searches.rules, list(cells[0].settings.method.learning_rates))
        least, usual = least + few * len(cells), usual + many * len(cells)
        least_seconds += few * seconds(cells, searching)
        usual_seconds += many * seconds(cells, searching)
    again, own = seconds(sample), seconds(judged)
    stages = (
        Stage("verify", (len(sample),) * 2, (again, again)),
        Stage("search of learning rates", (least, usual), (least_seconds, usual_seconds)),
        Stage("judged seeds", (len(judged),) * 2, (own, own)),
    )
    workers = allotment.workers(runtime.jobs, runtime.device, runtime.threads)
    return Price(stages, mean_of(known), len(workers))


def mean_of(known: Mapping[str, float]) -> float:
    """The mean over tasks; 0 if nothing is known."""
    return fmean(known.values()) if known else 0.0


def points(rules: Rules, groups: Sequence[str]) -> tuple[int, int]:
    """The least number of points that the search of a method with these groups tries, and the
    usual one.
    """
    if not groups:
        return 0, 0
    least = rules.points
    if main_group(groups) is not None:
        least += (len(rules.head_steps) - 1) * (HEAD in groups)
        least += (len(rules.ratios) - 1) * has_rotation(groups)
    return least, least + USUALLY_MORE


def span(seconds: float) -> str:
    """A time for people."""
    if seconds < SHOWN_IN_SECONDS:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
