"""A user's YAML of a method or a task, and the function that a method names."""

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from frod_bench.common.paths import CONF_DIR
from tests.bad_input.case import PLAN, Bad, cell

NORMS = "def train_norms(model, method, backbone, seed): ...\n"
PYTHON = "name: mine\nkind: python\nlearning_rates: {norms: 1e-3, head: 1e-3}\napply: "
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def write(
    here: Path, _patch: pytest.MonkeyPatch, *, name: str = "mine.yaml", text: str | bytes = ""
) -> None:
    """The YAML, and files that it may name: a function, a failure, and no Python."""
    (here / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (here / "norms.py").write_text(NORMS)
    (here / "broken.py").write_text("1 / 0")
    (here / "mine.py").write_text("def apply(:")


def method(name: str, text: str | bytes, field: str, remedy: str) -> Bad:
    """A method's YAML."""
    given = functools.partial(write, text=text)
    return cell("method={here}/mine.yaml", field, remedy, given, f"method: {name}")


def task(label: str, field: str, remedy: str, **changes: Any) -> Bad:
    """The YAML of rte with changes."""
    content = yaml.safe_load((CONF_DIR / "task/rte.yaml").read_text()) | {"name": "mine"} | changes
    given = functools.partial(write, text=yaml.safe_dump(content))
    return cell("task={here}/mine.yaml", field, remedy, given, f"task: {label}")


METHODS = (
    method("not YAML", "name: [", "mine.yaml is not valid YAML", "Correct it"),
    method("not text", b"\xff\xfe\x00\x81", "mine.yaml is not valid YAML", "Correct it"),
    method("NUL", b"name: a\0b", "mine.yaml is not valid YAML", "Correct it"),
    method("a tag", "name: !!python/object/apply:os.system [true]", "mine.yaml is not", "Correct"),
    method(
        "bytes",
        "name: mine\nkind: frozen\nlearning_rates: {head: 1e-3}\noptions: {a: !!binary aGk=}",
        "method.options.a=b'hi'",
        "must be a number, a text",
    ),
    method("a key twice", "name: mine\nname: other", "mine.yaml is not valid YAML", "Correct it"),
    method("too many aliases", LAUGHS, "mine.yaml is not valid YAML (it has more than", "Correct"),
    method("an alias in itself", "a: &a [*a]", "(*a is within what it names)", "Correct it"),
    method("too deep", "a: " + "[" * 400 + "]" * 400, "nested more than 50 deep", "Correct it"),
    method("a surrogate", 'name: "\\uD800"', "name='\\ud800'", "must be a text of letters"),
    method(
        "a surrogate as a key",
        'name: mine\ndefaults: [lora, _self_]\noptions: {"\\uD800": 1}',
        "method.options.'\\ud800': must be text in UTF-8",
        "Give it another name",
    ),
    method("a surrogate in a path", PYTHON + '"\\uD800.py:x"', "does not name a function", "Write"),
    method("NUL in a path", PYTHON + '"\\0.py:x"', "does not name a function", "Write package"),
    method(
        "a module without a file", PYTHON + "sys:exit", "no file defines the module 'sys'", "Name"
    ),
    method(
        "a token as a key",
        "name: mine\ndefaults: [lora, _self_]\noptions: {hf_abcdefghijklmnopqrstuvwxyz: 1}",
        "method.options: holds a token",
        "Leave it out",
    ),
    method(
        "a reference in place of a mapping",
        "name: mine\ndefaults: [lora, _self_]\nlearning_rates: ${seed}",
        "method.learning_rates=${seed}: must refer to a mapping",
        "Set it",
    ),
    method("a list", "- name", "is not a mapping", "It needs name, kind and learning_rates"),
    method("a number", "3", "mine.yaml is not valid YAML", "it needs name"),
    method("empty", "", "is not a mapping", "It needs name, kind and learning_rates"),
    method("no name", "kind: frozen", "mine.yaml: has no name", "Give it one, e.g. name: mine"),
    method("a name that is no folder", "name: a/b", "name='a/b'", "must be a text of letters"),
    method("a name in another alphabet", "name: frоd", "name='frоd'", "must be a text of letters"),
    method(
        "a name that is taken", "name: lora\nkind: frozen", "name=lora is taken", "another name"
    ),
    method("no kind", "name: mine", "method.kind", "Give it a value"),
    method("an unknown kind", "name: mine\nkind: pefft", "kind=pefft: is unknown", "mean 'peft'?"),
    method("an unknown key", "name: mine\nrank: 8", "rank: methods have no such key", "Allowed: "),
    method("a key that is a number", "name: mine\n1: 8", "1: methods have no such key", "Allowed"),
    method(
        "a value of the wrong type",
        "name: mine\nkind: frod\nsparse_rate: many",
        "sparse_rate: Value 'many'",
        "Give it a value as",
    ),
    method("no rates", "name: mine\nkind: frozen", "method.learning_rates", "Give it a value"),
    method(
        "rates in a list",
        "name: mine\nkind: full\nlearning_rates: [1]",
        "learning_rates: ",
        "Give it a value as",
    ),
    method(
        "defaults in no list", "name: mine\ndefaults: lora", "defaults='lora'", "must be a list"
    ),
    method("defaults of null", "name: mine\ndefaults:", "defaults=None", "must be a list"),
    method(
        "defaults elsewhere", "name: mine\ndefaults: [../x]", "defaults='../x'", "must be a list"
    ),
    method("defaults of itself", "name: mine\ndefaults: [mine]", "mine", "Allowed: "),
    method(
        "a secret",
        "name: mine\nkind: frozen\nlearning_rates: {head: '${oc.env:HOME}'}",
        "${oc.env:HOME}",
        "Allowed are keys of the configuration",
    ),
    method(
        "a number that is not one",
        "name: mine\nkind: frozen\nlearning_rates: {head: .nan}",
        "method.learning_rates.head=nan",
        "must be in [0, inf)",
    ),
    method("no function", PYTHON + "null", "method.apply: is missing", "Write package.module:func"),
    method("no function named", PYTHON + "norms.py", "does not name a function", "Write package."),
    method("no such file", PYTHON + "nroms.py:train_norms", "nroms.py", "Write package.module:"),
    method("no such function", PYTHON + "norms.py:train_nroms", "train_nroms", "'train_norms'?"),
    method("no such module", PYTHON + "no_such_module:apply", "no module 'no_such_module'", "Inst"),
    method("no such package", PYTHON + "no.such:apply", "no module 'no.such'", "Install it"),
    method(
        "a module of no package",
        PYTHON + "json.decoder.x:apply",
        "no module 'json.decoder.x'",
        "Install it",
    ),
    method("dots alone", PYTHON + "..:apply", "no module '..'", "Install it"),
    method("not Python", PYTHON + "mine.py:apply", "mine.py is not valid Python", "Correct it"),
    method(
        "a module without names", PYTHON + "broken.py:apply", "no function 'apply'", "Write pack"
    ),
    method(
        "a function and another kind",
        "name: mine\nkind: frozen\nlearning_rates: {head: 1e-3}\napply: norms.py:train_norms",
        "is read only if method.kind=python",
        "remove method.apply",
    ),
    Bad(
        f"{PLAN} method={{here}}/mine.yaml",
        "there is no file {here}/mine.yaml",
        "'mine.yml'?",
        functools.partial(write, name="mine.yml"),
        "method: another ending",
    ),
    Bad(
        f"{PLAN} method={{here}}/none.yaml",
        "there is no file {here}/none.yaml",
        "Name an existing",
        name="method: no file",
    ),
    Bad(
        f"{PLAN} method={{here}}/",
        "there is no file {here}",
        "Name an existing",
        name="method: a folder",
    ),
    Bad(
        f"{PLAN} -m method={{here}}/mine.yaml",
        "'train_nroms'",
        "'train_norms'?",
        functools.partial(write, text=PYTHON + "norms.py:train_nroms"),
        "method: in a grid",
    ),
)
TASKS = (
    task("a name that is taken", "name=cola is taken", "Give it another name", name="cola"),
    task("a name that leads elsewhere", "'../mine'", "must be a text of letters", name="../mine"),
    task("a key with a slip", "num_lables: tasks", "Did you mean 'num_labels'?", num_lables=3),
    task("a text for a number", "num_labels: Value 'two'", "as the files", num_labels="two"),
    task(
        "defaults elsewhere", "/../../etc/passwd", "must be a list", defaults=["/../../etc/passwd"]
    ),
    task("a split that is trained on", "task.test_split=train", "other rows", test_split="train"),
    task("an unknown metric", "unknown metric 'acc'", "Allowed: ", metrics=["acc"]),
    task("no metrics", "task.metrics=[]", "Name one", metrics=[]),
    task(
        "marks that are no expressions",
        "task.prompt.replace: '('",
        "Correct it",
        family="reasoning",
        prompt={"template": "{sentence1}", "replace": {"(": ""}},
    ),
    task("rows that are huge", "task.rows.train=1", "must be in [1, ", rows={"train": 10**18}),
    task("options that are no list", "option_columns", "Give it", prompt={"option_columns": 3}),
    task(
        "a hub id that leads elsewhere", "task.hub_id='../x'", "NAME or OWNER/NAME", hub_id="../x"
    ),
    Bad(
        f"{PLAN} task={{here}}/my_tsak.yaml",
        "there is no file {here}/my_tsak.yaml",
        "Did you mean 'my_task.yaml'?",
        functools.partial(write, name="my_task.yaml"),
        "task: a path with a slip",
    ),
)

CASES = (*METHODS, *TASKS)
