"""The rendered sets: sizes, balance, disjoint splits, label noise, and no leak by colour."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from frod_bench.embedded.images import LABEL_NOISE, ROWS, SETS, noisy_labels
from frod_bench.embedded.images.colours import SIZE

ALL = sorted(SETS)
FEW_ROWS = {"train": 320, "test": 120}
FEWER_ROWS = {"train": 40, "test": 20}  # for tests that draw a set several times


@pytest.fixture(scope="module")
def sets() -> dict:
    """Every set, with fewer rows than the mirror has: none of these tests needs more."""
    with pytest.MonkeyPatch.context() as patch:
        for split, rows in FEW_ROWS.items():
            patch.setitem(ROWS, split, rows)
        return {key: SETS[key](0) for key in ALL}


@pytest.mark.parametrize("key", ALL)
def test_sizes_and_modes_are_the_hubs(sets: dict, key: tuple[str, str]) -> None:
    grey = key[0] == "ylecun/mnist"
    assert {split: len(rows) for split, rows in sets[key].items()} == FEW_ROWS
    seen = {(row["image"].mode, row["image"].size) for rows in sets[key].values() for row in rows}
    assert seen == {("L", (28, 28)) if grey else ("RGB", (SIZE, SIZE))}


@pytest.mark.parametrize("key", ALL)
def test_no_picture_is_repeated(sets: dict, key: tuple[str, str]) -> None:
    pictures = [row["image"].tobytes() for rows in sets[key].values() for row in rows]
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("key", ALL)
def test_both_splits_show_the_same_classes_about_equally(sets: dict, key: tuple[str, str]) -> None:
    counts = {
        split: np.unique([row["label"] for row in rows], return_counts=True)
        for split, rows in sets[key].items()
    }
    train, test = (set(labels.tolist()) for labels, _ in counts.values())
    assert train == test
    assert len(train) >= 10
    for _, count in counts.values():
        assert count.max() / count.sum() < 0.2


@pytest.mark.parametrize("key", ALL)
def test_the_seed_decides_everything(key: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for split, rows in FEWER_ROWS.items():
        monkeypatch.setitem(ROWS, split, rows)

    def content(rows_of: dict) -> list[tuple[int, bytes]]:
        return [(row["label"], row["image"].tobytes()) for rows in rows_of.values() for row in rows]

    first, again, other = (content(SETS[key](seed)) for seed in (0, 0, 1))
    assert len(first) == sum(FEWER_ROWS.values())
    assert again == first
    assert not {picture for _, picture in first} & {picture for _, picture in other}


def test_label_noise_is_as_declared() -> None:
    names = [str(index % 10) for index in range(20_000)]
    labels = noisy_labels(np.random.default_rng(0), "ylecun/mnist", "mnist", names)
    wrong = np.mean([label != int(name) for label, name in zip(labels, names, strict=True)])
    assert wrong == pytest.approx(LABEL_NOISE, abs=0.005)


@pytest.mark.parametrize("key", ALL)
def test_average_colour_does_not_solve_it(sets: dict, key: tuple[str, str]) -> None:
    """A probe on the mean and spread of the channels must leave most of the task."""

    def colours(rows: list[dict]) -> np.ndarray:
        pixels = np.stack([np.asarray(row["image"].convert("RGB")) for row in rows]) / 255
        return np.hstack([pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))])

    train, test = sets[key]["train"], sets[key]["test"]
    probe = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        colours(train), [row["label"] for row in train]
    )
    assert probe.score(colours(test), [row["label"] for row in test]) < 0.65
