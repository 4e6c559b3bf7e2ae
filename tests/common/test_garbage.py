"""The collector rests where nothing has cycles, and is afterwards as it was."""

import gc

import pytest

from frod_bench.common.garbage import collector


@collector(runs=False)
def fail() -> None:
    assert not gc.isenabled()
    raise KeyError


def test_the_collector_is_afterwards_as_it_was() -> None:
    assert gc.isenabled()
    with collector(runs=False):
        with collector(runs=True):
            assert gc.isenabled()
            assert gc.get_freeze_count()  # what was there before is not walked through
        assert not gc.get_freeze_count()
        with collector(runs=False):
            assert not gc.isenabled()
        assert not gc.isenabled()
    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()
