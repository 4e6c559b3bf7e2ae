"""Pretrains the embedded decoder: a Llama of about a million parameters, on the world's documents.

Causal language modelling with weights: words drawn at random (the options of a quiz) teach
nothing and have no loss, answers count more. Matrices are optimised by Muon (Jordan et al. 2024,
"Muon: An optimizer for hidden layers in neural networks"), the rest by AdamW.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from frod_bench.embedded.reasoning.corpus import Document, documents, text_of
from frod_bench.embedded.tokenizer import (
    DECODER_SPECIALS,
    frame,
    save_tokenizer,
    train_tokenizer,
)

WIDTH, HEADS = 128, 4
EMBEDDING_STD, MATCH_STD = 0.1, 0.13  # a match scores about 6 before the softmax
POSITIONS = 512  # tokens
VOCABULARY = 1_200  # tokens, at most
TOKENIZER_DOCUMENTS = 6_000
STEPS = 1_300
BATCH_DOCUMENTS = 32
BUCKET_BATCHES = 8  # batches that are cut from documents sorted by length
MATRIX_RATE, VECTOR_RATE = 0.02, 3e-3
WARMUP_STEPS = 50


def pretrain(out: Path, seed: int = 0) -> None:
    """Train the decoder and write its checkpoint (float16) and tokenizer into `out`."""
    torch.manual_seed(seed)
    rng = Random(f"decoder {seed}")
    texts = (text_of(document) for document in documents(rng, TOKENIZER_DOCUMENTS))
    tokenizer = train_tokenizer(texts, VOCABULARY, tuple(DECODER_SPECIALS.values()))
    frame(tokenizer, "<s> $A")
    model = new_model(tokenizer)
    train(model, batches(tokenizer, rng), STEPS)
    model.half().save_pretrained(out)
    save_tokenizer(tokenizer, DECODER_SPECIALS, POSITIONS, out)


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


def encode(tokenizer: Tokenizer, document: Document) -> tuple[list[int], list[float]]:
    """Token ids of the document, and the weight that predicting each of them has."""
    encoding = tokenizer.encode(text_of(document))
    ends, end = [], 0
    for piece in document:
        end += len(piece.text)
        ends.append(end)
    weights, at = [], 0
    for start, stop in encoding.offsets:
        if start == stop:  # a special token
            weights.append(0.0)
            continue
        while stop > ends[at]:
            at += 1
        weights.append(document[at].weight)
    return encoding.ids, weights


def batches(tokenizer: Tokenizer, rng: Random) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of ids and weights, both (documents, tokens), padded on the right."""
    pad = tokenizer.token_to_id("<pad>")
    while True:
        drawn = [encode(tokenizer, d) for d in documents(rng, BATCH_DOCUMENTS * BUCKET_BATCHES)]
        drawn.sort(key=lambda pair: len(pair[0]))
        starts = list(range(0, len(drawn), BATCH_DOCUMENTS))
        rng.shuffle(starts)
        for start in starts:
            bucket = drawn[start : start + BATCH_DOCUMENTS]
            width = len(bucket[-1][0])
            yield (
                torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in bucket]),
                torch.tensor([weights + [0.0] * (width - len(weights)) for _, weights in bucket]),
            )


def weighted_loss(model: LlamaForCausalLM, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean cross-entropy of the next token; logits only where a weight asks for them."""
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    wanted = weights[:, 1:] > 0
    losses = functional.cross_entropy(
        model.lm_head(hidden[wanted]), ids[:, 1:][wanted], reduction="none"
    )
    return (losses * weights[:, 1:][wanted]).sum() / weights[:, 1:].sum()


def train(model: LlamaForCausalLM, data: Iterator[tuple[Tensor, Tensor]], steps: int) -> None:
    """Train in place for `steps` batches: warm-up, then cosine to zero."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in inside]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.0, momentum=0.95),
        torch.optim.AdamW(others, lr=VECTOR_RATE, weight_decay=0.0, betas=(0.9, 0.98)),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate_at(step, steps))
        for optimizer in optimizers
    ]
    model.train()
    for _ in range(steps):
        loss = weighted_loss(model, *next(data))
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        for schedule in schedules:
            schedule.step()


def _rate_at(step: int, steps: int) -> float:
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP_STEPS) / (steps - WARMUP_STEPS)))
