"""What the command line of a comparison may say."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from frod_bench.cli import arguments
from frod_bench.common.errors import InputError

SEEDS = (0, 1, 2)
PROFILE, PROTOCOL = "embedded", "fair"
_OF_ONE_FOLDER = ("results_root",)


@dataclass
class CompareConfig:
    """The keys, as `key=value`. A list is written [a,b] or a,b."""

    task: list[str] | None = None  # two folders: None is every task, method and seed
    methods: list[str] | None = None  # the first one is compared with each other one
    seeds: list[int] | None = None
    folders: list[str] = field(default_factory=list)  # two of them, such as results/embedded
    across: bool = False  # compare folders of different profiles or protocols all the same
    profile: str | None = None
    protocol: str | None = None
    head: str = "classify"
    results_root: str = "results"  # of the one folder
    plot: str = "figure"  # terminal: the curves are printed, too
    out_dir: str | None = None  # for figures; None: figures/ beside the records

    @property
    def profile_or_default(self) -> str:
        """The profile of a comparison of methods."""
        return self.profile or PROFILE


def parse(words: Sequence[str]) -> CompareConfig:
    """Read `key=value` words. Raises InputError for what is unknown, missing or contradictory."""
    asked = arguments.parse("compare", words)
    given = asked.values
    config = CompareConfig(
        task=asked.names("task"),
        methods=asked.names("method"),
        seeds=asked.integers("seed"),
        folders=arguments.items(given["folder"]) if "folder" in given else [],
        across=given.get("across") == "true",
        profile=given.get("profile"),
        protocol=given.get("protocol"),
        head=given.get("head", "classify"),
        results_root=given.get("results_root", "results"),
        plot=given.get("plot", "figure"),
        out_dir=given.get("out"),
    )
    _check(config, set(given))
    return config


def _check(config: CompareConfig, given: set[str]) -> None:
    if config.folders:
        if len(config.folders) != 2:
            raise InputError(
                f"folder has {len(config.folders)} names; give two: "
                "folder=results/embedded,/theirs/results/embedded."
            )
        if wrong := [name for name in _OF_ONE_FOLDER if name in given]:
            raise InputError(f"{wrong[0]} says nothing where two folders are named; leave it out.")
    elif not (config.task and config.methods):
        raise InputError(
            "task and method must be given: task=rte method=frod,lora; or two folders: "
            "folder=results/embedded,/theirs/results/embedded."
        )
    elif config.across:
        raise InputError("across=true is for two folders; name them by folder=A,B.")
