"""The reasoning stand-ins: schema, splits, labels, and that no cheap probe solves them."""

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import pytest
from datasets import Dataset
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from frod_bench.data.hub_schema import features_of, splits_of
from frod_bench.embedded.reasoning import SETS
from frod_bench.embedded.reasoning.daily import physical
from frod_bench.embedded.reasoning.quiz import LABEL_NOISE, RELATIONS, Quiz, Row, draw
from frod_bench.embedded.reasoning.science import CHALLENGE_QUESTIONS, EASY_QUESTIONS, challenge
from tools.pretrain_embedded import decoder_corpus
from tools.pretrain_embedded.disjoint import HeldOut

LABELS = ("answerKey", "label", "answer")
KEYS = sorted(SETS)


@cache
def rows_of(key: tuple[str, str]) -> dict[str, list[Row]]:
    return SETS[key](0)


def label_of(row: Row) -> str:
    return str(next(row[column] for column in LABELS if column in row))


def text_of(row: Row) -> str:
    """Everything in the row that a model may read."""
    hidden = {*LABELS, "id", "ind", "source_id", "split", "split_type"}
    return "\n".join(str(value) for column, value in sorted(row.items()) if column not in hidden)


@pytest.mark.parametrize("key", KEYS)
def test_rows_fit_the_schema_of_the_hub(key: tuple[str, str]) -> None:
    splits = rows_of(key)
    assert set(splits) == set(splits_of(*key))
    for rows in splits.values():
        features = features_of(*key)
        assert set(rows[0]) == set(features)
        assert Dataset.from_list(rows, features=features).num_rows == len(rows)


@pytest.mark.parametrize("key", KEYS)
def test_sizes(key: tuple[str, str]) -> None:
    sizes = {split: len(rows) for split, rows in rows_of(key).items()}
    assert sizes.pop("train") == 1_200
    assert set(sizes.values()) == {500}


@pytest.mark.parametrize("key", KEYS)
def test_rows_depend_on_the_seed_alone(key: tuple[str, str]) -> None:
    assert SETS[key](0) == rows_of(key)
    assert SETS[key](1) != rows_of(key)


@pytest.mark.parametrize("key", KEYS)
def test_no_text_occurs_twice(key: tuple[str, str]) -> None:
    texts = [text_of(row) for rows in rows_of(key).values() for row in rows]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("key", KEYS)
def test_no_question_is_read_in_pretraining(key: tuple[str, str]) -> None:
    asked = {asked_of(row) for rows in rows_of(key).values() for row in rows}
    held_out = HeldOut(asked)
    assert not [text for text in pretraining_texts() if held_out.within([text])]


def test_a_question_read_in_pretraining_would_be_found() -> None:
    asked = asked_of(rows_of(("allenai/ai2_arc", "ARC-Challenge"))["train"][0])
    document = words_of(f"question: {asked[0]}?\nA: bee\nanswer: A")
    assert HeldOut([asked]).within([document])


def asked_of(row: Row) -> tuple[str, ...]:
    """What the row asks, without its options; piqa's goal is a phrase, so its ways go too."""
    columns = ("passage", "ctx", "sentence", "question_stem", "question", "context", "goal")
    return tuple(words_of(str(row[name])) for name in (*columns, "sol1", "sol2") if name in row)


def words_of(text: str) -> str:
    """The text without case and marks."""
    return " ".join(re.findall(r"[a-z0-9_]+", text.lower()))


@cache
def pretraining_texts() -> list[str]:
    """The first documents that the shipped decoder's seed draws."""
    rng = Random("decoder 0")
    return [words_of(decoder_corpus.text_of(one)) for one in decoder_corpus.documents(rng, 12_000)]


@pytest.mark.parametrize("key", KEYS)
def test_labels_are_balanced_over_places(key: tuple[str, str]) -> None:
    for rows in rows_of(key).values():
        counts = Counter(label_of(row) for row in rows if label_of(row) not in {"E", "5"})
        assert max(counts.values()) < 0.65 * len(rows)


def question_of(row: Row) -> tuple[str, ...]:
    """What the row asks, as it is written, without its options."""
    columns = ("passage", "ctx", "sentence", "question_stem", "question", "context", "goal")
    return tuple(str(row[name]) for name in columns if name in row)


def options_of(row: Row) -> list[str]:
    """What a row offers; of boolq its two answers."""
    if "choices" in row:
        return list(row["choices"]["text"])
    if "endings" in row:
        return list(row["endings"])
    named = ("sol1", "sol2"), ("option1", "option2"), ("answerA", "answerB", "answerC")
    found = [[str(row[name]) for name in names] for names in named if names[0] in row]
    return found[0] if found else ["no", "yes"]


def place_of(row: Row) -> int:
    """The place of the right option, from 0."""
    label = label_of(row)
    if "choices" in row:
        return int(row["choices"]["label"].index(label))
    first = 1 if {"option1", "answerA"} & set(row) else 0
    return {"False": 0, "True": 1}[label] if label in {"False", "True"} else int(label) - first


def accuracy_of_probe(
    splits: dict[str, list[Row]], words: Callable[[Row, str], list[str]]
) -> tuple[float, float]:
    """The test score of a linear probe of what `words` says of a row's options, and chance."""
    counts = CountVectorizer(analyzer=lambda given: words(*given))
    train, test = splits["train"], splits.get("test", splits["validation"])
    given = [(row, option) for row in train for option in options_of(row)]
    is_right = [n == place_of(row) for row in train for n in range(len(options_of(row)))]
    probe = LogisticRegression(max_iter=200, C=0.3).fit(counts.fit_transform(given), is_right)
    right = 0
    for row in test:
        own = counts.transform((row, option) for option in options_of(row))
        right += int(probe.decision_function(own).argmax()) == place_of(row)
    chance = sum(1 / len(options_of(row)) for row in test) / len(test)
    return right / len(test), chance


