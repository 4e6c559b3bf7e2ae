"""A byte-level BPE tokenizer for the embedded backbones.

All 256 bytes are in the alphabet, so any text can be encoded; the words of the corpora that it is
trained on end up as single tokens. Text is lower-cased: a word that opens a sentence is then the
same token as inside it, which a model of a million parameters cannot afford to learn twice.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from frod_bench.common.errors import InputError

ALPHABET = 256  # bytes
ENCODER_SPECIALS = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
    "cls_token": "<s>",
    "sep_token": "</s>",
}
DECODER_SPECIALS = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
}


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ("<s>", "<pad>", "</s>")
) -> Tokenizer:
    """Learn a vocabulary of at most `vocab_size` tokens from `texts`.

    Special tokens get the first ids, in the given order; then the bytes, then the merges.

    Raises:
        InputError: `vocab_size` has no room for the special tokens and the bytes.
    """
    fewest = ALPHABET + len(special_tokens)
    if vocab_size < fewest:
        raise InputError(
            f"vocab_size is {vocab_size}; it must be at least {fewest} "
            f"({ALPHABET} bytes and {len(special_tokens)} special tokens)."
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def frame(tokenizer: Tokenizer, single: str, pair: str | None = None) -> None:
    """Set what surrounds a text (`$A`) or a pair of texts (`$A`, `$B`), in place.

    RoBERTa's is `frame(t, "<s> $A </s>", "<s> $A </s> </s> $B </s>")`, Llama's `"<s> $A"`. All
    type ids are 0: the models know one segment type.
    """
    pieces = f"{single} {pair or ''}".split()
    specials = sorted({piece for piece in pieces if not piece.startswith("$")})
    tokenizer.post_processor = TemplateProcessing(
        single=single,
        pair=pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in specials],
    )


def wrap(
    tokenizer: Tokenizer, special_tokens: dict[str, str], max_length: int, padding_side: str
) -> PreTrainedTokenizerFast:
    """The tokenizer as `transformers` knows one.

    Args:
        special_tokens: role (`bos_token`, ...) -> token, as `ENCODER_SPECIALS`.
        max_length: tokens of the longest text that the model takes.
        padding_side: `left` or `right`.
    """
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        padding_side=padding_side,
        model_input_names=["input_ids", "attention_mask"],
        **special_tokens,
    )


def save_tokenizer(
    tokenizer: Tokenizer,
    special_tokens: dict[str, str],
    max_length: int,
    folder: Path,
    padding_side: str = "right",
) -> None:
    """Write the tokenizer into a checkpoint's folder, where `AutoTokenizer` finds it."""
    wrap(tokenizer, special_tokens, max_length, padding_side).save_pretrained(folder)
