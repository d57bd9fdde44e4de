"""The decks: complete, readable without a network and without sight, and nothing of the lesson lost on the way."""

import re
import shutil

import pytest
from bs4 import BeautifulSoup
from nbformat import v4

from course_tools.publish import slides
from recsys_helpers.course import notebooks
from recsys_helpers.errors import CourseError

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LONG = "The first sentence has a few words." + " Another one follows it with more words." * 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Lesson 01 made into a deck, in a folder of its own."""
    out = tmp_path_factory.mktemp("slides")
    assert slides.make(["01"], out) == [out / "01_self_attention.html"]
    return out


@pytest.fixture(scope="module")
def deck(folder) -> BeautifulSoup:
    return BeautifulSoup((folder / "01_self_attention.html").read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def lesson():
    return notebooks.read(notebooks.find_lesson("01"))


def picture(**metadata):
    return v4.new_output("display_data", data={"image/png": PNG, "text/plain": "Figure"}, metadata=metadata)


def table(rows: int):
    body = "".join(f"<tr>{'<th rowspan=' + repr(str(rows)) + '>group</th>' if not i else ''}<td>row {i}</td></tr>"
                   for i in range(rows))  # fmt: skip
    html = f"<table><thead><tr><th>head</th></tr></thead><tbody>{body}</tbody></table>"
    return v4.new_output("execute_result", data={"text/html": html, "text/plain": "table"})


def text(words: str):
    return v4.new_output("stream", text=words)


def small(*cells):
    """A lesson of these cells: strings become Markdown, pairs become (code, outputs)."""
    made = [v4.new_markdown_cell(c) if isinstance(c, str) else v4.new_code_cell(c[0], outputs=c[1]) for c in cells]
    return v4.new_notebook(cells=[v4.new_markdown_cell("# 00 Title\n\nBy the end you can"), *made])


def columns(page: BeautifulSoup) -> list:
    return page.select(".slides > section")


def test_nothing_is_loaded_from_elsewhere(folder):
    for path in folder.glob("*.html"):
        page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
        loaded = [tag.get("src") or tag.get("href") for tag in page.select("[src], link[href]")]
        assert all(address.startswith(("data:image/", "reveal/")) for address in loaded)
        for address in loaded:
            assert address.startswith("data:") or (folder / address).is_file(), address
    for style in folder.rglob("*.css"):
        for address in re.findall(r"url\(['\"]?([^)'\"]+)", style.read_text("utf-8")):
            assert address.startswith("data:") or (style.parent / address.split("?")[0]).is_file(), (
                style.name,
                address,
            )
        assert "@import" not in style.read_text("utf-8")
    assert "//" not in (folder / "reveal/course.js").read_text("utf-8").replace("// ", "")


@pytest.mark.parametrize("name", [path.stem for path in notebooks.lessons()])
def test_every_section_of_every_lesson_begins_a_column(name):
    cells = notebooks.read(notebooks.find_lesson(name)).cells
    wanted = [line for cell in cells if cell.cell_type == "markdown" for line in re.findall(r"^#{1,2} .*", cell.source, re.M)]  # fmt: skip # noqa: E501
    assert [
        slide.heading for slide in slides.outline(notebooks.read(notebooks.find_lesson(name))) if slide.opens
    ] == wanted


def test_columns_are_columns_on_the_page_too(deck, lesson):
    headings = [column.section.find(["h1", "h2"]).get_text() for column in columns(deck)]
    wanted = re.findall(r"^#{1,2} (.*)", "\n".join(c.source for c in lesson.cells if c.cell_type == "markdown"), re.M)
    assert headings == wanted
    assert all(section.find(["h1", "h2", "h3"]) for section in deck.select("section > section")), "each has a heading"


def test_every_picture_carries_its_words(deck, lesson):
    outputs = [output for cell in lesson.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(deck.select("img")) == len(pictures) >= 7
    for img, output in zip(deck.select("img"), pictures, strict=True):
        words = output.metadata.get("image/png", {}).get("alt")
        assert img["alt"] == words if words else len(img["alt"]) > 10
    assert not deck.select("details"), "the words stand in alt, not under the picture"


def test_the_words_of_a_picture_come_from_its_metadata_or_else_the_heading():
    named = picture(**{"image/png": {"alt": 'Two lines that "cross" at <3>'}})
    page = slides.render(small("## Loss by epoch", ("plt.show()", [named]), ("plt.show()", [picture()])))
    first, second = BeautifulSoup(page, "html.parser").select("img")
    assert first["alt"] == 'Two lines that "cross" at <3>'
    assert second["alt"] == "Figure: Loss by epoch"


def test_formulas_are_drawn(deck, folder):
    assert len(deck.select('math[display="block"]')) == 2
    assert len(deck.select('math[display="inline"]')) > 10
    assert [number.get_text() for number in deck.select(".eqno")] == ["(1.1)", "(1.2)"]
    words = BeautifulSoup(str(deck), "html.parser")  # a copy, since the code goes out of it
    for tag in words.select("pre, code, style, script"):
        tag.decompose()
    assert not re.search(r"\$|\\(frac|text|sqrt|cdot)", words.get_text())
    assert deck.select_one("math mfrac msqrt"), "the scaled scores"
    assert (folder / "reveal/STIXTwoMath-Regular.ttf").is_file()


def test_what_does_not_fit_is_in_the_speaker_notes():
    lesson = small("## Section", f"{LONG}\n\nA short paragraph.", ("show()", [picture()]))
    lesson.cells.append(v4.new_markdown_cell(f"What one sees. {LONG}", id="x-reading"))
    _, slide, shown = slides.outline(lesson)
    assert slide.body[0].startswith("The first sentence has a few words. Another")
    assert len(slide.body[0].split()) <= slides.WORDS
    assert slide.body[1] == "A short paragraph."
    assert shown.caption.startswith("What one sees.") and len(shown.caption.split()) <= slides.WORDS
    assert slide.notes == [LONG] and shown.notes == [f"What one sees. {LONG}"]
    page = BeautifulSoup(slides.render(lesson), "html.parser")
    assert page.select_one("section section aside.notes") and LONG in page.get_text()


def test_no_sentence_is_cut_inside_a_formula_or_emphasis():
    formula = "Here $a. B$ and **bold. Text** stand " + "word " * 60 + "so. " + "After it more words come. " * 5
    shown, whole = slides._cut(formula)
    assert shown.endswith("so.") and whole == formula


def test_code_is_hidden_beside_pictures_and_shown_where_it_is_the_point():
    lesson = small(
        "## Section",
        ("import numpy as np", []),
        ("x = 1", []),
        ("x + 1", [picture()]),
        ("print(x)", [text("1")]),
        ("def f(x):\n    return x", []),
        ("y = 2\n" * 12 + "print(y)", [text("2")]),
    )
    _, hidden, printed, defined, long = slides.outline(lesson)
    assert hidden.cell.metadata["tags"] == ["hidden"] and hidden.cell.source == "x = 1\n\nx + 1"
    assert "```python\nx = 1\n```" in hidden.notes, "the speaker sees what led to it"
    assert "tags" not in printed.cell.metadata and "tags" not in defined.cell.metadata
    assert long.cell.metadata["tags"] == ["hidden"]
    assert "import" not in slides.render(lesson).split("<body>")[1]


def test_set_up_and_pointers_to_exercises_stay_out(deck):
    words = deck.get_text()
    for absent in ("seed = 7", "Now you", "exercises 01", "You need"):
        assert absent not in words
    assert not deck.select('a[href$=".ipynb"]')


def test_a_link_to_another_lesson_leads_to_its_deck():
    page = slides.render(small("## Next\n\nSee [lesson 02](02_bert.ipynb).", ("1", [text("1")])))
    assert BeautifulSoup(page, "html.parser").select_one('a[href="02_bert.html"]')


@pytest.mark.parametrize("rows", [14, 33])
def test_a_tall_table_is_spread_and_each_part_says_its_group(rows):
    parts = [slide for slide in slides.outline(small("## All", ("table", [table(rows)]))) if slide.cell is not None]
    assert len(parts) > 1
    shown = []
    for part in parts:
        page = BeautifulSoup(part.cell.outputs[0].data["text/html"], "html.parser")
        assert page.select_one("thead th").get_text() == "head"
        found = [row.td.get_text() for row in page.select("tbody tr")]
        assert len(found) <= slides.ROWS
        assert page.select_one("tbody tr th").get_text() == "group"
        shown += found
    assert shown == [f"row {i}" for i in range(rows)], "every row once, in order"


def test_text_that_fills_more_than_a_slide_becomes_several():
    paragraphs = [f"Paragraph {i}. " + "word " * 40 + "end." for i in range(9)]
    deck = slides.outline(small("## Section", "\n\n".join(paragraphs)))[1:]
    assert len(deck) > 1 and [slide.opens for slide in deck] == [True] + [False] * (len(deck) - 1)
    assert [block for slide in deck for block in slide.body] == paragraphs
    assert all(sum(map(slides._lines, slide.body)) <= slides.ROOM for slide in deck)


def test_the_front_page_lists_the_decks(folder):
    shutil.copy(folder / "01_self_attention.html", folder / "09_more.html")
    slides.make(["00"], folder)
    page = BeautifulSoup((folder / "index.html").read_text("utf-8"), "html.parser")
    links = [a["href"] for a in page.select("a")]
    assert links == ["00_orientation.html", "01_self_attention.html", "09_more.html"]
    assert page.select("a")[1].get_text() == "01 Self-attention: what in a history matters now?"
    assert not list(folder.rglob("*.part"))


def test_faults_are_told_in_a_line(tmp_path, monkeypatch):
    with pytest.raises(CourseError, match="no stored outputs"):
        slides.render(small("## Section", ("1", [])))
    with pytest.raises(CourseError, match="choose from 00_orientation"):
        slides.make(["42"], tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CourseError, match="package sphinx-revealjs is missing: make instructor"):
        slides.make(["01"], tmp_path)
