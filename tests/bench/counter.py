"""An object for another process, apart from the tests so that the process need not import torch."""


class Counter:
    """Counts from 10 // start on."""

    def __init__(self, start: int) -> None:
        self.value = 10 // start

    def add(self, number: int) -> int:
        """The count with `number` more."""
        self.value += number
        return self.value
