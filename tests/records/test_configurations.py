"""Records whose configurations are known already: they are read as all of them would be."""

import json
from typing import Any

import pytest

from frod_bench.records import hashing, schema, store
from frod_bench.records.configurations import Configurations
from tests.report.factory import make_record

SEEDS = (3, 0, 12)


def text_of(record: Any, indent: int | None = None) -> str:
    return json.dumps(record, indent=indent, ensure_ascii=False)


def name_of(record: Any) -> str:
    return f"{record['cell']['seed']}-{record['cell']['config_hash']}.json"


@pytest.mark.parametrize("indent", [None, 2])
def test_records_are_what_they_are_by_themselves_and_share_their_configuration(
    indent: int | None,
) -> None:
    known = Configurations()
    records = [make_record(seed=seed) for seed in SEEDS]
    read = [store.parse(text_of(one, indent), name_of(one), known) for one in records]
    assert read == [store.parse(text_of(one, indent), name_of(one)) for one in records] == records
    first, *others = (one["config"] for one in read)
    for other in others:
        assert [key for key in other if other[key] is not first[key]] == ["seed"]


ODD: dict[str, Any] = {
    "a key in a text": {"note": 'a text with \\"config\\": {"seed": 3} in it'},
    "a node of that name": {"before": {"config": {"seed": 3}}},
    "a seed inside of a node": {"config": {"inner": {"seed": 3}, "seed": 3}},
    "a seed that is text": {"config": {"name": '"seed": 3,', "seed": 3}},
    "no number": {"config": {"seed": None}},
    "a number with a point": {"config": {"seed": 3.0}},
    "no seed": {"config": {"inner": {"seed": 3}}},
    "no object": {"config": [3]},
    "a text": {"config": "none"},
    "none": {},
}


@pytest.mark.parametrize("name", ODD)
def test_any_json_is_read_as_it_is(name: str) -> None:
    """After others that are alike, too."""
    known = Configurations()
    for value in (ODD[name], ODD["a seed inside of a node"], ODD[name]):
        text = text_of({"first": 1} | value | {"last": {"seed": 3}})
        found = known.record(text)
        assert found is None or found == json.loads(text)


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "{", "1,", "[1}", "01"])
@pytest.mark.parametrize("place", ["first", "config", "last"])
def test_what_is_not_json_is_refused_in_the_same_words(odd: str, place: str) -> None:
    known = Configurations()
    record: dict[str, Any] = {"first": 1, "config": {"x": 1, "seed": 3}, "last": 1}
    assert known.record(text_of(record)) == record
    if place == "config":
        record["config"]["x"] = "odd"
    else:
        record[place] = "odd"
    text = text_of(record).replace('"odd"', odd)
    with pytest.raises(schema.RecordError) as alone:
        store.parse(text, "3-0.json")
    with pytest.raises(schema.RecordError) as after_another:
        store.parse(text, "3-0.json", known)
    assert str(after_another.value) == str(alone.value)


def test_another_seed_needs_its_own_hash() -> None:
    known, record = Configurations(), make_record(seed=0)
    store.parse(text_of(record), name_of(record), known)
    record["config"]["seed"] = record["cell"]["seed"] = 1
    with pytest.raises(schema.RecordError, match="config_hash is"):
        store.parse(text_of(record), name_of(record), known)


def test_hashes_are_of_the_values_and_the_fingerprints() -> None:
    hashes, record = hashing.Hashes(), make_record()
    config = record["config"]
    for changed in (config, config | {"seed": 5}, config | {"pretrained": False}, config):
        for data in ("d", "e"):
            expected = hashing.config_hash(hashing.identity(changed, data, "b"))
            assert hashes.of(changed, data, "b") == expected
