"""What was measured at the start of each method, against the learning rate that was picked."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import permutation_test, rankdata, spearmanr

from frod_bench.cells.cell import Cell
from frod_bench.common.names import with_head
from frod_bench.report import picks

HEAD, ROTATION = "head", "rotation"  # groups whose rate is not searched first
FEWEST_POINTS = 4  # for a rank correlation
MOST_EXACT = 8  # points whose 40,320 orders are all counted
# quantity -> its name, and the sign of its correlation with the learning rate if it explains it
QUANTITIES = {
    "eigenvalue": ("largest eigenvalue", -1),
    "sign_rate": ("best rate of a sign step", 1),
}


def picks_of(cells: Sequence[Cell]) -> dict[tuple[str, str], float]:
    """Return (family, method) -> the picked rate that was searched first: of neither head nor
    rotation. From the search beside the records, or else the published one of the profile. Raises
    InputError as `picks.picks_of`.
    """
    first = cells[0]
    picked = picks.picks_of(first.results_dir, first.profile)
    if picked is None:
        return {}
    table = picked.set_index(["family", "method"])
    found = {}
    for cell in cells:
        key = with_head(cell.family, cell.settings.head), cell.variant
        groups = [g for g in cell.settings.method.learning_rates if g not in (HEAD, ROTATION)]
        if groups and key in table.index:
            found[key] = float(table.loc[key, f"lr_{groups[0]}"])
    return found


def pooled(found: pd.DataFrame, rates: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """Return one row per family, method and coordinates: geometric means over tasks and seeds of
    the measures, and the picked rate. A measure that is not positive in each cell is NaN, as is an
    eigenvalue that did not converge in one.
    """
    rows = []
    for key, of_key in converged(found).groupby(["family", "method", "coordinates"], sort=False):
        family, method, coordinates = key
        row = {"family": family, "method": method, "coordinates": coordinates}
        row |= {"cells": len(of_key)}
        for name in QUANTITIES:
            row[name] = float(
                np.exp(np.log(of_key[name].where(of_key[name] > 0)).mean(skipna=False))
            )
        rows.append(row | {"picked_rate": rates.get((str(family), str(method)), np.nan)})
    return pd.DataFrame(rows)


def converged(found: pd.DataFrame) -> pd.DataFrame:
    """The cells, without the eigenvalues that did not converge."""
    return found.assign(eigenvalue=found["eigenvalue"].where(found["is_sound"].astype(bool)))


def correlations(points: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's correlation of each measure with the picked rate, by family and coordinates
    and over all families; NaN for fewer than `FEWEST_POINTS` methods.
    """
    rows = []
    families = list(points["family"].unique())
    for coordinates, of_kind in points.groupby("coordinates", sort=False):
        for family in [*families, *(["all"] if len(families) > 1 else [])]:
            own = of_kind if family == "all" else of_kind[of_kind["family"] == family]
            for name, (_, sign) in QUANTITIES.items():
                pairs = own[[name, "picked_rate"]].dropna()
                enough = len(pairs) >= FEWEST_POINTS
                rho, p = (
                    rank_correlation(pairs[name], pairs["picked_rate"])
                    if enough
                    else (np.nan, np.nan)
                )
                row = {"coordinates": coordinates, "family": family, "quantity": name}
                row |= {"points": len(pairs), "spearman": rho, "p_value": p}
                rows.append(row | {"expected_sign": sign})
    return pd.DataFrame(rows)


def rank_correlation(values: pd.Series, rates: pd.Series) -> tuple[float, float]:
    """Return Spearman's correlation and its two-sided p-value.

    With few points the p-value is computed from all their orders, because the usual approximation
    calls four points in perfect order certain (p 0.00). Two of their 24 orders are as extreme, so
    the p-value is 0.08.
    """
    rho, p = spearmanr(values, rates)
    if len(values) <= MOST_EXACT and np.isfinite(rho):
        ranks = rankdata(rates) - (len(rates) + 1) / 2

        def product(orders: np.ndarray, axis: int) -> np.ndarray:  # monotone in the correlation
            return (orders * ranks).sum(axis=axis)

        known = rankdata(values) - (len(values) + 1) / 2
        p = permutation_test(
            (known,), product, permutation_type="pairings", n_resamples=10**6, vectorized=True
        ).pvalue
    return float(rho), float(p)
