"""JupyterLab in a real browser: a student runs lesson 01, answers an exercise, plays with the panel of lesson 08."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import DESK, chromium, needs_chromium, shoot
from playwright.sync_api import Locator, Page, expect

from recsys_helpers.course import chinese, notebooks
from recsys_helpers.paths import ROOT

pytestmark = needs_chromium
MINUTE = 60_000  # milliseconds
PANEL = ("title", "setup", "parameters", "log-code", "fit-world", "widget", "widget-code")
BY_COLUMNS = """def softmax_over_keys(scores):
    powers = np.exp(scores - scores.max(axis=-2, keepdims=True))
    return powers / powers.sum(axis=-2, keepdims=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the student has: the notebooks as they come, without outputs, and the Chinese ones."""
    folder = tmp_path_factory.mktemp("student")
    for source in [notebooks.find_lesson("01"), notebooks.find_lesson("08"), *notebooks.solutions()[:1]]:
        kind = source.parent.name.replace("solutions", "exercises")
        notebook = notebooks.read(ROOT / kind / source.name)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        if kind == "notebooks":  # little training; and of lesson 08 the cells that the panel needs
            notebook.cells = [cell for cell in notebook.cells if cell.id in PANEL or source.name.startswith("01")]
            parameters = next(cell for cell in notebook.cells if cell.id == "parameters")
            parameters.source = parameters.source.replace('"quick"', '"smoke"')
        notebooks.write(notebook, folder / kind / source.name)
    chinese.make(folder / "zh")
    return folder


@pytest.fixture(scope="module")
def address(folder):
    """The address of a JupyterLab on the student's folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {f"JUPYTER_{name}_DIR": str(folder / ".jupyter" / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    settings |= {f"JUPYTERLAB_{name}_DIR": str(folder / ".jupyter" / name) for name in ("SETTINGS", "WORKSPACES")}
    settings |= {"RECSYS_PROGRESS": str(folder / ".progress")}
    settings["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    news = folder / ".jupyter" / "SETTINGS" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')  # or Lab asks, in a box over the notebook
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--IdentityProvider.token=", "--notebook-dir", str(folder)]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT)
        for _ in range(240):
            with socket.socket() as door:
                if not door.connect_ex(("127.0.0.1", port)):
                    break
            assert server.poll() is None, (folder / "lab.log").read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/lab/tree"
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def student(address, browser):
    """A function that opens a notebook in a fresh window and gives its page."""
    windows = []

    def open_notebook(path: str) -> Page:
        window = browser.new_context(**DESK)
        windows.append(window)
        page = window.new_page()
        page.goto(f"{address}/{path}?reset")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=2 * MINUTE)
        expect(page.locator("#jp-bottom-panel, #jp-main-statusbar").get_by_text("| Idle")).to_be_visible(
            timeout=2 * MINUTE
        )
        return page

    yield open_notebook
    for window in windows:
        window.close()


def run_all(page: Page, minutes: float) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells$")).click()
    last = page.locator(".jp-Notebook .jp-CodeCell").last
    expect(last.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=minutes * MINUTE)
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.all_inner_texts()


def cell_with(page: Page, text: str) -> Locator:
    return page.locator(".jp-Notebook .jp-CodeCell").filter(has=page.locator(".jp-InputArea", has_text=text)).first


def answer(page: Page, cell: Locator, code: str | None) -> Locator:
    """Type code into a cell, where some is given, and run it; returns the cell once it has run."""
    before = cell.locator(".jp-InputPrompt").inner_text()
    cell.locator(".cm-content").click()
    if code is not None:
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-InputPrompt")).not_to_have_text(before, timeout=MINUTE)
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=MINUTE)
    if cell.locator(".jp-OutputArea-output").count():
        cell.locator(".jp-OutputArea-output").last.evaluate("output => output.scrollIntoView({block: 'end'})")
    return cell


def wrong_then_right(page: Page, explained: str, praised: str, picture: str) -> Locator:
    """Answer exercise 01.1 wrong, then right; returns the cell of its check."""
    answer(page, cell_with(page, "from recsys_helpers.checks import"), None)
    mine, check = cell_with(page, "def softmax_over_keys"), cell_with(page, 'check("01.1"')
    answer(page, mine, BY_COLUMNS)
    expect(answer(page, check, None)).to_contain_text(explained)
    shoot(page, picture)
    answer(page, mine, BY_COLUMNS.replace("-2", "-1"))
    expect(answer(page, check, None)).to_contain_text(praised)
    return check


def test_lesson_01_runs_and_shows_where_the_block_looks(student):
    page = student("notebooks/01_self_attention.ipynb")
    run_all(page, minutes=8)
    shown = cell_with(page, "attention_weights(")
    picture = shown.locator("img").first
    picture.scroll_into_view_if_needed()
    assert picture.evaluate("image => image.naturalWidth") > 300
    expect(shown).to_contain_text("The picture in words")  # Lab itself drops the alternative text
    shoot(page, "lab-lesson-01")
    expect(page.locator(".jp-Notebook .jp-CodeCell").last).to_contain_text("01 self attention")


def test_a_wrong_answer_is_explained_and_a_right_one_gets_its_tick(student, folder):
    page = student("exercises/01_self_attention.ipynb")
    check = wrong_then_right(page, "your weights sum to 1 down each column", "✓ 01.1 correct", "lab-wrong-answer")
    tick = check.locator(".jp-OutputArea .ansi-green-intense-fg, .jp-OutputArea .ansi-green-fg")
    expect(tick).to_have_text("✓")
    shoot(page, "lab-right-answer")
    chart = answer(page, page.locator(".jp-Notebook .jp-CodeCell").last, None)
    expect(chart).to_contain_text(re.compile(r"01 self attention\s+✓ · · · · · ·\s+1/7"))
    chart.scroll_into_view_if_needed()
    shoot(page, "lab-progress")
    assert (folder / ".progress").read_text().splitlines()[-1] == "01.1 done"


def test_the_panel_of_lesson_08_follows_its_controls(student):
    page = student("notebooks/08_capstone_recommender.ipynb")
    run_all(page, minutes=8)
    shown = cell_with(page, "panel(simulated")
    titles = shown.locator("table tbody tr td:first-child")
    expect(titles).to_have_count(10)
    before = titles.all_inner_texts()
    slider = shown.locator(".widget-slider", has_text="travel").locator(".noUi-handle, input, [role=slider]").first
    slider.scroll_into_view_if_needed()
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    expect(titles).not_to_have_text(before, timeout=MINUTE)
    assert titles.count() == 10
    shoot(page, "lab-panel")


def test_the_chinese_exercises_work_in_lab(student):
    page = student("zh/exercises/01_self_attention.ipynb")
    expect(page.locator(".jp-Notebook")).to_contain_text("练习 01.1")
    wrong_then_right(page, "01.1 还不对: 你的权重是每一列加起来等于 1", "✓ 01.1 正确", "lab-chinese-wrong")
    shoot(page, "lab-chinese")
