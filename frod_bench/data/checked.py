"""A data set read by `datasets`, after a look at which files it would read.

`datasets` reads a card by itself, and takes the patterns in it for paths: an absolute one, on the
Hub too, is a file of this machine. What it made of them is known before any of them is opened.
"""

from collections.abc import Callable
from typing import Any

import datasets
from datasets import DatasetDict

from frod_bench.common.errors import InputError


def load_checked(
    path: str,
    name: str | None,
    is_own: Callable[[str], bool],
    verification: datasets.VerificationMode = datasets.VerificationMode.BASIC_CHECKS,
    **places: Any,
) -> DatasetDict:
    """As `datasets.load_dataset(path, name, **places)`.

    Args:
        is_own: whether a file, by the path that `datasets` has for it, is one of the data set's.

    Raises InputError if a card names another file; what `datasets` raises if it cannot be read.
    """
    # `datasets` from 4.0 runs no data set's own code, and its builder takes no trust_remote_code.
    builder = datasets.load_dataset_builder(path, name, **places)
    for split, files in (builder.config.data_files or {}).items():
        for file in map(str, files):
            if not is_own(file):
                raise InputError(
                    f"{path}: its card, or a .huggingface.yaml beside it, has {file} read for the "
                    f"split {split!r}, which is not in the data set's folder. Take that pattern "
                    "out: patterns must be relative to the folder, without .. and addresses."
                )
    builder.download_and_prepare(verification_mode=verification)
    loaded: DatasetDict = builder.as_dataset()
    return loaded
