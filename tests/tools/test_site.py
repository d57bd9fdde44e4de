"""The site is built without a warning, and every page of it is opened in a real browser, from disk."""

import ast
import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import psutil
import pytest
import yaml
from browser import DESK, PHONE, chromium, listen, needs_chromium, shoot
from bs4 import BeautifulSoup
from playwright.sync_api import expect
from pybtex.database import parse_file

from course_tools.__main__ import app
from course_tools.publish import site
from recsys_helpers.course import notebooks
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

REPOSITORY, HUB = "https://github.com/owner/name", "https://hub.example.org"
BIBLIOGRAPHY = parse_file(str(site.DOCS / "references.bib")).entries
FOLDERS = list(site.FOLDERS.values())
LESSON = "notebooks/04_lstm_interest_evolution.html"
DARK = ("en/index.html", f"en/{LESSON}", "zh/notebooks/01_self_attention.html")  # one style sheet for all pages


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The site, made by the command of README in its default folder, which is relative to where one is."""
    here = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "course_tools", "site", "--repository", REPOSITORY, "--hub", HUB]
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    subprocess.run(command, cwd=here, env=os.environ | {"PYTHONPATH": search}, check=True)
    return here / "build" / "site"


@pytest.fixture(scope="module")
def pages(built) -> dict[str, BeautifulSoup]:
    """Every page by its path in the site."""
    paths = [path for folder in FOLDERS for path in (built / folder).rglob("*.html") if "_static" not in path.parts]
    return {str(path.relative_to(built)): BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in paths}


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def test_all_lessons_exercises_and_modules_are_there(pages):
    for folder in FOLDERS:
        for path in [*notebooks.lessons(), *notebooks.solutions()]:
            kind = "notebooks" if path.parent.name == "notebooks" else "exercises"
            assert f"{folder}/{kind}/{path.stem}.html" in pages
        modules = {"paths", "models.self_attention", "training.fit", "evaluation.ranks", "scale.cost", "data.splits"}
        assert modules <= {Path(page).stem for page in pages if page.startswith(f"{folder}/api/")}
        for page in (
            "docs/instructors",
            "docs/mistakes",
            "docs/performance",
            "docs/jupyterhub/README",
            "datasets/README",
        ):
            assert f"{folder}/{page}.html" in pages


def test_no_internal_link_is_broken(built, pages):
    ids = {page: {tag["id"] for tag in soup.select("[id]")} for page, soup in pages.items()}
    seen = 0
    for page, soup in pages.items():
        for tag, attribute in [(tag, "href") for tag in soup.select("[href]")] + [
            (t, "src") for t in soup.select("[src]")
        ]:
            target, _, anchor = unquote(tag[attribute]).partition("#")
            if re.match(r"[a-z]+:|//", target):
                continue
            path = (built / page).parent / target.partition("?")[0] if target else built / page
            assert path.exists(), f"{page}: {tag[attribute]}"
            name = os.path.relpath(path, built)
            assert not anchor or name not in ids or anchor in ids[name] or anchor == "", f"{page}: {tag[attribute]}"
            seen += 1
    assert seen > 10_000


def test_nothing_comes_from_a_network(built):
    for path in [*built.rglob("*.html"), *built.rglob("*.css")]:
        text = path.read_text("utf-8")
        loaded = re.findall(
            r"""<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=["'](https?:[^"']+)|url\(["']?(https?:[^)]+)""", text
        )
        assert not [url for url in loaded if "".join(url)], path


@needs_chromium
@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_every_page_loads_in_a_browser(built, pages, browser, look):
    page = browser.new_context(**({"phone": PHONE, "dark": DESK | {"color_scheme": "dark"}}.get(look, DESK))).new_page()
    heard = listen(page)
    shown = [name for name in pages if not name.startswith("zh/api/")]  # they are as the English ones
    for name in sorted(shown) if look != "dark" else DARK:
        page.goto((built / name).as_uri())
        assert not heard, f"{name}: {heard}"
        assert page.evaluate("document.documentElement.dataset.theme") == ("dark" if look == "dark" else "light")
        assert page.evaluate("document.documentElement.lang") == ("en" if name.startswith("en/") else "zh-CN")
        # not innerWidth, which a phone's browser makes as wide as the page
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= page.viewport_size["width"], f"{name} is wider than the screen"
        without = (
            "images => images.filter(image => !image.alt || !image.naturalWidth).map(image => image.src.slice(-80))"
        )
        assert page.eval_on_selector_all("img", without) == [], name
        if Path(name).stem in ("index", "01_self_attention", "glossary") and "/api/" not in name:
            shoot(page, f"site-{look}-{name.replace('/', '-').removesuffix('.html')}")


@needs_chromium
@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("width", [1440, 768, 390])
def test_each_button_opens_and_closes_what_it_names(built, browser, width, folder):
    page = browser.new_page(viewport={"width": width, "height": 844}, reduced_motion="reduce")
    page.goto((built / folder / LESSON).as_uri())
    lesson = page.locator('.bd-sidebar-primary a[href$="05_cross_domain_transfer.html"]').first
    section = page.locator(".bd-sidebar-secondary nav a").first
    menu, contents, search = (
        page.locator(f".{name}:visible") for name in ("primary-toggle", "secondary-toggle", "search-button")
    )
    expect(menu).to_have_count(1)
    if width == 1440:  # menu and contents stand beside the text, and the menu goes when one wants room
        expect(contents).to_have_count(0)
        expect(section).to_be_in_viewport()
        expect(lesson).to_be_in_viewport()
        menu.click()
        expect(lesson).to_be_hidden()
        menu.click()
        expect(lesson).to_be_visible()
        expect(lesson).to_be_in_viewport()
    else:  # they come over it; what closes them are a touch beside, Escape, and a choice
        for button, link, beside in ((menu, lesson, width - 8), (contents, section, 8)):
            expect(link).not_to_be_in_viewport()
            button.click()
            expect(link).to_be_in_viewport()
            page.mouse.click(beside, 600)
            expect(link).not_to_be_in_viewport()
            button.click()
            expect(link).to_be_in_viewport()
            page.keyboard.press("Escape")
            expect(link).not_to_be_in_viewport()
        contents.click()
        section.click()
        expect(section).not_to_be_in_viewport()
        expect(page.locator("article h2").first).to_be_in_viewport()
        search.first.click()
        expect(page.locator("#pst-search-dialog input")).to_be_focused()
        page.keyboard.press("Escape")
        menu.click()
    shoot(page, f"site-menu-{width}-{folder}")
    lesson.click()
    page.wait_for_url("**/05_cross_domain_transfer.html")


MEASURE = r"""() => {
  const texts = (element) => {
    const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), found = [];
    while (walk.nextNode()) found.push(walk.currentNode);
    return found;
  };
  const boxes = (node, from = 0, to = node.data.length) => {
    const range = document.createRange();
    range.setStart(node, from);
    range.setEnd(node, to);
    return [...range.getClientRects()].filter((box) => box.width);
  };
  const lines = (all) => {
    let count = 0, bottom = -Infinity;
    for (const box of all.sort((a, b) => a.top - b.top)) {
      if (box.top > bottom - 3) count++;
      bottom = Math.max(bottom, box.bottom);
    }
    return count;
  };
  const broken = [], crowded = [], unboxed = [];
  let cells = 0, wider = 0, equations = 0;
  for (const table of document.querySelectorAll("article table")) {
    let box = table.parentElement;
    while (box && getComputedStyle(box).overflowX !== "auto") box = box.parentElement;
    const edge = box ? box.getBoundingClientRect().right : Infinity;
    if (table.getBoundingClientRect().right > innerWidth) wider++;
    if (Math.min(edge, table.getBoundingClientRect().right) > innerWidth) unboxed.push(table.innerText.slice(0, 60));
    for (const cell of table.querySelectorAll("th, td")) {
      const style = getComputedStyle(cell), said = cell.innerText.trim();
      if (Math.min(parseFloat(style.paddingLeft), parseFloat(style.paddingRight)) < 4) crowded.push(said);
      for (const node of texts(cell))
        for (const number of node.data.matchAll(/(?<![\w-])[-+−]?[\d.,]*\d/g))
          if (lines(boxes(node, number.index, number.index + number[0].length)) > 1) broken.push(number[0]);
      if (/^[-+−]?[\d.,]+%?( \[.*\])?$/.test(said)) {
        cells++;
        if (lines(texts(cell).flatMap((node) => boxes(node))) > 1) broken.push(said);
      }
    }
  }
  for (const number of document.querySelectorAll(".eqno, a[href^='#formula-']")) {
    equations++;
    if (lines(texts(number).flatMap((node) => boxes(node))) > 1) broken.push(number.innerText);
  }
  return {broken, crowded, unboxed, cells, wider, equations, page: document.documentElement.scrollWidth};
}"""


@needs_chromium
@pytest.mark.parametrize("folder", FOLDERS)
def test_tables_and_formulas_keep_numbers_whole_on_a_phone(built, browser, folder):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    seen = {"cells": 0, "wider": 0, "equations": 0}
    for name in ("notebooks/03_interest_strength", "notebooks/06_multi_scenario_fusion", "results", "datasets/README"):
        page.goto((built / folder / f"{name}.html").as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        measured = page.evaluate(MEASURE)
        assert not measured["broken"], f"{name}: broken across lines"
        assert not measured["crowded"], f"{name}: no room between cells"
        assert not measured["unboxed"], f"{name}: wider than the screen and in no box of its own"
        assert measured["page"] <= 390, f"{name} scrolls sideways"
        seen = {what: count + measured[what] for what, count in seen.items()}
        page.locator("article table").last.scroll_into_view_if_needed()
        shoot(page, f"site-tables-{folder}-{Path(name).name}")
    assert seen["cells"] > 500 and seen["wider"] > 5 and seen["equations"] > 3


@needs_chromium
def test_the_leaderboard_is_seen_whole_on_a_desk(built, browser):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto((built / "en" / "results.html").as_uri())
    boxes = page.locator(".pst-scrollable-table-container:visible").evaluate_all(
        "all => all.map(one => one.scrollWidth - one.clientWidth)"
    )
    assert len(boxes) >= 4 and max(boxes) <= 0


@needs_chromium
@pytest.mark.parametrize(
    "folder, words, found",
    [
        ("en", "self-attention", "01 Self-attention"),
        ("en", "row-stochastic", "04 LSTM"),
        ("zh", "自注意力", "01 自注意力"),
        ("zh", "遗忘门", "04 LSTM"),
    ],
)
def test_search_works_from_disk(built, browser, folder, words, found):
    page = browser.new_page()
    heard = listen(page)
    page.goto(f"{(built / folder / 'search.html').as_uri()}?q={words}")
    page.wait_for_selector("#search-results li a")
    assert any(found in text for text in page.locator("#search-results li a").all_inner_texts())
    assert not heard
    shoot(page, f"site-search-{folder}")


@needs_chromium
def test_the_language_is_switched_on_the_same_page(built, browser):
    page = browser.new_context(**DESK).new_page()
    page.goto((built / "en" / LESSON).as_uri())
    page.click("text=中文")
    assert page.url.endswith(f"/zh/{LESSON}") and "兴趣演化" in page.locator("article h1").inner_text()
    page.click("a.language-switch")
    assert page.url.endswith(f"/en/{LESSON}") and "LSTM interest evolution" in page.locator("article h1").inner_text()


@needs_chromium
@pytest.mark.parametrize("locale, folder", [("zh-CN", "zh"), ("en-GB", "en"), ("de-DE", "en")])
def test_the_front_page_leads_to_the_readers_language(built, browser, locale, folder):
    page = browser.new_context(locale=locale).new_page()
    page.goto((built / "index.html").as_uri())
    page.wait_for_url(f"**/{folder}/index.html")


def test_formulas_have_numbers_that_are_links(pages):
    for folder in FOLDERS:
        lesson = pages[f"{folder}/{LESSON}"]
        assert [number.get_text() for number in lesson.select(".equation .eqno")] == ["(4.1)", "(4.2)"]
        links = [link for link in lesson.select('a[href="#formula-4-1"]') if link.get_text() == "(4.1)"]
        assert links and lesson.select_one("#formula-4-1")
        assert lesson.select("math[alttext]") and not re.search(r"\$|\\frac", lesson.select_one("article").get_text())


def test_terms_lead_to_the_glossary_which_has_both_names(pages):
    entries = site.glossary()
    for folder, lesson in (("en", "self-attention"), ("zh", "自注意力")):
        names = {term.get_text().rstrip("#") for term in pages[f"{folder}/glossary.html"].select("dl.glossary dt")}
        assert {name for entry in entries for name in (entry["term"], entry["zh"][0])} == names
        linked = pages[f"{folder}/notebooks/01_self_attention.html"].select('a[href*="glossary.html#term-"]')
        assert lesson in {link.get_text() for link in linked}
        total = sum(len(page.select('article a[href*="glossary.html#term-"]')) for page in pages.values())
    assert total > 150


def test_glossary_entries_are_whole_and_their_terms_are_used():
    stems = {path.stem[:2]: path for path in notebooks.lessons()}
    entries = site.glossary()
    assert [entry["term"].lower() for entry in entries] == sorted({entry["term"].lower() for entry in entries})
    for entry in entries:
        assert entry.keys() >= {"term", "zh", "lesson", "means", "means_zh"}, entry
        assert re.search("[\u4e00-\u9fff]", entry["means_zh"]) and not re.search("[\u4e00-\u9fff]", entry["means"])
        text = " ".join(c.source for c in notebooks.read(stems[entry["lesson"]]).cells if c.cell_type == "markdown")
        forms = [entry["term"], *entry.get("forms", [])]
        assert any(form.lower() in text.lower() for form in forms), (
            f"{entry['term']} is not in lesson {entry['lesson']}"
        )


@pytest.mark.parametrize("key", BIBLIOGRAPHY)
def test_each_work_is_identified(key):
    fields, people = BIBLIOGRAPHY[key].fields, BIBLIOGRAPHY[key].persons["author"]
    assert re.fullmatch(r"[a-z]+\d{4}[a-z0-9]+", key) and people and fields["title"]
    assert re.fullmatch(r"(19|20)\d\d", fields["year"]) and fields["year"] in key
    assert "doi" in fields or "eprint" in fields or fields["url"].startswith("https://")
    assert re.fullmatch(r"10\.\d{4,9}/[^\s{}\\]+", fields.get("doi", "10.1000/none"))
    assert re.fullmatch(r"\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}", fields.get("eprint", "1706.03762"))
    assert fields.get("archiveprefix", "arXiv") == "arXiv"


def test_few_works_have_neither_doi_nor_arxiv_number():
    assert {k for k, e in BIBLIOGRAPHY.items() if not {"doi", "eprint"} & set(e.fields)} == {
        "gini1912variabilita",  # a book of 1912
        "swaminathan2015self",  # proceedings without DOIs
        "woolridge2021sequence",  # a volume of CEUR
    }


@pytest.mark.parametrize("key", BIBLIOGRAPHY)
def test_each_work_is_cited(key):
    entry = BIBLIOGRAPHY[key]
    texts = [cell.source for path in notebooks.lessons() for cell in notebooks.read(path).cells]
    if any(f"({site.address(entry.fields)})" in text for text in texts):
        return
    name = entry.persons["author"][0].last_names[-1]
    code = " ".join(path.read_text("utf-8") for path in (ROOT / "recsys_helpers").rglob("*.py"))
    assert re.search(rf"{re.escape(name)}\b.{{0,250}}{entry.fields['year']}", re.sub(r"\s+", " ", code)), key


@pytest.mark.parametrize("path", notebooks.lessons(), ids=lambda path: path.stem)
def test_each_reference_of_a_lesson_is_in_the_bibliography(path, pages):
    text = next(cell.source for cell in notebooks.read(path).cells if "### References" in cell.source)
    lines = re.findall(r"(?m)^- .*$", text.partition("### References")[2])
    linked = [re.search(r"\((https://[^)]*)\)$", line) for line in lines]
    assert lines and all(linked), "each ends with a link to a DOI or to arXiv"
    assert {link[1] for link in linked} <= site.bibliography().keys()
    shown = pages[f"en/notebooks/{path.stem}.html"].select('article a[href*="bibliography.html#id"]')
    assert len(shown) == len(lines)


def test_pages_can_be_downloaded_as_plain_notebooks(built, pages):
    for folder, title in (("en", "# 04 LSTM interest"), ("zh", "# 04 LSTM 兴趣")):
        links = pages[f"{folder}/{LESSON}"].select('a.btn-download-source-button[href$=".ipynb"]')
        notebook = nbformat.read((built / folder / LESSON).parent / links[0]["href"], 4)
        nbformat.validate(notebook)
        assert notebook.cells[0].source.startswith(title)
        assert not any("{term}" in cell.source or "{cite}" in cell.source for cell in notebook.cells)


def test_buttons_start_the_notebook_elsewhere(pages):
    links = {link["href"] for link in pages[f"en/{LESSON}"].select(".article-header-buttons a[href]")}
    page = LESSON.removesuffix(".html")
    assert f"https://colab.research.google.com/github/owner/name/blob/gh-pages/en/colab/{page}.ipynb" in links
    assert f"https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/{page}.ipynb" in links
    assert f"{HUB}/hub/user-redirect/lab/tree/recsys-course/{page}.ipynb" in links
    chinese = {link["href"] for link in pages[f"zh/{LESSON}"].select(".article-header-buttons a[href]")}
    assert f"https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/build/zh/{page}.ipynb" in chinese
    assert not any("hub/user-redirect" in link for link in chinese)
    index = pages["en/index.html"].select(".article-header-buttons a[href]")
    assert not any("colab" in link["href"] for link in index)


def test_the_colab_notebook_sets_itself_up_from_a_clone(built, tmp_path):
    """Its first cell is run in a made-up Colab: a folder as /content, a clone of this course, and a pip that notes."""
    notebook = nbformat.read(built / "en" / "colab" / "notebooks" / "01_self_attention.ipynb", 4)
    cell, original = notebook.cells[0].source, notebooks.read(notebooks.find_lesson("01"))
    assert notebook.cells[1:] == original.cells and f'"{REPOSITORY}"' in cell
    course = tmp_path / "course"
    origin = tmp_path / "origin"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, origin / name)
    git = ["git", "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "course"]):
        subprocess.run([*git, *command], check=True)
    pip = tmp_path / "python"
    pip.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/pip.log\n')
    pip.chmod(0o755)
    program = cell.replace("/content/course", str(course)).replace("/content", str(tmp_path))
    program = program.replace(f'"{REPOSITORY}"', f'"file://{origin}"')
    setting = f"import sys, types; sys.modules['google.colab'] = types.ModuleType('colab'); sys.executable = '{pip}'\n"
    where = "\nimport os; print(os.getcwd())"
    runs = [
        subprocess.run([sys.executable, "-c", setting + program + where], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == "", "the first run ends the kernel, which starts anew"
    assert runs[1].stdout.strip() == str(course / "notebooks")
    asked = (tmp_path / "pip.log").read_text().splitlines()
    assert len(asked) == 2, "the second run installs nothing"
    locks = re.findall(r" -c(/\S+)", asked[0])
    assert len(locks) == 3 and all(Path(lock).is_file() for lock in locks), "pip reads the versions in the clone"
    assert "keras-nlp" in asked[0] and asked[1].endswith(f"--no-deps -e {course}")
    elsewhere = subprocess.run([sys.executable, "-c", cell + where], capture_output=True, text=True, cwd=tmp_path)
    assert elsewhere.stdout.strip() == str(tmp_path), "on other machines the cell does nothing"


def test_colab_gets_all_that_lessons_import():
    """Every package that a notebook imports, itself or through the helpers, is installed or a part of Python."""
    code = [
        cell.source
        for path in [*notebooks.lessons(), *notebooks.solutions()]
        for cell in notebooks.read(path).cells
        if cell.cell_type == "code"
    ]
    waiting, helpers, packages = imported(code), set(), set()
    while waiting:
        name = waiting.pop()
        package, *_ = name.split(".")
        packages.add(package)
        for module in (name, name.rpartition(".")[0]):  # what is imported may be a module, or something in one
            helper = ROOT / f"{module.replace('.', '/')}.py"
            if package == "recsys_helpers" and helper.exists() and helper not in helpers:
                helpers.add(helper)
                waiting |= imported([helper.read_text("utf-8")])
    assert len(helpers) > 35
    wheels = {"sklearn": "scikit-learn", "faiss": "faiss-cpu", "yaml": "pyyaml"}
    needed = {wheels.get(name, name.replace("_", "-")) for name in packages - sys.stdlib_module_names}
    assert needed - {"recsys-helpers", "IPython"} <= set(site.COLAB_PACKAGES.split())


def imported(sources: list[str]) -> set[str]:
    """What these programs import when they are loaded, as package.module."""
    found = set()
    for source in sources:
        for node in ast.parse(source).body:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_covers_are_pictures_of_the_lessons(built):
    for path in notebooks.lessons():
        stored = next(c for c in notebooks.read(path).cells if c.id == site.COVERS[path.stem[:2]])
        picture = next(o.data["image/png"] for o in stored.outputs if "image/png" in o.get("data", {}))
        assert (built / "en" / "_images" / f"{path.stem[:2]}.png").read_bytes() == base64.b64decode(picture)


def test_backups_of_a_student_are_no_pages(tmp_path, monkeypatch):
    root = tmp_path / "course"
    shutil.copytree(ROOT / "exercises", root / "exercises")
    shutil.copy(root / "exercises/01_self_attention.ipynb", root / "exercises/01_self_attention.backup-1.ipynb")
    for name in ("notebooks", "docs", "datasets"):
        (root / name).symlink_to(ROOT / name)
    monkeypatch.setattr(site, "ROOT", root)
    monkeypatch.setattr(site, "DOCS", root / "docs")
    site.gather(tmp_path / "source", "en")
    names = {path.name for path in (tmp_path / "source" / "exercises").iterdir()}
    assert names == {path.name for path in notebooks.solutions()}


def test_a_broken_link_fails_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "gather", lambda source, language: _small(source, "[nowhere](nothing.md)"))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / site.MARK).write_text(site.MARKED)
    with pytest.raises(CourseError, match=r"(?s)not built \(en, zh\).*nothing\.md"):
        site.make(tmp_path / "site", REPOSITORY)
    assert (tmp_path / "site" / site.MARK).exists(), "the last good site stays"


def test_the_command_writes_into_a_relative_folder(tmp_path, monkeypatch):
    """In a short form, from the root of the repository: one page, which links to a file that is no page."""

    def gather(source, language):
        _small(source, "[the versions](requirements/student.lock)")
        site._copy_linked(source)

    monkeypatch.setattr(site, "gather", gather)
    monkeypatch.chdir(ROOT)
    out = tmp_path / "new" / "site"
    app(["site", "--out", os.path.relpath(out)], standalone_mode=False)
    assert {path.name for path in out.iterdir()} == {"index.html", ".nojekyll", "en", "zh"}
    assert len([*out.rglob("student.lock")]) == 2
    assert [path.name for path in out.parent.iterdir()] == ["site"], "nothing else is left"
    site._require_replaceable(out)


@pytest.mark.parametrize("kind", ["files", "another site", "something put into ours", "a file", "a link to files"])
def test_what_the_command_has_not_made_is_not_replaced(tmp_path, monkeypatch, kind):
    out = tmp_path / "site"
    folder = tmp_path / "elsewhere" if kind == "a link to files" else out
    if kind == "a file":
        out.write_text("mine")
    else:
        for name in {"files": ["mine"], "a link to files": ["mine"]}.get(
            kind, ["index.html", ".nojekyll", "en/mine", "zh/index.html"]
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("mine")
    if kind == "something put into ours":
        (out / site.MARK).write_text(site.MARKED)
        (out / "CNAME").write_text("mine")
    if kind == "a link to files":
        out.symlink_to(folder)
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(site, "gather", lambda source, language: pytest.fail("the refusal comes first"))
    with pytest.raises(CourseError, match="choose another folder with --out") as refused:
        site.make(out, REPOSITORY)
    assert "\n" not in str(refused.value) and (kind != "something put into ours" or "CNAME" in str(refused.value))
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("failure", [CourseError("no Chinese"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("when", ["gathering the Chinese", "waiting for Sphinx"])
def test_no_sphinx_and_no_file_is_left_when_it_fails(tmp_path, monkeypatch, when, failure):
    def fail(*ignored):
        raise failure

    def gather(source, language):
        if when == "gathering the Chinese" and language == "zh_CN":
            fail()
        _small(source, "Some words.")

    monkeypatch.setattr(site, "gather", gather)
    if when == "waiting for Sphinx":
        monkeypatch.setattr(subprocess.Popen, "communicate", fail)
    (tmp_path / "site.part").mkdir()
    (tmp_path / "site.part" / "mine").touch()
    with pytest.raises(type(failure)):
        site.make(tmp_path / "site", REPOSITORY)
    left = [process for process in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(process.info["cmdline"])]
    assert not left
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["site.part", "site.part/mine"]


@pytest.mark.parametrize("address", ["github.com/owner/name", "https://github.com/owner", "https://example.org/a/b"])
def test_a_repository_that_is_none_is_refused(tmp_path, address):
    with pytest.raises(CourseError, match=r"has to look like https://github\.com/owner/name"):
        site.make(tmp_path / "site", address)


@pytest.mark.parametrize(
    "remote, address",
    [
        ("https://github.com/owner/name.git", REPOSITORY),
        ("git@github.com:owner/name.git", REPOSITORY),
        ("https://gitlab.com/owner/name.git", None),
        ("/a/folder", None),
    ],
)
def test_the_repository_is_that_of_the_clone(tmp_path, monkeypatch, remote, address):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(site, "ROOT", tmp_path)
    assert site._origin() is None
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", remote], check=True)
    assert site._origin() == address


def _small(source: Path, text: str) -> None:
    source.mkdir(parents=True)
    (source / "index.md").write_text(f"# Small\n\n{text}\n", "utf-8")
    for name in ("conf.py", "references.bib"):
        shutil.copy(site.DOCS / name, source)
    for name in ("_static", "_templates"):
        shutil.copytree(site.DOCS / name, source / name)
    (source / "words.txt").touch()


def test_the_settings_of_the_site_name_files_that_exist():
    assert yaml.safe_load((site.DOCS / "glossary.yaml").read_text("utf-8"))
    for name, cell in site.COVERS.items():
        assert any(c.id == cell for c in notebooks.read(notebooks.find_lesson(name)).cells)
