"""The page in a real browser: its charts are drawn, its tables sort, its colours follow."""

import itertools
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from frod_bench.report.asked import Cell
from tests.machine import browser
from tests.report.page_reader import Page

Experiment = tuple[Path, list[Cell]]
pytestmark = pytest.mark.browser

Browse = Callable[[Path, str], str]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """browse(page, script) -> the document after the script ran in it; its console is silent."""
    chromium = browser()
    assert chromium is not None

    def run(path: Path, script: str) -> str:
        probed = tmp_path / "probed.html"
        probe = f"<script>addEventListener('load', () => {{ {script} }});</script>"
        probed.write_text(path.read_text().replace("</body>", f"{probe}</body>"))
        done = subprocess.run(
            [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu"),
                *("--enable-logging=stderr", "--virtual-time-budget=1000"),
                *(f"--user-data-dir={tmp_path}/profile", "--dump-dom", probed.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert said == []
        return done.stdout

    return run


def test_browser_draws_the_charts_and_says_them(page: Page, browse: Browse) -> None:
    shown = browse(page.path, "")
    assert shown.count('class="main-svg"') >= 2
    buttons = set(re.findall('modebar-btn[^>]*data-title="([^"]*)"', shown))
    assert "Zoom in" in buttons
    assert not any("Share" in button for button in buttons)  # plotly's sends the figure away
    assert '<p class="hidden in-words">mean of 2 tasks' in shown
    assert "<figcaption>Mean over 2 tasks" in shown


def test_browser_sorts_tasks_and_leaves_means(page: Page, browse: Browse) -> None:
    shown = browse(
        page.path,
        "const head = document.querySelectorAll('#main-table .sort');"
        "head[0].click();"  # tasks from a to z
        "document.title = [...document.querySelectorAll('#main-table tbody')[0].rows]"
        ".map((row) => row.cells[0].textContent).join();",
    )
    title = re.search("<title>(.*)</title>", shown)
    assert title
    assert title[1] == "Language,CoLA (MCC),RTE,mean of Language"


@pytest.mark.parametrize("width", [350, 1180])
def test_browser_draws_the_names_of_the_front_apart(page: Page, browse: Browse, width: int) -> None:
    script = (
        f"const plot = document.querySelectorAll('.plot')[1]; plot.style.width = '{width}px';"
        "Plotly.Plots.resize(plot).then(() => {"
        "const texts = [...plot.querySelectorAll('.legendtext, .xtitle, .xtick text')];"
        "document.title = JSON.stringify(texts.map((text) => {"
        "const box = text.getBoundingClientRect();"
        "return [text.textContent, box.left, box.right, box.top, box.bottom];})); });"
    )
    title = re.search("<title>(.*)</title>", browse(page.path, script))
    assert title
    boxes = json.loads(title[1].replace("&quot;", '"'))
    assert {"Full FT", "FRoD", "LoRA", "Frozen", "trained % of the backbone"} <= {
        b[0] for b in boxes
    }
    for one, other in itertools.combinations(boxes, 2):
        apart = one[2] <= other[1] or other[2] <= one[1] or one[4] <= other[3] or other[4] <= one[3]
        assert apart, (one, other)


def test_browser_hides_a_method_and_turns_dark(page: Page, browse: Browse) -> None:
    script = (
        "const box = document.querySelector('.methods input[value=LoRA]'); box.click();"
        "document.querySelector('.theme input[value=dark]').click();"
        "const plot = document.querySelector('.plot');"
        "document.title = JSON.stringify([plot.data.filter(t => t.visible !== false)"
        ".map(t => t.name), plot.data.find(t => t.name === 'Full FT' && t.mode === 'lines'"
        " && t.line.color).line.color, getComputedStyle(document.body).backgroundColor]);"
    )
    title = re.search("<title>(.*)</title>", browse(page.path, script))
    assert title
    names, color, paper = json.loads(title[1].replace("&quot;", '"'))
    assert set(names) == {"Full FT", "FRoD", "Frozen"}
    assert color == "#f2f2f2"
    assert paper == "rgb(21, 24, 28)"
