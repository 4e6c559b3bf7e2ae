"""Configurations in the texts of records, each parsed once.

A record of a part is 6 kB of JSON, of which 4 kB are a configuration that thousands of records
have, but for the seed.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from frod_bench.records.hashing import Hashes

KEY = re.compile(r'"config":\s*')
SEED = re.compile(r'"seed":\s*(0|[1-9]\d{0,17})(?=\s*[,}])')


class Known(NamedTuple):
    """A configuration, and its text behind the number that is its seed."""

    config: Mapping[str, Any]
    after: str


class Configurations:
    """The configurations that were read so far, by their texts before the seed; their hashes."""

    def __init__(self) -> None:
        self.hashes = Hashes()
        self._known: dict[str, list[Known]] = {}

    def record(self, text: str) -> Any:
        """The JSON value in a record's text. Values of its configuration are objects that other
        records have, too, and must not be edited. None if its configuration cannot be told from the
        text around it: then all of it has to be parsed, which also says what is wrong with it.
        """
        key = KEY.search(text)
        if key is None:
            return None
        try:
            found = self._at(text, key.end()) or self._learned(text, key.end())
            return None if found is None else _parsed_around(text, key.end(), *found)
        except (ValueError, RecursionError):
            return None

    def _at(self, text: str, start: int) -> tuple[dict[str, Any], int] | None:
        """The known configuration that begins at `start`, and where it ends; None if there is none.

        One text of an object cannot begin another, so at most one is found.
        """
        for seed in SEED.finditer(text, start):
            for config, after in self._known.get(text[start : seed.start(1)], ()):
                if text.startswith(after, seed.end(1)):
                    return {**config, "seed": int(seed[1])}, seed.end(1) + len(after)
        return None

    def _learned(self, text: str, start: int) -> tuple[dict[str, Any], int] | None:
        """`_at` of a configuration that is not known yet; None if no number in it is its seed.

        Whether a number is the seed is seen by parsing the configuration with another number in its
        place. Raises ValueError if it is not JSON.
        """
        config, end = _DECODER.raw_decode(text, start)
        for seed in SEED.finditer(text, start, end) if isinstance(config, dict) else ():
            before, after, other = (
                text[start : seed.start(1)],
                text[seed.end(1) : end],
                int(seed[1]) + 1,
            )
            if _DECODER.decode(f"{before}{other}{after}") == {**config, "seed": other}:
                self._known.setdefault(before, []).append(Known(config, after))
                return config, end
        return None


def _parsed_around(text: str, start: int, config: object, end: int) -> Any:
    """The value of a text with `config` in the place of what is between `start` and `end`; None if
    that is not the value of `config` in the object. Raises ValueError if it is not JSON.

    What is put there is a constant that JSON does not have, so that the parser asks what it is.
    """
    asked: list[str] = []

    def value(name: str) -> object:
        asked.append(name)
        return config

    made = json.loads(f"{text[:start]}NaN{text[end:]}", parse_constant=value)
    is_alone = len(asked) == 1 and isinstance(made, dict) and made.get("config") is config
    return made if is_alone else None


def refuse_constant(name: str) -> Any:
    """What JSON parsers call for NaN and infinities. Raises ValueError."""
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=refuse_constant)
