"""What the encoder reads and how it is corrupted."""

import numpy as np
import pytest
import torch

from frod_bench.common.errors import InputError
from frod_bench.embedded.lexicon import synonyms
from tools.pretrain_embedded.corruption import (
    CORRUPTED,
    MASK,
    PAD,
    SPECIALS,
    UNMASKED,
    UNTOLD,
    WHOLE,
    Corrupter,
    frame_ids,
)
from tools.pretrain_embedded.disjoint import HeldOut
from tools.pretrain_embedded.encoder import encode, encoder_tokenizer
from tools.pretrain_embedded.encoder_corpus import alternatives, documents


@pytest.fixture(scope="module")
def corpus():
    return list(documents(3000, 0))


@pytest.fixture(scope="module")
def tokenizer(corpus):
    return encoder_tokenizer(corpus)


def test_documents_depend_on_the_seed_alone(corpus):
    assert list(documents(3000, 0)) == corpus
    assert list(documents(3000, 1)) != corpus


def test_a_synonym_is_no_alternative():
    for word, other in synonyms().items():
        assert other not in alternatives().get(word, ())


def test_every_word_of_the_corpus_is_one_token(corpus, tokenizer):
    words = {word for document in corpus for text in document for word in text.split()}
    lengths = {word: len(tokenizer.encode(word, add_special_tokens=False)) for word in words}
    assert set(lengths.values()) == {1}


def test_any_text_can_be_encoded(tokenizer):
    text = "Ünïcode, 数字 & emoji 🙂"
    assert tokenizer.decode(tokenizer.encode(text).ids).strip() == text.lower()


def test_the_frame_is_the_tokenizers(corpus, tokenizer):
    for document, ids in zip(corpus[:50], encode(tokenizer, corpus[:50]), strict=True):
        assert frame_ids(ids) == tokenizer.encode(*document).ids


def test_what_a_batch_says_of_its_documents_is_so(corpus, tokenizer):
    encoded = encode(tokenizer, corpus)
    batch = Corrupter(tokenizer, alternatives(), np.random.default_rng(0)).batch(encoded)
    counts = [int((batch.kind == kind).sum()) for kind in (WHOLE, CORRUPTED, UNTOLD)]
    assert sum(counts) == len(encoded)
    assert min(counts) > 0.05 * len(encoded)
    assert torch.equal(batch.attention == 0, batch.tokens == PAD)
    for row, document in enumerate(encoded):
        original = torch.tensor(frame_ids(document))
        length = int(batch.attention[row].sum())
        seen, hidden = batch.tokens[row, :length], batch.hidden[row, :length]
        assert torch.equal(hidden != UNMASKED, seen == MASK)
        changed = torch.where(hidden != UNMASKED, hidden, seen) != original
        assert torch.equal(batch.replaced[row, :length].bool(), changed)
        kind = int(batch.kind[row])
        if len(document) == 2:
            assert kind == UNTOLD
            assert not changed[: len(document[0]) + 2].any()  # only the second text is changed
        else:
            assert (kind == CORRUPTED) == bool(changed.any())


def test_a_word_of_many_tokens_is_refused(tokenizer):
    with pytest.raises(InputError, match="xylophone"):
        Corrupter(tokenizer, {"xylophone": ("dog",)}, np.random.default_rng(0))


def test_specials_have_the_first_ids(tokenizer):
    assert [tokenizer.token_to_id(token) for token in SPECIALS] == list(range(len(SPECIALS)))


@pytest.mark.parametrize(
    ("document", "inside"),
    [
        (("the dog ran again .",), True),
        (("so the dog ran again and the cat slept .",), True),
        (("the dogs ran again .",), False),
        (("anna ran .", "was it anna ?"), True),
        (("anna ran .", "was it tom ?"), False),
        (("anna ran .",), False),
    ],
)
def test_a_document_with_a_rows_text_is_found(document, inside):
    held_out = HeldOut([("the dog ran again .",), ("anna ran .", "was it anna ?")])
    assert held_out.within(document) == inside
