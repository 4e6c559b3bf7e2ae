"""The peak of a cell is its own, and not what earlier cells of the process have freed."""

import os

import pytest
import torch

from frod_bench.training.memory import give_back_freed_memory, peak_rss_bytes, reset_peaks

MIB = 2**20
CPU = torch.device("cpu")


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="peaks cannot be reset here"
)
def test_what_earlier_cells_freed_does_not_count() -> None:
    reset_peaks(CPU)
    start = peak_rss_bytes()
    blocks = [torch.ones(MIB // 16) for _ in range(1024)]  # 256 KiB each
    assert peak_rss_bytes() > start + 200 * MIB
    kept = blocks[-1]  # at the top of the heap, so that the rest is not given back by itself
    del blocks
    give_back_freed_memory()
    reset_peaks(CPU)
    assert peak_rss_bytes() < start + 50 * MIB
    assert kept.sum() == kept.numel()
