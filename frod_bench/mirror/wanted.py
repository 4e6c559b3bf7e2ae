"""The repositories of the Hub that a suite needs under a profile."""

from collections.abc import Iterable, Sequence

from frod_bench.cells.grid import composer
from frod_bench.common.errors import InputError
from frod_bench.mirror.hub import Repository


def wanted_by(overrides: Sequence[str]) -> list[Repository]:
    """The data sets of a suite's tasks, then the backbones of their families, each once.

    Args:
        overrides: Hydra's; `profile=small` by default.

    Raises:
        InputError: the profile reads synthetic data, or two tasks need different revisions of one
            repository.
    """
    with composer() as compose_one:
        if not any(override.startswith("profile=") for override in overrides):
            overrides = ["profile=small", *overrides]
        config = compose_one(list(overrides))
        if config.profile.stand_in:
            raise InputError(
                f"profile={config.profile.name}: its data and backbones come with the suite, so "
                "there is nothing to copy. Name another profile, e.g. profile=small."
            )
        tasks = [compose_one([*overrides, f"task={name}"]).task for name in config.suite.tasks]
    backbones = [config.backbones[family] for family in dict.fromkeys(t.family for t in tasks)]
    return merged(
        [
            *(Repository("dataset", t.hub_id, t.revision, (t.hub_config,)) for t in tasks),
            *(Repository("model", b.hub_id, b.revision) for b in backbones),
        ]
    )


def merged(repositories: Iterable[Repository]) -> list[Repository]:
    """One repository per hub id, with all its configs. Raises InputError for two revisions."""
    found: dict[str, Repository] = {}
    for new in repositories:
        old = found.setdefault(new.hub_id, new)
        if (old.kind, old.revision) != (new.kind, new.revision):
            raise InputError(
                f"{new.hub_id}: is needed as {old.kind} at revision {old.revision} and as "
                f"{new.kind} at revision {new.revision}, but a mirror has one folder for it. Name "
                "one revision for both, or copy into two mirrors."
            )
        configs = tuple(sorted({*old.configs, *new.configs}))
        found[new.hub_id] = Repository(new.kind, new.hub_id, new.revision, configs)
    return list(found.values())
