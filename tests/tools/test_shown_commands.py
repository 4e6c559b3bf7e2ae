"""The tool that runs what the pages show: what it reads, what it does, and that it finds drift."""

from pathlib import Path

import pytest

from tools.shown_commands import (
    ROOT,
    Step,
    compared,
    pages,
    perform,
    refreshed,
    runnable,
    steps_of,
)
from tools.shown_rules import RULES, Rule

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
    assert [(step.line, step.rule.how) for step in steps if not step.file] == [
        (4, "run"),
        (5, "short"),
        (5, "run"),
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
    assert perform(Step("page.md", 1, "frod-bench run 'task=rte", Rule("", "parse", "")), tmp_path)[
        0
    ]


def test_a_table_whose_numbers_may_differ_has_room_for_longer_ones(tmp_path: Path) -> None:
    for compares_numbers, columns in ((True, 100), (False, 120)):
        step = Step("page.md", 1, f"test $COLUMNS = {columns}", compares_numbers=compares_numbers)
        assert perform(step, tmp_path) == ("", "\n")


def stands_for(command: str) -> list[str]:
    """What runs in place of `command`."""
    [step] = steps_of("page.md", f"```\n{command}\n```\n")
    return runnable(step.command, step.rule, ROOT)


def test_training_is_planned_shortened_or_estimated_and_make_is_expanded() -> None:
    assert stands_for("frod-bench run task=rte method=frod seed=3") == [
        "frod-bench run task=rte method=frod seed=3 plan_only=true"
    ]
    assert stands_for("python -m frod_bench.run -m task=rte method=frod seed=0,1") == [
        "frod-bench run -m task=rte method=frod seed=0 trainer.max_steps=4 tracker=none"
    ]
    assert stands_for("frod-bench run task=sst2 profile=paper method=lora data_root=mirror") == [
        "frod-bench plan profile=paper task=rte method=frod"
    ]
    [command] = stands_for("make reproduce-all SUITE=glue METHODS=frod")
    assert "suite=glue" in command
    assert "'method=frod'" in command
    assert command.endswith("plan_only=true")


def test_what_comes_before_is_run_once_in_a_copy(tmp_path: Path) -> None:
    rule = Rule("", "run", "", ((r"$", " again"),), before="echo before >> log")
    for _ in range(2):
        assert perform(Step("page.md", 1, "echo", rule), tmp_path) == ("", "again\n")
    assert (tmp_path / "log").read_text() == "before\n"
    broken = Rule("", "run", "", before="exit 4")
    assert "before it" in perform(Step("page.md", 1, "echo", broken), tmp_path)[0]


def test_the_pages_show_many_commands() -> None:
    found = [
        step
        for page in pages(ROOT)
        for step in steps_of(page.name, page.read_text(encoding="utf-8"))
        if not step.file
    ]
    assert len(found) > 80
    parsed = [step for step in found if step.rule.how == "parse"]
    assert len(parsed) < 0.2 * len(found), [step.command for step in parsed]
    assert all(rule.why for rule in RULES)


def test_written_numbers_are_the_printed_ones_and_what_is_left_out_stays_out() -> None:
    step = Step("page", 1, output="plan\n...\n│ a │ 82.0 │\n...\n", compares_numbers=False)
    assert refreshed(step, "plan\n\nmore\n│ a │ 7.9 │\nend\n") == "plan\n...\n│ a │ 7.9 │\n...\n"
    assert refreshed(step, "another\n") == "another\n"
