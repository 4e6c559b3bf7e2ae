"""All stand-in data sets of the embedded mirror, by the Hub id and configuration they stand for."""

from collections.abc import Callable
from typing import Any

from frod_bench.embedded import images, nlu, reasoning

# seed -> split -> rows, each a dict of python values that fit the Hub's features
Generator = Callable[[int], dict[str, list[dict[str, Any]]]]

SETS: dict[tuple[str, str], Generator] = {**images.SETS, **nlu.SETS, **reasoning.SETS}
