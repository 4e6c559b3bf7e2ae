"""Keeps pretraining documents apart from the tasks' rows."""

from collections.abc import Iterable, Sequence

Words = tuple[str, ...]


class HeldOut:
    """The texts of task rows; tells which documents hold all texts of one of them.

    Texts are compared word by word, marks at their end left out.

    Args:
        rows: the texts of each row.
    """

    def __init__(self, rows: Iterable[Sequence[str]]) -> None:
        self.others: dict[Words, list[list[str]]] = {}  # a row's first text -> its other texts
        for first, *others in rows:
            key = tuple(_bare(first).split())
            self.others.setdefault(key, []).append([f" {_bare(other)} " for other in others])
        self.lengths = sorted({len(words) for words in self.others})

    def within(self, document: Sequence[str]) -> bool:
        """Whether every text of some row is a stretch of words in the document's texts."""
        padded = " ".join(f" {text} " for text in document)
        return any(
            all(other in padded for other in others)
            for text in document
            for stretch in self._stretches(text)
            for others in self.others.get(stretch, ())
        )

    def _stretches(self, text: str) -> Iterable[Words]:
        words = tuple(text.split())
        for length in self.lengths:
            for start in range(len(words) - length + 1):
                yield words[start : start + length]


def _bare(text: str) -> str:
    return text.rstrip(" .?!")
