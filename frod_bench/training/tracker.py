"""Progress to Weights & Biases, which never costs a cell: all calls happen on one daemon thread. If
wandb is missing, fails or hangs there is a warning, and the record is complete.
"""

import functools
import logging
import math
import netrc
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from frod_bench.common.names import with_head

log = logging.getLogger(__name__)

UPLOAD_TIMEOUT_SEC = 25.0  # at the end of a run; what is not uploaded by then stays on the disk
FINISH_TIMEOUT_SEC = 30.0
STEP = "step"  # x axis of every chart that is not named after another axis
OTHER_AXES = ("epoch", "seconds")
PRIMARY = "primary_metric"  # the task's own, under one name, so that tasks share a chart
BY_EVERY_AXIS = (PRIMARY, "eval_loss")
# The name of no remote: the address of one can hold a token, and wandb would note it.
NO_REMOTE = "not noted"


class Rows(NamedTuple):
    """A table: column names, and rows of text, numbers and None."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]


Call = Callable[[Any], object]


class NullTracker:
    """Tracks nothing: `tracker=none`."""

    def log(self, point: Mapping[str, float]) -> None:
        """Log a point of the curve."""

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        """Log the final numbers, and end the run."""

    def send(self, call: Call) -> None:
        """Call `call` with the run of wandb's, if there is one."""


class WandbTracker(NullTracker):
    """One wandb run, fed from a queue; a report's has no `primary_metric`."""

    broken = False  # after a run of this process failed or hung, no other one is tried

    def __init__(
        self, mode: str | None, folder: Path, init: Mapping[str, Any], primary_metric: str | None
    ) -> None:
        self._primary_metric = primary_metric
        self._defined: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        self._calls: queue.Queue[Call | None] = queue.Queue()
        arguments = {"mode": mode_of(mode), "dir": str(folder), **init}
        self._thread = threading.Thread(target=self._work, args=(arguments,), daemon=True)
        self._thread.start()

    def send(self, call: Call) -> None:
        self._calls.put(call)

    def log(self, point: Mapping[str, float]) -> None:
        values = chart_values(point, self._primary_metric)

        def call(run: Any) -> None:
            for name in (name for name in values if name not in self._defined):
                define_chart(run, name)
            self._defined |= values.keys()
            run.log(values, step=int(point[STEP]))

        self.send(call)

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        values = dict(summary)
        self.send(lambda run: run.summary.update(values))
        self.send(methodcaller("finish", exit_code=exit_code))
        self._calls.put(None)
        self._thread.join(FINISH_TIMEOUT_SEC)
        if self._thread.is_alive():
            WandbTracker.broken = True
            log.warning("wandb did not finish within %g s; continuing without", FINISH_TIMEOUT_SEC)

    def _work(self, arguments: dict[str, Any]) -> None:
        # Keep what is to be uploaded later next to the run, not in the home folder.
        os.environ.setdefault("WANDB_DATA_DIR", arguments["dir"])
        try:
            import wandb

            settings = wandb.Settings(
                silent=True,
                console="off",
                init_timeout=20,
                finish_timeout=UPLOAD_TIMEOUT_SEC,  # also of runs that the end of a process ends
                finish_timeout_raises=True,
                git_remote=NO_REMOTE,
            )
            run = wandb.init(settings=settings, reinit="create_new", **arguments)
            while (call := self._calls.get()) is not None:
                call(run)
        except Exception as error:  # whatever fails in a tracker must not fail the cell
            WandbTracker.broken = True
            log.warning("wandb failed (%s: %s); continuing without", type(error).__name__, error)


def logged_in() -> bool:
    """Return whether this machine has a key for wandb; uses no network."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def mode_of(setting: str | None) -> str:
    """Return wandb's mode: as configured or in WANDB_MODE, otherwise online if logged in."""
    return setting or os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")


def uploads(config: Any) -> bool:
    """Return whether `config` (the key `tracker`) sends runs to wandb's server."""
    return config.name == "wandb" and mode_of(config.mode) == "online" and logged_in()


def chart_values(point: Mapping[str, float], primary_metric: str | None) -> dict[str, float]:
    """Return a point of the curve, its primary metric also under one name for all tasks, and what
    is measured on the held-out rows once more for each other axis (`by_seconds/eval_loss`).
    """
    values = dict(point)
    if primary_metric is not None and primary_metric in point:
        values[PRIMARY] = point[primary_metric]
    for name in BY_EVERY_AXIS:
        if name in values:
            values |= {f"by_{axis}/{name}": values[name] for axis in OTHER_AXES}
    return values


def define_chart(run: Any, name: str) -> None:
    """Tell wandb the x axis of a value, by its full name: an offline run does not expand globs."""
    if name in (STEP, *OTHER_AXES):
        run.define_metric(name, hidden=True)
    else:
        axis = next((axis for axis in OTHER_AXES if name.startswith(f"by_{axis}/")), STEP)
        run.define_metric(name, step_metric=axis)


def start(config: Mapping[str, Any], folder: Path, name: str) -> NullTracker:
    """Start tracking one cell, as `config["tracker"]` requests."""
    task, method = config["task"], config["method"]
    headed = with_head(task["name"], config.get("head", "classify"))
    return _open(
        config["tracker"],
        folder,
        primary_metric=task["primary_metric"],
        name=name,
        job_type="cell",
        group=f"{headed}/{method['name']}",  # the seeds of one line: wandb draws mean and range
        tags=[
            config["profile"]["name"],
            config["protocol"]["name"],
            task["family"],
            headed,
            method["name"],
            *_experiment(config),
        ],
        config=dict(config),
    )


def log_report(config: DictConfig, results_dir: Path, tables: Mapping[str, Rows]) -> None:
    """Log a report as one run: its `tables` as wandb tables, its files as artifacts."""
    resolved: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    profile, experiment = resolved["profile"]["name"], resolved["experiment"]["name"]
    run = _open(
        resolved["tracker"],
        results_dir / "wandb",
        name=f"report/{experiment}",
        job_type="report",
        group="report",
        tags=[profile, resolved["protocol"]["name"], *_experiment(resolved)],
        config=resolved,
    )
    for name, table in tables.items():
        run.send(functools.partial(_log_table, name=name, table=table))
    for kind in ("tables", "figures"):
        if (folder := results_dir / kind).is_dir():
            name = f"{profile}-{experiment}-{kind}"
            run.send(methodcaller("log_artifact", str(folder), name=name, type=kind))
    run.finish({})


def _experiment(config: Mapping[str, Any]) -> list[str]:
    return [config["experiment"]["name"]] if config.get("experiment") else []


def _log_table(run: Any, name: str, table: Rows) -> None:
    import wandb

    rows = [  # JSON cannot express NaN and infinities
        [None if isinstance(one, float) and not math.isfinite(one) else one for one in row]
        for row in table.rows
    ]
    columns: list[str | int] = list(table.columns)
    run.log({name: wandb.Table(columns=columns, data=rows, allow_mixed_types=True)})


def _open(
    settings: Mapping[str, Any], folder: Path, primary_metric: str | None = None, **init: Any
) -> NullTracker:
    if settings["name"] == "none" or WandbTracker.broken:
        return NullTracker()
    try:
        init = {"project": settings["project"], **init}
        return WandbTracker(settings["mode"], folder, init, primary_metric)
    except OSError as error:
        log.warning("wandb cannot write to %s (%s); continuing without", folder, error)
        return NullTracker()
