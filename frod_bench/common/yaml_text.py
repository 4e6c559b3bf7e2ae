"""YAML from elsewhere, measured before it is loaded: a few lines of aliases can stand for billions
of values, and a deep nesting overflows the stack of its parser.
"""

from pathlib import Path

import yaml

MOST_BYTES = 4 * 1024**2
MOST_VALUES = 100_000  # with every alias written out
DEEPEST = 50


class OddYamlError(ValueError):
    """A YAML that nobody writes by hand, and that takes too much to read."""


def read_text(path: Path) -> str:
    """The text of a file. Raises OddYamlError if it is too large, UnicodeDecodeError, OSError."""
    if (size := path.stat().st_size) > MOST_BYTES:
        raise OddYamlError(f"it has {size:,} bytes, more than {MOST_BYTES:,}")
    return path.read_text(encoding="utf-8-sig")


def check_yaml(text: str) -> None:
    """Raise OddYamlError for too many or too deeply nested values, and for an alias within what it
    names; yaml.YAMLError if the text is not YAML. Builds no value.
    """
    sizes: dict[str, int] = {}  # anchor -> values in what it names
    opened: list[tuple[str | None, int]] = []  # anchor and values before, of what is not closed yet
    count = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = count - before
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in {anchor for anchor, _ in opened}:
                raise OddYamlError(f"*{event.anchor} is within what it names")
            count += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if count > MOST_VALUES:
            raise OddYamlError(f"it has more than {MOST_VALUES:,} values, its aliases written out")
        if len(opened) > DEEPEST:
            raise OddYamlError(f"its values are nested more than {DEEPEST} deep")
