"""Checks of `launcher`, the engine that runs a grid: each reads the keys of its own file alone, and
a key that would be ignored is refused.
"""

import dataclasses
import functools
import re
from typing import Any

import yaml
from omegaconf import DictConfig

from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.config.settings import ENGINES, LauncherConfig

LAST_PORT = 65_535
OF_THE_ENGINE = ("array", "wrap")  # options of sbatch by which it would start other jobs


def check_launcher(config: DictConfig) -> None:
    """Raise InputError for a key that another engine reads, and for values that do not fit."""
    launcher, device = config.launcher, config.runtime.device
    for field in dataclasses.fields(LauncherConfig):
        if field.name in keys_of(launcher.name) or launcher[field.name] == _default(field):
            continue
        engines = [name for name in ENGINES if field.name in keys_of(name)]
        raise InputError(
            f"launcher.{field.name}={launcher[field.name]}: is not read by "
            f"launcher={launcher.name}, but by launcher={' and launcher='.join(engines)}. Choose "
            "that one, or leave the key out."
        )
    if launcher.name == "local":
        return
    if device.startswith("cuda:"):
        raise InputError(
            f"runtime.device={device}: launcher={launcher.name} gives each worker its own GPU, "
            "which it sees as the only one. Set runtime.device=cuda."
        )
    if launcher.gpus and device == "cpu":
        raise InputError(
            f"launcher.gpus={launcher.gpus:g}: a run with runtime.device=cpu does not use a GPU. "
            "Leave launcher.gpus out, or set runtime.device=cuda."
        )
    if launcher.name == "ray":
        _check_address(launcher.address)
    else:
        _check_job(launcher)


@functools.cache
def keys_of(engine: str) -> frozenset[str]:
    """The keys that an engine reads: those of its file in `conf/launcher`."""
    text = (CONF_DIR / "launcher" / f"{engine}.yaml").read_text(encoding="utf-8")
    return frozenset(yaml.safe_load(text))


def _check_address(address: str | None) -> None:
    if address is None or address == "auto":
        return
    host, colon, port = address.rpartition(":")
    is_port = re.fullmatch(r"[0-9]{1,5}", port) is not None and 0 < int(port) <= LAST_PORT
    if not (re.fullmatch(r"[^\s/]+", host) and colon and is_port):
        raise InputError(
            f"launcher.address={address}: must be auto or HOST:PORT, or null for a cluster of the "
            "grid's own. Start the command on a machine of the cluster: ray:// is for others."
        )


def _check_job(launcher: DictConfig) -> None:
    if launcher.gpus not in (None, 0, 1):
        raise InputError(
            f"launcher.gpus={launcher.gpus:g}: a job of Slurm gets whole GPUs. Set 0 or 1; several "
            "runs share a GPU with launcher=ray."
        )
    for name, value in launcher.sbatch.items():
        _check_option(name, value)
    if 2 * launcher.notice_sec > 60 * launcher.job_minutes:
        raise InputError(
            f"launcher.notice_sec={launcher.notice_sec}: is more than half of "
            f"launcher.job_minutes={launcher.job_minutes}, so that jobs would do little else than "
            "stop. Set a shorter notice or longer jobs."
        )


def _check_option(name: str, value: Any) -> None:
    """Raise InputError unless an option is one line of a batch file."""
    word = f"launcher.sbatch.{name}={value}"
    if name and any(one.startswith(name) for one in OF_THE_ENGINE):  # sbatch takes short forms
        raise InputError(f"{word}: the engine sets it for each array of jobs. Leave it out.")
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise InputError(f"{word}: the name must be a long one of sbatch, e.g. partition.")
    if not isinstance(value, str | int | float) or not str(value).isprintable():
        raise InputError(
            f"{word!r}: must be text in one line, a number, or true for an option without a value."
        )


def _default(field: "dataclasses.Field[Any]") -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()
