"""What the command line of a comparison may say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from frod_bench.common.errors import InputError, did_you_mean

HEADS = ("classify", "rank")
PLOTS = ("figure", "terminal", "none")
SEEDS = (0, 1, 2)
PROFILE, PROTOCOL = "embedded", "fair"
_LISTS = ("task", "methods", "seeds", "folders")
_OF_ONE_FOLDER = ("results_root",)
SHARED_NAMES = {"method": "methods", "seed": "seeds", "folder": "folders", "out": "out_dir"}


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


def parse(overrides: Sequence[str]) -> CompareConfig:
    """Read `key=value` arguments. Raises InputError for what is unknown, missing or of no sense."""
    allowed = CompareConfig.__dataclass_fields__
    overrides = [_renamed(override) for override in overrides]
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals:
            raise InputError(f"{override!r} is no key=value, such as task=rte.")
        if key not in allowed:
            raise InputError(f"Unknown key {key!r}.{did_you_mean(key, _names(allowed))}")
    try:
        given = OmegaConf.from_dotlist([_listed(override) for override in overrides])
        merged = OmegaConf.merge(OmegaConf.structured(CompareConfig), given)
        config = cast(CompareConfig, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    except YAMLError as error:
        raise InputError(f"A value cannot be read: {' '.join(str(error).split())}") from error
    _check(config, {override.partition("=")[0] for override in overrides})
    return config


def _renamed(override: str) -> str:
    """The override under the field's name: commands share `method`, `seed`, `folder` and `out`."""
    key, equals, value = override.partition("=")
    return f"{SHARED_NAMES.get(key, key)}{equals}{value}"


def _names(fields: Iterable[str]) -> list[str]:
    """The keys as a user writes them."""
    shared = {field: name for name, field in SHARED_NAMES.items()}
    return [shared.get(field, field) for field in fields]


def _listed(override: str) -> str:
    """`methods=frod,lora` as `methods=[frod,lora]`."""
    key, _, value = override.partition("=")
    bare = key in _LISTS and not value.startswith("[") and value not in ("", "null")
    return f"{key}=[{value}]" if bare else override


def _check(config: CompareConfig, given: set[str]) -> None:
    for name, allowed in (("head", HEADS), ("plot", PLOTS)):
        value = getattr(config, name)
        if value not in allowed:
            raise InputError(f"{name}={value} is unknown.{did_you_mean(value, allowed)}")
    for name in _LISTS:
        if name in given and not getattr(config, name):
            raise InputError(f"{name} is empty; give at least one.")
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
