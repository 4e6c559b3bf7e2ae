"""The tool that runs what the pages show: what it reads, what it does, and that it finds drift."""

from pathlib import Path

import pytest

from tools.shown_commands import ROOT, Step, compared, pages, perform, runnable, steps_of

PAGE = """\
# A page

```
frod-bench ls methods      # a comment
frod-bench run -m task=rte method=frod && frod-bench compare task=rte method=frod,lora
not a command
```

```yaml file=mine/task.yaml
name: mine
```

```console
$ echo one; echo 3.2 s
one
1.5 s
$ echo two
...
two
```

```python
ignored = True
```
"""


def test_steps_are_read_in_order() -> None:
    steps = list(steps_of("page.md", PAGE))
    assert [(step.line, step.how) for step in steps if not step.file] == [
        (4, "run"),
        (5, "plan"),
        (5, "parse"),
        (14, "run"),
        (17, "run"),
    ]
    assert steps[0].command == "frod-bench ls methods"
    assert [step.file for step in steps if step.file] == ["mine/task.yaml"]


def test_outputs_agree_up_to_durations(tmp_path: Path) -> None:
    for step in steps_of("page.md", PAGE):
        if step.output is not None or step.file:
            assert perform(step, tmp_path)[0] == ""
    assert (tmp_path / "mine" / "task.yaml").read_text() == "name: mine\n"


@pytest.mark.parametrize(
    ("shown", "printed", "compares_numbers", "agrees"),
    [
        ("score 81.6", "score 81.6", True, True),
        ("score 81.6", "score 81.7", True, False),
        ("score 81.6", "score 81.7", False, True),
        ("score 81.6", "loss 81.6", False, False),
        ("first\n...\nlast", "first\na\nb\nlast", True, True),
        ("first\n...\nlast", "first\na\nb", True, False),
        ("took 12 s", "took 3.5 s", True, True),
        ("┏━━━┓", "┏━━━━━┓", True, True),
    ],
)
def test_outputs_are_compared(
    shown: str, printed: str, compares_numbers: bool, agrees: bool
) -> None:
    step = Step("page.md", 1, "command", output=shown, compares_numbers=compares_numbers)
    assert (compared(step, printed) == "") == agrees


def test_what_is_wrong_is_reported(tmp_path: Path) -> None:
    assert "exit status 3" in perform(Step("page.md", 1, "exit 3"), tmp_path)[0]
    assert (
        "prints something else"
        in perform(Step("page.md", 1, "echo new", output="old\n"), tmp_path)[0]
    )
    assert perform(Step("page.md", 1, "frod-bench run 'task=rte", how="parse"), tmp_path)[0]


def test_training_is_planned_and_make_is_expanded() -> None:
    assert runnable("frod-bench run task=rte", "plan", ROOT) == [
        "frod-bench run task=rte plan_only=true"
    ]
    [command] = runnable("make reproduce-all SUITE=glue METHODS=frod", "plan", ROOT)
    assert "suite=glue" in command
    assert "'method=frod'" in command
    assert command.endswith("plan_only=true")


def test_the_pages_show_many_commands() -> None:
    found = [
        step
        for page in pages(ROOT)
        for step in steps_of(page.name, page.read_text(encoding="utf-8"))
        if not step.file
    ]
    assert len(found) > 80
    assert sum(step.how != "parse" for step in found) > 40
