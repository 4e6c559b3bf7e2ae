"""Progress to Weights & Biases, without ever costing a cell.

All calls into wandb happen on one daemon thread that reads a queue. A wandb that is missing, fails
or hangs leaves a warning; the cell neither waits for it nor dies of it. The record is complete
without it.
"""

import logging
import netrc
import os
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

log = logging.getLogger(__name__)

FINISH_TIMEOUT_SEC = 30.0
WANDB_HOST = "api.wandb.ai"
Call = Callable[[Any], None]  # what is done with the wandb run


def logged_in() -> bool:
    """Whether a key for wandb is at hand (asks no network)."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators(WANDB_HOST) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class NullTracker:
    """Tracks nothing: `tracker=none`."""

    def log(self, point: Mapping[str, float]) -> None:
        """Take a point of the curve."""

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        """Take the final numbers."""

    def log_artifact(self, folder: Path, name: str, kind: str) -> None:
        """Take a folder of files."""


class WandbTracker(NullTracker):
    """One wandb run, fed from a queue."""

    broken = False  # whether one of this process's runs failed or hung: the next ones are not tried

    def __init__(self, mode: str | None, folder: Path, init: Mapping[str, Any]) -> None:
        mode = mode or os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
        folder.mkdir(parents=True, exist_ok=True)
        self._calls: queue.Queue[Call | None] = queue.Queue()
        arguments = {"mode": mode, "dir": str(folder), **init}
        self._thread = threading.Thread(target=self._work, args=(arguments,), daemon=True)
        self._thread.start()

    def log(self, point: Mapping[str, float]) -> None:
        values = {name: value for name, value in point.items() if name != "step"}
        self._calls.put(lambda run: run.log(values, step=int(point["step"])))

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        values = dict(summary)
        self._calls.put(lambda run: run.summary.update(values))
        self._calls.put(lambda run: run.finish(exit_code=exit_code))
        self._calls.put(None)
        self._thread.join(FINISH_TIMEOUT_SEC)
        if self._thread.is_alive():
            WandbTracker.broken = True
            log.warning("wandb did not finish within %g s; going on without", FINISH_TIMEOUT_SEC)

    def log_artifact(self, folder: Path, name: str, kind: str) -> None:
        def call(run: Any) -> None:
            import wandb

            artifact = wandb.Artifact(name, type=kind)
            artifact.add_dir(str(folder))
            run.log_artifact(artifact)

        self._calls.put(call)

    def _work(self, arguments: dict[str, Any]) -> None:
        try:
            import wandb

            settings = wandb.Settings(silent=True, console="off", init_timeout=20)
            run = wandb.init(settings=settings, reinit="create_new", **arguments)
            while (call := self._calls.get()) is not None:
                call(run)
        except Exception as error:  # a tracker's fault, whatever it is, is not the cell's
            WandbTracker.broken = True
            log.warning("wandb failed (%s: %s); going on without", type(error).__name__, error)


def start(config: Mapping[str, Any], folder: Path, name: str) -> NullTracker:
    """The tracker of one cell, as `config["tracker"]` says."""
    task, method = config["task"], config["method"]
    return _open(
        config["tracker"],
        folder,
        name=name,
        job_type="cell",
        group=task["name"],
        tags=[
            config["profile"]["name"],
            config["protocol"]["name"],
            task["family"],
            method["name"],
        ],
        config=dict(config),
    )


def log_report(config: DictConfig, results_dir: Path) -> None:
    """Keep an experiment's tables and figures as artifacts of a run of their own."""
    resolved: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    profile, experiment = resolved["profile"]["name"], resolved["experiment"]["name"]
    run = _open(
        resolved["tracker"],
        results_dir / "wandb",
        name=f"report/{experiment}",
        job_type="report",
        group="report",
        tags=[profile, resolved["protocol"]["name"]],
        config=resolved,
    )
    for kind in ("tables", "figures"):
        if (results_dir / kind).is_dir():
            run.log_artifact(results_dir / kind, f"{profile}-{experiment}-{kind}", kind)
    run.finish({})


def _open(settings: Mapping[str, Any], folder: Path, **init: Any) -> NullTracker:
    if settings["name"] == "none" or WandbTracker.broken:
        return NullTracker()
    try:
        return WandbTracker(settings["mode"], folder, {"project": settings["project"], **init})
    except OSError as error:
        log.warning("wandb has no folder to write to (%s); going on without", error)
        return NullTracker()
