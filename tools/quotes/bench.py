"""What the pages quote of `make bench`."""

import statistics

from tools.bench_tables import FEW, MANY, OWN_SHAPES, Row, document, rows_of
from tools.quotes.found import Quote, number

PAGE = "docs/explanation/method.md"
NOW, BEFORE = "AMD", "Intel"
WIDE = (768, 3072)  # out and in features of the layers that cost most


def whole(processor: str, method: str, tokens: int) -> Row:
    """A method's row at RoBERTa-base's shape."""
    return rows_of(processor, "roberta_base", tokens)[method]


def attaching(processor: str) -> list[float]:
    """Seconds of attaching, of our FRoD and of PEFT's."""
    return [whole(processor, method, FEW)["attach_sec"] for method in ("frod", "frod_peft")]


def over_the_floor(processor: str) -> list[str]:
    """A step of all layers over its floor, at few and at many tokens."""
    rows = document(processor)["models_over_the_floor"]
    found = {row["tokens"]: row["ratio"] for row in rows if row["shape"] == "roberta_base"}
    return [number(found[tokens], 2) for tokens in (FEW, MANY)]


def layers(*shapes: str, tokens: int | None = None, processor: str = NOW) -> list[Row]:
    """What was timed of single layers."""
    timed = document(processor)["layers"]
    return [one for one in timed if one["shape"] in shapes and tokens in (None, one["tokens"])]


def middle(layer: Row, what: str) -> float:
    """A layer's median over rounds, in milliseconds."""
    return 1000 * statistics.median(layer[what])


def widest() -> Row:
    """The layers of 3072 inputs at few tokens."""
    timed = layers("roberta_base", tokens=FEW)
    [wide] = [one for one in timed if (one["out_features"], one["in_features"]) == WIDE]
    return wide


def share_of_the_widest() -> float:
    """What the layers of 3072 inputs are of all layers' floor, in %."""
    timed = layers("roberta_base", tokens=FEW)
    all_of_them = sum(one["layers"] * middle(one, "floor_sec") for one in timed)
    return 100 * widest()["layers"] * middle(widest(), "floor_sec") / all_of_them


def rates(processor: str) -> list[str]:
    """Lowest and highest G multiply-adds a second of a plain product."""
    found = [one["rate"] / 1e9 for one in layers("roberta_base", processor=processor)]
    return [number(rate, 0) for rate in (min(found), max(found))]


def between(what: str) -> list[str]:
    """Lowest and highest milliseconds of the suite's own layers."""
    found = [middle(one, what) for one in layers(*OWN_SHAPES.values())]
    return [number(value) for value in (min(found), max(found))]


def to_full(processor: str) -> list[str]:
    """FRoD's step over full fine-tuning's, at few and at many tokens."""
    rows = (whole(processor, "frod", tokens) for tokens in (FEW, MANY))
    return [f"{row['step_ratio']['full']:#.3g}" for row in rows]


def rounds(processor: str) -> list[str]:
    """Least and most seconds of a step at few tokens, of full fine-tuning and of FRoD."""
    found = (whole(processor, method, FEW)["rounds_step_sec"] for method in ("full", "frod"))
    return [number(value, 2) for times in found for value in (min(times), max(times))]


def peak(method: str) -> float:
    """Peak memory at many tokens."""
    return float(whole(NOW, method, MANY)["peak_rss_bytes"])


QUOTES = [
    Quote(
        "docs/how-to/use_frod.md",
        "({} s for all 72 linear layers of RoBERTa-base's shape on two AMD cores, {} s from the "
        "cache)",
        lambda: [
            number(attaching(NOW)[0], 0),
            number(whole(NOW, "frod", FEW)["attach_cached_sec"]),
        ],
    ),
    Quote(
        PAGE,
        "attaching takes {} s. PEFT's operations in float32 with its solves take {} s: {} times as "
        "long.",
        lambda: [
            *(number(sec) for sec in attaching(NOW)),
            number(attaching(NOW)[1] / attaching(NOW)[0]),
        ],
    ),
    Quote(
        PAGE,
        "On two Intel cores ours took {} s and PEFT's {}",
        lambda: [number(sec) for sec in attaching(BEFORE)],
    ),
    Quote(
        PAGE,
        "Attaching then takes {} s",
        lambda: [number(whole(NOW, "frod", FEW)["attach_cached_sec"], 2)],
    ),
    Quote(
        PAGE,
        "(section 2): on the AMD cores {} at 512 tokens and {} at 4,096, where a step costs what "
        "its products cost, and an exact step needs them. On the Intel cores it was {} and {}.",
        lambda: [*over_the_floor(NOW), *over_the_floor(BEFORE)],
    ),
    Quote(
        PAGE,
        "A plain product is faster there, {} to {} G multiply-adds a second against {} to {} on "
        "the AMD cores",
        lambda: [*rates(BEFORE), *rates(NOW)],
    ),
    Quote(
        PAGE,
        "a layer 3072 -> 768 takes {} ms on the AMD cores at the speed of a plain product, where "
        "a plain layer takes {}. Together these layers are {} % of all.",
        lambda: [
            number(middle(widest(), "floor_sec"), 0),
            number(middle(widest(), "linear_sec"), 0),
            number(share_of_the_widest(), 0),
        ],
    ),
    Quote(
        PAGE,
        "a layer's step takes {} to {} ms on the AMD cores, and the products alone take {} to {}.",
        lambda: [*between("frod_sec"), *between("floor_sec")],
    ),
    Quote(
        PAGE,
        "The peak at 4,096 tokens is {} % below PEFT's FRoD, and {} of full fine-tuning's",
        lambda: [
            number(100 * (1 - peak("frod") / peak("frod_peft")), 0),
            number(peak("frod") / peak("full"), 3),
        ],
    ),
    Quote(
        PAGE,
        "FRoD's step is {} and {} times full fine-tuning's on the AMD cores, at 512 and at 4,096 "
        "tokens, and {} and {} times on the Intel cores.",
        lambda: [*to_full(NOW), *to_full(BEFORE)],
    ),
    Quote(
        PAGE,
        "full fine-tuning's from {} to {} s and FRoD's from {} to {} on the AMD cores, from {} "
        "to {} and from {} to {} on the Intel cores.",
        lambda: [*rounds(NOW), *rounds(BEFORE)],
    ),
]
