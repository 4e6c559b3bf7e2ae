"""Pretrain the RoBERTa-style encoder of the embedded profile.

Masked-word prediction alone leaves the first token, which the suite pools, untrained. So there
are three losses: every token says whether it was replaced (as in ELECTRA, Clark et al. 2020), the
first token says whether a single text was corrupted, and masked words are predicted (as in
RoBERTa, Liu et al. 2019).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import RobertaConfig, RobertaModel

from frod_bench.embedded.nlu import SETS
from tools.pretrain_embedded.corruption import (
    END,
    PAD,
    SPECIALS,
    START,
    UNTOLD,
    Batch,
    Corrupter,
    Encoded,
)
from tools.pretrain_embedded.disjoint import HeldOut
from tools.pretrain_embedded.encoder_corpus import Document, alternatives, documents
from tools.pretrain_embedded.tokenizer import (
    ENCODER_SPECIALS,
    frame,
    save_tokenizer,
    train_tokenizer,
)

VOCAB_SIZE = 1300
MAX_LENGTH = 128  # tokens
DOCUMENTS = 60_000
STEPS = 4200
BATCH = 32  # documents
LEARNING_RATE = 2e-3
WARMUP_STEPS = 100
EMBEDDING_STD, MATCH_STD = 0.1, 0.09  # a match scores about 6 before the softmax
REPORT_STEPS = 100
TOKEN_WEIGHT = 5.0  # of the loss on replaced tokens, which few tokens are


def pretrain(out: Path, seed: int) -> None:
    """Write the checkpoint (float16 safetensors) and its tokenizer into the folder `out`."""
    torch.manual_seed(seed)
    corpus = read_corpus(seed)
    tokenizer = encoder_tokenizer(corpus)
    rng = np.random.default_rng(seed)
    corrupter = Corrupter(tokenizer, alternatives(), rng)
    model = Pretrainer(tokenizer.get_vocab_size())
    train(model, batches(encode(tokenizer, corpus), corrupter, rng))
    model.encoder.half().save_pretrained(out)
    save_tokenizer(tokenizer, ENCODER_SPECIALS, MAX_LENGTH, out)


def read_corpus(seed: int) -> list[Document]:
    """The documents, without those that hold a task's row of this seed."""
    rows = (
        [value for value in row.values() if isinstance(value, str)]
        for make in SETS.values()
        for split in make(seed).values()
        for row in split
    )
    held_out = HeldOut(rows)
    return [text for text in documents(DOCUMENTS, seed) if not held_out.within(text)]


def encoder_tokenizer(corpus: list[Document]) -> Tokenizer:
    """Every word of the corpus as one token; framed as RoBERTa frames one text and two.

    It is trained on the list of words, so that a rare word gets its token too.
    """
    words = {word for document in corpus for text in document for word in text.split()}
    tokenizer = train_tokenizer(sorted(words | alternatives().keys()), VOCAB_SIZE, SPECIALS)
    frame(tokenizer, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    return tokenizer


def encode(tokenizer: Tokenizer, corpus: list[Document]) -> list[Encoded]:
    """The documents' ids, without special tokens."""
    texts = [text for document in corpus for text in document]
    ids = (e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False))
    return [tuple(next(ids) for _ in document) for document in corpus]


class Pretrainer(nn.Module):
    """The encoder with the three heads of its pretraining, which are thrown away after it."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        config = RobertaConfig(
            vocab_size=vocab_size,
            hidden_size=128,
            num_hidden_layers=6,
            num_attention_heads=4,
            intermediate_size=256,
            max_position_embeddings=MAX_LENGTH + 2,  # RoBERTa counts from the pad id + 1
            type_vocab_size=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            bos_token_id=START,
            pad_token_id=PAD,
            eos_token_id=END,
        )
        self.encoder = RobertaModel(config, add_pooling_layer=False)
        self._match_equal_tokens()
        width = config.hidden_size
        self.replaced = nn.Linear(width, 1)
        self.kind = nn.Linear(width, 2)
        self.word = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.word_bias = nn.Parameter(torch.zeros(vocab_size))

    @torch.no_grad()
    def _match_equal_tokens(self) -> None:
        """Let half of the heads start with equal query and key projections.

        They attend to equal tokens then, on which comparing two texts rests; minutes are too short
        for a model to come upon that (Trockman and Kolter 2023, "Mimetic initialization").
        """
        config = self.encoder.config
        rows = config.hidden_size // 2
        self.encoder.embeddings.word_embeddings.weight.normal_(0, EMBEDDING_STD)
        for layer in self.encoder.encoder.layer:
            attention = layer.attention.self
            attention.query.weight[:rows].normal_(0, MATCH_STD)
            attention.key.weight[:rows] = attention.query.weight[:rows]

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Loss on replaced tokens, on the kind of the document, on masked words; scalars."""
        hidden = self.encoder(batch.tokens, attention_mask=batch.attention).last_hidden_state
        there = batch.attention.bool()
        token = functional.binary_cross_entropy_with_logits(
            self.replaced(hidden)[there].squeeze(-1), batch.replaced[there].float()
        )
        single = batch.kind != UNTOLD
        kind = mean_loss(self.kind(hidden[single, 0]), batch.kind[single])
        masked = batch.hidden >= 0
        table = self.encoder.embeddings.word_embeddings.weight
        logits = self.word(hidden[masked]) @ table.T + self.word_bias
        return token, kind, mean_loss(logits, batch.hidden[masked])


def mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy; 0 where a batch has no rows to ask (all pairs, or nothing masked)."""
    return functional.cross_entropy(logits, labels, reduction="sum") / max(1, len(labels))


def batches(
    corpus: list[Encoded], corrupter: Corrupter, rng: np.random.Generator
) -> Iterator[Batch]:
    """Endless batches of documents of like length, so that little is padding."""
    while True:
        order = rng.permutation(len(corpus))
        for pool in np.array_split(order, max(1, len(corpus) // (BATCH * 50))):
            by_length = sorted(pool, key=lambda index: sum(map(len, corpus[index])))
            starts = range(0, len(by_length) - BATCH + 1, BATCH)
            for start in rng.permutation(list(starts)):
                yield corrupter.batch([corpus[i] for i in by_length[start : start + BATCH]])


def train(model: Pretrainer, stream: Iterator[Batch]) -> None:
    """AdamW with warm-up and a cosine to zero."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    recent = torch.zeros(3)
    for step in range(1, STEPS + 1):
        token, kind, word = model.losses(next(stream))
        (TOKEN_WEIGHT * token + kind + word).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        recent += torch.stack((token, kind, word)).detach() / REPORT_STEPS
        if step % REPORT_STEPS == 0:
            losses = ", ".join(f"{loss:.3f}" for loss in recent.tolist())
            print(f"encoder: step {step}, loss on tokens, kinds, words: {losses}", flush=True)
            recent.zero_()


def rate(step: int) -> float:
    """Share of the peak learning rate at a step."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    return 0.5 * (1 + np.cos(np.pi * (step - WARMUP_STEPS) / (STEPS - WARMUP_STEPS)))
