"""A report of variants that each have their own learning rates pairs them with the first."""

from pathlib import Path

import pandas as pd

from frod_bench.report.build import write_report
from frod_bench.report.paired import MEAN
from tests.report.analyses.variants import variant

SHARES = {
    0.02: 0.70,
    0.005: 0.65,
    0.1: 0.75,
}  # the first is the one that the others are paired with


def test_variants_are_paired_with_the_first_if_each_has_its_own_rates(tmp_path: Path) -> None:
    cells = [
        variant(tmp_path, task, "frod", seed, {"method.sparse_rate": share}, value + 0.01 * seed)
        for task in ("rte", "dtd", "boolq")
        for share, value in SHARES.items()
        for seed in (0, 1)
    ]
    paired = tmp_path / "embedded" / "tables" / "paired.csv"
    write_report(tmp_path, "embedded", cells, "embedded", parts=["tables"])
    assert not paired.exists()  # at one variant's rates, a difference is not the variant's alone
    write_report(tmp_path, "embedded", cells, "embedded", parts=["tables"], own_rates=True)
    found = pd.read_csv(paired)
    means = found[(found["scope"] == "overall") & (found["quantity"] == MEAN)]
    differences = means.set_index("method")["mean"].round(6).to_dict()
    assert differences == {"frod (s 0.005)": 5.0, "frod (s 0.1)": -5.0}
    assert "FRoD (s 0.02)" in paired.with_suffix(".md").read_text()
