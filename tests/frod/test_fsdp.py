"""FSDP2: `fully_shard` by block and by layer on two processes, over gloo on the CPU."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing

from frod_bench.frod import adapter_probes, attach_frod, frod_parameters, load_frod

from .sharded import CONFIG, LABELS, X, loaded_from, train, train_in_both_types, wide_net

PARTS = (slice(0, 24), slice(24, 48))  # micro-batches of each process
pytestmark = pytest.mark.skipif(not distributed.is_available(), reason="torch has no distributed")


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(("by", "decay"), [("block", "start"), ("layer", "zero")])
def test_a_sharded_model_trains_saves_and_merges_as_one_process_does(
    tmp_path: Path, by: str, decay: str
) -> None:
    """With accumulated gradients, on half of the rows each."""
    multiprocessing.spawn(train_in_both_types, args=(2, tmp_path, by, decay), nprocs=2)
    both: dict[str, Any] = torch.load(tmp_path / "found.pt")
    assert both["float32"]["is_sharded"]
    check_bfloat16(both["bfloat16"])
    found = both["float32"]
    model = attach_frod(wide_net(), CONFIG, use_cache=False)
    assert torch.equal(found["start"], wide_net()(X))
    # each process takes every other row: its micro-batches are halves of these
    halves = [torch.cat([X[rank::2][part] for rank in range(2)]) for part in PARTS]
    labels = [torch.cat([LABELS[rank::2][part] for rank in range(2)]) for part in PARTS]
    train(model, torch.cat(halves), torch.cat(labels), decay=decay)
    wanted = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    for name, value in found["trained"].items():
        if name in wanted:
            torch.testing.assert_close(value, wanted[name], rtol=0, atol=1e-5, msg=name)
    assert {name for name in wanted if "head" not in name} <= set(found["trained"])
    alone, merged = loaded_from(found["trained"], tmp_path / "adapter")
    again = load_frod(wide_net(), tmp_path / "adapter")
    for one in (alone, merged, again):
        torch.testing.assert_close(one(X), found["outputs"], rtol=0, atol=1e-5)
    probes = adapter_probes(alone)
    assert set(found["probes"]) == set(probes)
    assert all(torch.equal(value, probes[name]) for name, value in found["probes"].items())
    for name, one in both.items():
        loaded = load_frod(wide_net(), tmp_path / name)  # what the sharded model saved
        for trained in (p for group in frod_parameters(loaded).values() for p in group):
            assert any(torch.equal(trained, value) for value in one["trained"].values())
        check_refusals(one["refusals"], by)


def check_refusals(refusals: dict[str, str], by: str) -> None:
    """What was merged would be undone by FSDP2; removed layers take what gathers W with them."""
    assert "merge_frod: the adapted layers are sharded" in refusals["merge_frod"]
    assert "save_frod" in refusals["merge_frod"]
    if by == "layer":
        assert "unmerge_frod: the adapted layers are sharded" in refusals["unmerge_frod"]
    else:
        assert not refusals["unmerge_frod"]


def check_bfloat16(found: dict[str, Any]) -> None:
    """delta is an exact 0 in every type; lambda itself would be rounded by 0.4 %."""
    assert found["is_sharded"]
    plain = wide_net().to(torch.bfloat16)
    assert torch.equal(found["start"], plain(X.bfloat16()).float())
    assert all(p.dtype == torch.float32 for p in found["trained"].values())
    model = attach_frod(wide_net(), CONFIG, use_cache=False)
    losses = train(model, X[0::2], LABELS[0::2])
    # the first micro-batch is before any step
    assert found["losses"][0] == pytest.approx(losses[0], rel=1e-2)
    assert found["losses"][-1] < found["losses"][0]
