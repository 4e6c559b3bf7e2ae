"""The card of a data set (its README.md), cut down to the configs that were copied.

`datasets` looks for the files of the first config of a card, whichever is asked for, so a card that
lists configs whose files were not copied makes the others unreadable.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml


def trim_card(path: Path, configs: Collection[str]) -> None:
    """Take all other configs out of a card's front matter; one that lists no other stays as it is.

    The card is one that `snapshot.data_patterns` has read.
    """
    parts = path.read_text(encoding="utf-8").split("---", 2)
    front: dict[str, Any] = yaml.safe_load(parts[1]) if len(parts) == 3 else {}
    kept = dict(front)
    for key in ("configs", "dataset_info"):
        if isinstance(front.get(key), list):
            kept[key] = [entry for entry in front[key] if entry.get("config_name") in configs]
    if kept != front:
        text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
        path.write_text(f"---\n{text}---{parts[2]}", encoding="utf-8")
