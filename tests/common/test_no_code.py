"""What is read from elsewhere is data: no call lets a model or a data set bring code along."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from frod_bench.common.errors import InputError
from frod_bench.common.paths import PACKAGE_DIR, SHIPPED_BACKBONES_DIR
from frod_bench.models.classifier import build_classifier

EXAMPLES = PACKAGE_DIR.parent / "examples"
# Of transformers' and datasets' functions, those that take trust_remote_code.
LOADERS = {"from_pretrained", "from_config", "load_dataset", "pipeline"}
REFUSED = {
    *("torch.load", "pickle.load", "pickle.loads", "joblib.load", "yaml.load"),
    *("eval", "exec", "__import__", "instantiate", "hydra.utils.instantiate"),
}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the package and the examples, with its place."""
    for folder in (PACKAGE_DIR, EXAMPLES):
        for file in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call):
                    yield f"{file.relative_to(PACKAGE_DIR.parent)}:{node.lineno}", node


def name_of(call: ast.Call) -> str:
    """The function's own name, without what it is taken from."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_loader_is_told_to_run_no_code() -> None:
    loaders = [(place, call) for place, call in calls() if name_of(call) in LOADERS]
    assert len(loaders) > 10
    trusting = [
        place
        for place, call in loaders
        if not any(
            word.arg == "trust_remote_code"
            and isinstance(word.value, ast.Constant)
            and word.value.value is False
            for word in call.keywords
        )
    ]
    assert not trusting


def test_nothing_is_unpickled_and_names_are_imported_in_one_place() -> None:
    assert not [place for place, call in calls() if ast.unparse(call.func) in REFUSED]
    imports = [
        place for place, call in calls() if name_of(call) in {"import_module", "exec_module"}
    ]
    places = {place.split(":")[0] for place in imports}
    assert places == {
        "frod_bench/config/callables.py",
        "frod_bench/__main__.py",  # the verbs
        "frod_bench/analyses/command.py",  # the actions of analyze, which the parser checks
    }


def test_a_backbone_that_brings_code_is_refused_and_its_code_is_not_run(tmp_path: Path) -> None:
    config = json.loads((SHIPPED_BACKBONES_DIR / "encoder" / "config.json").read_text())
    config |= {"model_type": "of_its_own", "auto_map": {"AutoConfig": "own.OwnConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("import pathlib\npathlib.Path(__file__ + '.ran').touch()\n")
    with pytest.raises(InputError, match="trust_remote_code"):
        build_classifier(
            tmp_path, revision=None, pooling="first", num_labels=2, pretrained=False, seed=0
        )
    assert not list(tmp_path.glob("*.ran"))
