"""Pretrains the embedded decoder: a Llama of about a million parameters, on the world's documents.

Causal language modelling with weights (words drawn at random, as the options of a quiz are, have no
loss; answers count more), and a second loss that makes choosing learnable in minutes: a linear
probe on a middle layer tells, at the last token of every option and lexicon value, whether it fits.
With the next-token loss alone no run of this size learned to name the right option.
"""

import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from frod_bench.embedded.reasoning import SETS
from tools.pretrain_embedded.decoder_corpus import Document, documents, text_of
from tools.pretrain_embedded.tokenizer import (
    DECODER_SPECIALS,
    frame,
    save_tokenizer,
    train_tokenizer,
)

WIDTH, HEADS = 128, 4
EMBEDDING_STD, MATCH_STD = 0.1, 0.13  # a match scores about 6 before the softmax
POSITIONS = 512  # tokens
VOCABULARY = 1_600  # tokens, at most
TOKENIZER_DOCUMENTS = 20_000
STEPS = 2_800
BATCH_DOCUMENTS = 32
BUCKET_BATCHES = 8  # batches that are cut from documents sorted by length
LEARNING_RATE, LAST_RATE = 2e-3, 0.05  # peak; share of it that is left at the end
WARMUP_STEPS = 50
PROBED_LAYER = 4  # of 6: two are left to point at what was found to fit
FITS_WEIGHT = 2.0  # of the probe's loss, beside the language model's
UNKNOWN = -1  # no verdict on a token
REPORT_STEPS = 200


class Batch(NamedTuple):
    """Documents, (documents, tokens) each, padded on the right."""

    ids: Tensor
    weights: Tensor  # of predicting this token
    fits: Tensor  # 1 or 0 at the last token of what fits or does not, UNKNOWN elsewhere


def pretrain(out: Path, seed: int = 0) -> None:
    """Train the decoder and write its checkpoint (float16) and tokenizer into `out`."""
    torch.manual_seed(seed)
    rng = Random(f"decoder {seed}")
    tokenizer = train_tokenizer(words(rng, seed), VOCABULARY, tuple(DECODER_SPECIALS.values()))
    frame(tokenizer, "<s> $A")
    model = new_model(tokenizer)
    train(model, batches(tokenizer, rng))
    model.half().save_pretrained(out)
    save_tokenizer(tokenizer, DECODER_SPECIALS, POSITIONS, out)


def words(rng: Random, seed: int) -> list[str]:
    """Every word of the corpus and of the tasks.

    Each of them gets a token. Nothing else of the tasks is learned here.
    """
    texts = [text_of(document) for document in documents(rng, TOKENIZER_DOCUMENTS)]
    texts += (
        json.dumps(list(row.values()))
        for make in SETS.values()
        for split in make(seed).values()
        for row in split
    )
    return sorted({word for text in texts for word in re.findall("[a-z]+", text.lower())})


def new_model(tokenizer: Tokenizer) -> LlamaForCausalLM:
    """The decoder before training: random weights, with heads that attend to equal tokens.

    Minutes are too short for a model to come upon the matching of tokens by itself, on which every
    choice among options rests. So (after Trockman and Kolter 2023, "Mimetic initialization of
    self-attention layers") half of the heads start with equal query and key projections, in the
    slowly rotating half of their dimensions, where a match counts the same at any distance.
    """
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=6,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            max_position_embeddings=POSITIONS,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.token_to_id("<s>"),
            eos_token_id=tokenizer.token_to_id("</s>"),
            pad_token_id=tokenizer.token_to_id("<pad>"),
        )
    )
    dims = WIDTH // HEADS
    matching = torch.zeros(HEADS, 2, 2, dims // 4, dtype=torch.bool)
    matching[: HEADS // 2, :, 1] = True  # (head, half of a rotated pair, fast or slow, dimension)
    rows = matching.flatten()
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(0, EMBEDDING_STD)
        for layer in model.model.layers:
            attention = layer.self_attn
            attention.q_proj.weight[rows] = MATCH_STD * torch.randn(int(rows.sum()), WIDTH)
            attention.k_proj.weight[rows] = attention.q_proj.weight[rows]
    return model


def encode(tokenizer: Tokenizer, document: Document) -> tuple[list[int], list[float], list[int]]:
    """Token ids of the document, the weight of predicting each, and the target of its fit."""
    encoding = tokenizer.encode(text_of(document))
    ends = list(itertools.accumulate(len(piece.text) for piece in document))
    weights, fits, at = [], [], 0
    for start, stop in encoding.offsets:
        if start == stop:  # a special token
            weights.append(0.0)
            fits.append(UNKNOWN)
            continue
        while stop > ends[at]:
            at += 1
        piece = document[at]
        weights.append(piece.weight)
        told = piece.fits is not None and stop == ends[at]
        fits.append(int(bool(piece.fits)) if told else UNKNOWN)
    return encoding.ids, weights, fits


def batches(tokenizer: Tokenizer, rng: Random) -> Iterator[Batch]:
    """Endless batches of documents of like length."""
    fillers = (tokenizer.token_to_id("<pad>"), 0.0, UNKNOWN)
    while True:
        drawn = [encode(tokenizer, d) for d in documents(rng, BATCH_DOCUMENTS * BUCKET_BATCHES)]
        drawn.sort(key=lambda encoded: len(encoded[0]))
        starts = list(range(0, len(drawn), BATCH_DOCUMENTS))
        rng.shuffle(starts)
        for start in starts:
            bucket = drawn[start : start + BATCH_DOCUMENTS]
            width = len(bucket[-1][0])
            columns = zip(*bucket, strict=True)
            yield Batch(
                *(
                    torch.tensor([[*row, *[filler] * (width - len(row))] for row in column])
                    for column, filler in zip(columns, fillers, strict=True)
                )
            )


def losses(model: LlamaForCausalLM, probe: nn.Linear, batch: Batch) -> tuple[Tensor, Tensor]:
    """Weighted mean cross-entropy of the next token, and the probe's; logits only where asked."""
    outputs = model.model(input_ids=batch.ids, use_cache=False, output_hidden_states=True)
    weights = batch.weights[:, 1:]
    wanted = weights > 0
    words = functional.cross_entropy(
        model.lm_head(outputs.last_hidden_state[:, :-1][wanted]),
        batch.ids[:, 1:][wanted],
        reduction="none",
    )
    judged = batch.fits != UNKNOWN
    fits = functional.binary_cross_entropy_with_logits(
        probe(outputs.hidden_states[PROBED_LAYER][judged]).squeeze(-1), batch.fits[judged].float()
    )
    return (words * weights[wanted]).sum() / weights.sum(), fits


def train(model: LlamaForCausalLM, data: Iterator[Batch]) -> None:
    """Train in place: AdamW, warm-up, then cosine. The probe is thrown away."""
    probe = nn.Linear(WIDTH, 1)
    parameters = [*model.parameters(), *probe.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    model.train()
    for step in range(1, STEPS + 1):
        words, fits = losses(model, probe, next(data))
        (words + FITS_WEIGHT * fits).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % REPORT_STEPS == 0:
            print(f"decoder: step {step}, loss on words {words:.3f}, fits {fits:.3f}", flush=True)


def rate(step: int) -> float:
    """Share of the peak learning rate at a step."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    cosine = 0.5 * (1 + math.cos(math.pi * (step - WARMUP_STEPS) / (STEPS - WARMUP_STEPS)))
    return LAST_RATE + (1 - LAST_RATE) * cosine
