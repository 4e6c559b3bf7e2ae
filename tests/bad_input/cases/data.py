"""Data sets, backbones and caches: cards, tables, checksums, weights, folders."""

import functools
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from frod_bench.cells.fingerprint import data_fingerprint
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR, embedded_mirror_dir
from frod_bench.embedded.mirror import ensure_mirror
from tests.bad_input.case import PLAN, RUN, Bad
from tests.bad_input.cases.own_files import LAUGHS

Damage = Callable[[Path], object]
SPLITS = "[{split: train, path: rte/train-*}, {split: validation, path: rte/validation-*}]"
CARD = "---\nconfigs:\n- config_name: rte\n  data_files: {}\n---\n"
DEEP = "[" * 400 + "]" * 400
PICKLED = pickle.dumps({"weight": [1.0]})


def zipped() -> bytes:
    """What `torch.save` writes is such an archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", PICKLED)
    return made.getvalue()


def mirror(here: Path, _patch: pytest.MonkeyPatch, *, damage: Damage) -> None:
    """A mirror with the suite's own rte, and what is done to its folder."""
    source = ensure_mirror(embedded_mirror_dir()) / "nyu-mll/glue"
    folder = here / "mirror/nyu-mll/glue"
    shutil.copytree(source / "rte", folder / "rte")
    (folder / "README.md").write_text(CARD.format(SPLITS))
    damage(folder)


def models(here: Path, _patch: pytest.MonkeyPatch, *, damage: Damage) -> None:
    """A folder with the suite's own encoder, and what is done to it."""
    folder = here / "models/encoder"
    shutil.copytree(SHIPPED_BACKBONES_DIR / "encoder", folder)
    damage(folder)


def fingerprinted(here: Path) -> None:
    """Read the mirror as the planning of a cell does: its card, its checksums, its files."""
    splits = ("train", "validation")
    data_fingerprint("nyu-mll/glue", "rte", None, str(here / "mirror"), splits)


def unwritable(here: Path, patch: pytest.MonkeyPatch, *, variable: str, value: str = "") -> None:
    """A file in place of the folder that a variable of the environment names, or this `value`."""
    mirror(here, patch, damage=nothing)
    (here / "file").write_text("")
    for name in ("HF_HOME", "HF_DATASETS_CACHE"):
        patch.delenv(name, raising=False)
    patch.setenv(variable, value or str(here / "file"))
    cache = Path(value) if value else here / "file"
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", cache / "datasets")


def card(name: str, text: str | bytes, field: str, remedy: str) -> Bad:
    """A card in place of the mirror's; no table is opened."""

    def damage(folder: Path) -> None:
        content = text if isinstance(text, bytes) else text.encode()
        (folder / "README.md").write_bytes(content)

    given = functools.partial(mirror, damage=damage)
    return Bad(fingerprinted, field, remedy, given, f"card: {name}")


def sums(name: str, text: str | bytes | None, field: str, remedy: str) -> Bad:
    """A list of checksums beside the repositories; None: a folder in its place."""

    def damage(folder: Path) -> None:
        path = folder.parents[1] / "SHA256SUMS.json"
        if text is None:
            path.mkdir()
        else:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    given = functools.partial(mirror, damage=damage)
    return Bad(fingerprinted, field, remedy, given, f"sums: {name}")


def table(name: str, damage: Damage, field: str, remedy: str, words: str = "") -> Bad:
    """Rows that a run finds to be bad."""
    given = functools.partial(mirror, damage=damage)
    return Bad(f"{RUN} data_root={{here}}/mirror {words}", field, remedy, given, f"rows: {name}")


def weights(name: str, damage: Damage, field: str, remedy: str) -> Bad:
    """A backbone that a run cannot load."""
    given = functools.partial(models, damage=damage)
    return Bad(f"{RUN} model_root={{here}}/models", field, remedy, given, f"backbone: {name}")


def replaced(file: str, content: bytes) -> Damage:
    """Another content of a file."""
    return lambda folder: (folder / file).write_bytes(content)


def removed(*files: str) -> Damage:
    """Files that are missing."""
    return lambda folder: [(folder / file).unlink() for file in files]


def cut(file: str, size: int) -> Damage:
    """The first bytes of a file."""
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:size])


def nothing(_folder: Path) -> None:
    """Leave the folder as it is."""


