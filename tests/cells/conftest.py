"""Shared by the tests of cells."""

from typing import Any

import pytest
from omegaconf import DictConfig

from frod_bench.cells import compose as compose_module


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The overrides that Hydra composes, as they come; nothing is known from earlier tests."""
    compose_module.parts_of.cache_clear()
    asked: list[list[str]] = []
    ours = compose_module.compose

    def counting(name: str, overrides: list[str], **options: Any) -> DictConfig:
        asked.append(overrides)
        return ours(name, overrides, **options)

    monkeypatch.setattr(compose_module, "compose", counting)
    return asked