def own_words(_row: Row, option: str) -> list[str]:
    return option.lower().split()


def shared_words(row: Row, option: str) -> list[str]:
    """The option's words, and how many of them the question has."""
    asked, own = words_of(" ".join(question_of(row))).split(), words_of(option).split()
    return [*own_words(row, option), f"shared {len(set(asked) & set(own))}"]


CHOICES = [key for key in KEYS if key[0] != "google/boolq"]


@pytest.mark.parametrize("key", CHOICES)
def test_options_alone_do_not_solve_it(key: tuple[str, str]) -> None:
    score, chance = accuracy_of_probe(rows_of(key), own_words)
    assert score < chance + 0.12


@pytest.mark.parametrize("key", CHOICES)
def test_words_that_an_option_shares_with_its_question_do_not_solve_it(
    key: tuple[str, str],
) -> None:
    """But for hellaswag, where they give a little more than the frozen backbone's probe has."""
    score, chance = accuracy_of_probe(rows_of(key), shared_words)
    assert score < chance + (0.36 if key[0] == "Rowan/hellaswag" else 0.12)


def test_a_probe_finds_an_option_that_gives_itself_away() -> None:
    splits = {
        split: [
            {**row, "sol1": "a zzz" if place_of(row) == 0 else "a", "sol2": "b"} for row in rows
        ]
        for split, rows in rows_of(("baber/piqa", "default")).items()
    }
    score, chance = accuracy_of_probe(splits, own_words)
    assert score > chance + 0.4


def test_a_bag_of_words_does_not_solve_boolq() -> None:
    splits = rows_of(("google/boolq", "default"))
    test = splits["validation"]
    counts = CountVectorizer(token_pattern=r"\S+")
    probe = LogisticRegression(max_iter=100, C=0.3)
    train = counts.fit_transform(text_of(row) for row in splits["train"])
    probe.fit(train, [label_of(row) for row in splits["train"]])
    score = probe.score(
        counts.transform(text_of(row) for row in test), [label_of(row) for row in test]
    )
    majority = Counter(label_of(row) for row in test).most_common(1)[0][1] / len(test)
    assert score < majority + 0.08


SHARES = {  # of test rows whose question is in train with the same right answer, as docs say
    "piqa": ("baber/piqa", "default"),
    "openbookqa": ("allenai/openbookqa", "main"),
    "hellaswag": ("Rowan/hellaswag", "default"),
    "arc_easy": ("allenai/ai2_arc", "ARC-Easy"),
    "arc_challenge": ("allenai/ai2_arc", "ARC-Challenge"),
}


def test_questions_return_with_other_options_as_often_as_the_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs/explanation/embedded.md").read_text()
    asked = {key: asked_with_answer(key) for key in KEYS}
    found = {
        key: sum(one in train for one in test) / len(test) for key, (train, test) in asked.items()
    }
    for task, key in SHARES.items():
        assert f"{task} {100 * found.pop(key):.0f} %" in page
    assert max(found.values()) < 0.025


def asked_with_answer(key: tuple[str, str]) -> tuple[set[object], list[object]]:
    """Question and right option of the rows of train, and of those of test."""
    splits = rows_of(key)
    train, test = (
        [(*question_of(row), options_of(row)[place_of(row)]) for row in splits[split]]
        for split in ("train", "test" if "test" in splits else "validation")
    )
    return set(train), test


def test_label_noise_is_what_is_stated() -> None:
    answers: list[bool] = []

    def always_first(rng: Random) -> Quiz:
        return Quiz(str(rng.random()), ("a", "b", "c"), 0)

    def row(item: Quiz, split: str, number: int) -> Row:
        answers.append(item.answer == 0)
        return {}

    draw("noise", always_first, row, 0)
    assert 1 - sum(answers) / len(answers) == pytest.approx(LABEL_NOISE, abs=0.012)


def test_too_few_different_quizzes_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="only 1 different rows"):
        draw("few", lambda rng: Quiz("same", ("a", "b"), 0), lambda *_: {}, 0)


def test_every_question_is_about_a_known_relation() -> None:
    assert set(EASY_QUESTIONS) | set(CHALLENGE_QUESTIONS) | set(decoder_corpus.WORDINGS) <= set(
        RELATIONS
    )


def test_one_option_alone_is_right() -> None:
    """The exception of a challenge lacks what all others have."""
    relation = RELATIONS["thing_material"]
    found = 0
    rng = Random(0)
    for _ in range(300):
        item = challenge(rng)
        if item.question.startswith("Which one is NOT made of "):
            material = item.question.removesuffix("?").split()[-1]
            true = [(option, material) in relation.pairs for option in item.options]
            assert true.count(False) == 1
            assert not true[item.answer]
            found += 1
    assert found


def test_solutions_differ() -> None:
    rng = Random(0)
    assert all(len(set(physical(rng).options)) == 2 for _ in range(300))


def test_what_is_told_to_fit_is_the_answer() -> None:
    seen = 0
    for document in decoder_corpus.documents(Random(0), 500):
        if len(document) < 4 or document[-2].text != "\nanswer:":
            continue
        *options, _, answer = document
        right = [piece.text.strip()[0] for piece in options if piece.fits]
        assert right == [answer.text.strip()]
        seen += 1
    assert seen > 100