def entry(**changes: object) -> str:
    """A list of checksums in which one repository's entry has changes."""
    sound = {"kind": "dataset", "source": "x", "revision": None, "configs": ["rte"], "files": {}}
    return json.dumps({"nyu-mll/glue": sound | changes})


UNREADABLE = "README.md: its front matter cannot be read"
CARDS = (
    card("not UTF-8", b"---\nconfigs: []\nlicense: caf\xe9\n---\n", UNREADABLE, "YAML in UTF-8"),
    card("UTF-16", CARD.format("rte/*").encode("utf-16"), UNREADABLE, "YAML in UTF-8"),
    card("NUL", b"---\nconfigs: \0\n---\n", UNREADABLE, "Correct it, or remove it"),
    card("not YAML", "---\nconfigs: [\n---\n", UNREADABLE, "Correct it, or remove it"),
    card(
        "a tag", "---\nconfigs: !!python/object/apply:os.system [x]\n---\n", UNREADABLE, "Correct"
    ),
    card("too many aliases", f"---\n{LAUGHS}configs: *i\n---\n", UNREADABLE, "Correct it"),
    card("an alias in itself", "---\nconfigs: &a [*a]\n---\n", UNREADABLE, "Correct it"),
    card("too deep", f"---\nconfigs: {DEEP}\n---\n", UNREADABLE, "Correct it"),
    card("not a mapping", "---\n- a\n---\n", UNREADABLE, "lists configs"),
    card("configs of null", "---\nconfigs:\n---\n", UNREADABLE, "lists configs"),
    card("configs in a mapping", "---\nconfigs: {rte: x}\n---\n", UNREADABLE, "lists configs"),
    card("no name", "---\nconfigs:\n- data_files: x\n---\n", UNREADABLE, "config_name"),
    card("no files", "---\nconfigs:\n- config_name: rte\n---\n", UNREADABLE, "data_files"),
    card("configs in a number", "---\nconfigs: 3\n---\n", UNREADABLE, "lists configs"),
    card("files by number", CARD.format("3"), UNREADABLE, "data_files"),
    card(
        "a name in a list",
        "---\nconfigs:\n- config_name: [a]\n  data_files: x\n---\n",
        UNREADABLE,
        "config_name",
    ),
    card(
        "another configuration",
        CARD.format("rte/*").replace(" rte", " cola"),
        "no configuration 'rte'",
        "Set task.hub_config=cola",
    ),
    card(
        "no such files", CARD.format("cola/*"), "has no data set 'nyu-mll/glue'", "Put a snapshot"
    ),
    card("an empty pattern", CARD.format("''"), "the pattern ''", "Correct the pattern"),
    card("three stars", CARD.format("'rte/***'"), "the pattern 'rte/***'", "Correct the pattern"),
    card(
        "many stars",
        CARD.format("'" + "**/" * 30 + "*'"),
        "README.md: data_files",
        "a simpler pattern",
    ),
    card(
        "too large", "---\nconfigs: []\n---\n" + "x" * 5_000_000, "more than 4,194,304", "Correct"
    ),
    Bad(
        fingerprinted,
        ".huggingface.yaml: its front matter cannot be read",
        "Correct it",
        functools.partial(mirror, damage=replaced(".huggingface.yaml", b"a: &a [*a]")),
        "card: a YAML beside it",
    ),
)
UNREAD = "SHA256SUMS.json: cannot be read as a mirror's checksums"
SUMS = (
    sums("not JSON", "{", UNREAD, "Remove it and copy again"),
    sums("not UTF-8", b"\xff\xfe{}", UNREAD, "Remove it and copy again"),
    sums("a list", "[]", UNREAD, "Remove it and copy again"),
    sums("null", '{"nyu-mll/glue": null}', UNREAD, "Remove it and copy again"),
    sums("no kind", '{"nyu-mll/glue": {"files": {}}}', UNREAD, "Remove it and copy again"),
    sums("files of null", entry(files=None), UNREAD, "Remove it and copy again"),
    sums("configs of null", entry(configs=None), UNREAD, "Remove it and copy again"),
    sums("a number for a hash", entry(files={"x": 5}), UNREAD, "Remove it and copy again"),
    sums("too deep", "[" * 100_000, UNREAD, "Remove it and copy again"),
    sums("a folder", None, UNREAD, "Remove it and copy again"),
    sums(
        "a control character",
        entry(files={"a\x1b[2J": "0"}),
        "lists the file 'a\\x1b[2J'",
        "remove the entry",
    ),
    sums(
        "another hash",
        entry(files={"rte/train-00000-of-00001.parquet": "0" * 64}),
        "has another SHA-256",
        "take nyu-mll/glue out of",
    ),
)
TRAIN = "rte/train-00000-of-00001.parquet"
ROWS = (
    table(
        "a pickle", replaced(TRAIN, PICKLED), "train-00000-of-00001.parquet is broken", "Replace"
    ),
    table("an archive", replaced(TRAIN, zipped()), "train-00000-of-00001.parquet is", "Replace"),
    table(
        "no such column",
        nothing,
        "task.input_columns",
        "Did you mean 'sentence1'",
        "task.input_columns=[sentense1]",
    ),
    table("no such split", nothing, "no split 'nope'", "Allowed: ", "task.test_split=nope"),
)
MODEL = "model.safetensors"
WEIGHTS = (
    weights("no weights", removed(MODEL), "has no backbone 'encoder'", "Put a snapshot"),
    weights(
        "weights in a pickle",
        lambda f: (f / MODEL).rename(f / "pytorch_model.bin"),
        "has no backbone 'encoder'",
        "Put a snapshot",
    ),
    weights("a pickle by the name of weights", replaced(MODEL, PICKLED), "the weights of", "Check"),
    weights("an archive by the name of weights", replaced(MODEL, zipped()), "the weights", "Check"),
    weights("half of the weights", cut(MODEL, 100_000), "the weights of", "Check backbones"),
    weights("a huge header", replaced(MODEL, b"\xff" * 8 + b"{}"), "the weights of", "Check"),
    weights(
        "another model's weights",
        lambda f: shutil.copy(SHIPPED_BACKBONES_DIR / "vit" / MODEL, f / MODEL),
        "the checkpoint lacks",
        "Use a check",
    ),
    weights(
        "a configuration that is not JSON",
        replaced("config.json", b"{"),
        "encoder cannot be read",
        "Check backbones",
    ),
    weights(
        "a configuration without a kind",
        replaced("config.json", b"{}"),
        "encoder cannot be read",
        "Check backbones",
    ),
    weights(
        "a tokenizer that is not JSON",
        replaced("tokenizer.json", b"{"),
        "tokenizer of",
        "Check backbones",
    ),
)
CACHES = (
    Bad(
        f"{RUN} data_root={{here}}/mirror",
        "HF_HOME=~nobody_at_all: there is no such home folder",
        "Write the folder out",
        functools.partial(unwritable, variable="HF_HOME", value="~nobody_at_all"),
        "HF_HOME of nobody",
    ),
    Bad(
        f"{RUN} data_root={{here}}/mirror",
        "HF_HOME={here}/file",
        "Name a folder that you may write to",
        functools.partial(unwritable, variable="HF_HOME"),
        "HF_HOME is a file",
    ),
    Bad(
        f"{RUN} data_root={{here}}/mirror",
        "HF_DATASETS_CACHE={here}/file",
        "Name a folder that you may write to",
        functools.partial(unwritable, variable="HF_DATASETS_CACHE"),
        "HF_DATASETS_CACHE is a file",
    ),
    Bad(
        PLAN,
        "{here}/file/embedded_mirror: cannot be written",
        "by FROD_BENCH_CACHE",
        functools.partial(unwritable, variable="FROD_BENCH_CACHE"),
        "FROD_BENCH_CACHE is a file",
    ),
    *(
        Bad(
            PLAN,
            f"FROD_BENCH_CACHE={start}",
            remedy,
            lambda _here, patch, value=value: patch.setenv("FROD_BENCH_CACHE", value),
            f"FROD_BENCH_CACHE={start}",
        )
        for value, start, remedy in (
            ("~nobody_at_all/x", "~nobody_at_all/x: there is no such home", "Write the folder out"),
            ("x" * 300, "'xxx", "more than 255 bytes"),
        )
    ),
)

FRONT = tuple(
    Bad(
        f"{PLAN} data_root={{here}}/mirror",
        field,
        "Correct it" if "README" in field else "Remove",
        functools.partial(mirror, damage=damage),
        f"{field} in a run",
    )
    for field, damage in (
        (UNREADABLE, replaced("README.md", b"---\nconfigs: caf\xe9\n---\n")),
        (UNREAD, lambda folder: (folder.parents[1] / "SHA256SUMS.json").write_text("[]")),
    )
)

CASES = (*FRONT, *CARDS, *SUMS, *ROWS, *WEIGHTS, *CACHES)
