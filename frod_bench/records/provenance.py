"""Provenance of a result: the code and the packages that made it."""

import functools
import subprocess
from importlib.metadata import PackageNotFoundError, version

from frod_bench import __version__
from frod_bench.common.paths import PACKAGE_DIR

PACKAGES = (
    "accelerate", "datasets", "evaluate", "numpy", "peft", "safetensors", "scikit-learn", "scipy",
    "tokenizers", "torch", "torchvision", "transformers",
)  # fmt: skip


@functools.lru_cache
def code_version() -> tuple[str, bool | None]:
    """The version, with the commit in a clone, and whether the clone has changes (else None)."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit is None:
        return __version__, None
    changes = _git("status", "--porcelain", "--", "frod_bench", "conf", "experiments")
    return f"{__version__}+{commit}", bool(changes)


@functools.lru_cache
def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _git(*arguments: str) -> str | None:
    """Output of git in the clone that contains this package; None if there is none."""
    if not (PACKAGE_DIR.parent / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE_DIR.parent), *arguments],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
