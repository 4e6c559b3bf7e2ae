"""What the command line of a comparison may say."""

from collections.abc import Sequence
from dataclasses import dataclass

from frod_bench.cli import arguments
from frod_bench.common.errors import InputError

SEEDS = (0, 1, 2)
PROFILE, PROTOCOL = "embedded", "fair"


@dataclass(frozen=True)
class CompareConfig:
    """The keys; None is any of two folders, and the default of one."""

    task: list[str] | None
    methods: list[str] | None  # the first one is compared with each other one
    seeds: list[int] | None
    folders: list[str]  # two or none
    across: bool
    profile: str | None
    protocol: str | None
    head: str
    results_root: str
    plot: str
    out_dir: str | None


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
    if config.folders:
        if len(config.folders) != 2:
            raise InputError(
                f"folder has {len(config.folders)} names; give two: "
                "folder=results/embedded,/theirs/results/embedded."
            )
        if "results_root" in given:
            raise InputError("results_root says nothing where two folders are named; leave it out.")
    elif not (config.task and config.methods):
        raise InputError(
            "task and method must be given: task=rte method=frod,lora; or two folders: "
            "folder=results/embedded,/theirs/results/embedded."
        )
    elif config.across:
        raise InputError("across=true is for two folders; name them by folder=A,B.")
    return config
