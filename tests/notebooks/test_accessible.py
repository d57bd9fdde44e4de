"""Lessons for readers who cannot see, or see other colours: words, colours, dashes, headings, tables, links."""

import ast
import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from colorspacious import cspace_convert
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from nbconvert import HTMLExporter

from course_tools.author.store import store
from recsys_helpers import plotting
from recsys_helpers.course import notebooks
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

STORED = notebooks.lessons() + notebooks.solutions()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DRAWS = r"^(plt|ax|axis|axes)\b|\.plot\b|^plotting\.(flow|\w+_map|bars_with_interval|told_and_true)$"
SHOW = r"^(plotting\.)?show$"
LEAST_APART = 15  # CAM02-UCS, where 1 is about what an eye can tell: two of the palette in any kind of sight
LEAST_LIGHTNESS = 7.5  # on a scale of 100, between two of the palette printed in black
BLIND = [None, "deuteranomaly", "protanomaly", "tritanomaly"]


def by_name(paths):
    return pytest.mark.parametrize("path", paths, ids=[f"{path.parent.name}/{path.stem}" for path in paths])


def cells(path: Path, kind: str) -> list:
    return [cell for cell in notebooks.read(path).cells if cell.cell_type == kind]


def calls(source: str, pattern: str) -> list[ast.Call]:
    """The calls in a cell whose function, as written, has the pattern in it."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in found if re.search(pattern, ast.unparse(call.func))]


def shown(source: str) -> list[str]:
    """The words of each show(...) in a cell, as show stores them."""
    return [" ".join(ast.literal_eval(call.args[0]).split()) for call in calls(source, SHOW)]


def prose(path: Path) -> str:
    """The Markdown of a notebook or page, without fenced code."""
    texts = [path.read_text()] if path.suffix == ".md" else [cell.source for cell in cells(path, "markdown")]
    return re.sub(r"(?ms)^```.*?^```$", "", "\n\n".join(texts))


# --- words beside pictures ---


@by_name(STORED)
def test_every_picture_has_words_of_its_own(path):
    alts = []
    for cell in cells(path, "code"):
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        words = [output.metadata.get("image/png", {}).get("alt") for output in pictures]
        assert words == shown(cell.source), f"{cell.id}: source and stored output differ; run: make store"
        folded = [output.data["text/plain"] for output in cell.outputs if "<details>" in str(output.get("data"))]
        assert folded == words, f"{cell.id}: JupyterLab shows no words"
        alts += words
    least, most = plotting.ALT_LENGTH
    assert all(least <= len(alt) <= most for alt in alts)
    assert len(set(alts)) == len(alts)


def test_pictures_are_found_at_all():
    assert sum(bool(shown(cell.source)) for path in STORED for cell in cells(path, "code")) >= 48


@by_name(STORED)
def test_whatever_is_drawn_is_shown_with_words(path):
    for cell in cells(path, "code"):
        assert "plt.show" not in cell.source, cell.id
        drawn = [call.lineno for call in calls(cell.source, DRAWS)]
        last = max([call.lineno for call in calls(cell.source, SHOW)], default=0)
        assert not drawn or max(drawn) < last, f"{cell.id} draws and shows no words"


def test_show_refuses_what_says_nothing():
    plt.close("all")
    plt.plot([1, 2])
    for poor in ("", "  \n ", "A line.", "Plot of the training loss of the network by epoch of training", "x" * 301):
        with pytest.raises(CourseError, match="say in 40 to 300") as refused:
            plotting.show(poor)
        assert "\n" not in str(refused.value)
    assert plt.get_fignums(), "a refusal loses the figure"
    plt.close("all")
    with pytest.raises(CourseError, match="no figure"):
        plotting.show("A rising line from one to two, over the two first whole numbers.")


def test_words_reach_the_stored_notebook_and_the_page(tmp_path):
    alt = 'A line that rises from 1 to 2 & "ends" there, over two\npoints, 0 and 1.'
    source = (
        f"import matplotlib.pyplot as plt\nfrom recsys_helpers.plotting import show\nplt.plot([1, 2])\nshow({alt!r})"
    )
    path = tmp_path / "one.ipynb"
    notebooks.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, id="one")]), path)
    store(path)
    outputs = notebooks.read(path).cells[0].outputs
    alt = alt.replace("\n", " ")
    assert [output.metadata for output in outputs if "image/png" in output.data] == [{"image/png": {"alt": alt}}]
    page = BeautifulSoup(HTMLExporter(template_name="classic").from_filename(str(path))[0], "html.parser")
    assert [picture["alt"] for picture in page.select("img")] == [alt]  # once, not again at the end of the cell
    assert [words.text for words in page.select("details")] == [f"The picture in words{alt}"]
    outputs[0].metadata["needs_background"] = outputs[0].metadata["image/png"]["width"] = 3
    normal = notebooks.normalise(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)]))
    assert normal.cells[0].outputs[0].metadata == {"image/png": {"alt": alt}}


@by_name(PAGES)
def test_pictures_of_the_pages_have_words(path):
    for alt in re.findall(r"!\[([^\]]*)\]\(", prose(path)):
        assert len(alt) >= plotting.ALT_LENGTH[0], f"{path.name}: {alt!r}"


# --- colours ---


def luminance(colour) -> float:
    """Relative luminance by WCAG 2.1."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(one, other) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def seen(colours, kind: str | None) -> np.ndarray:
    """Colours in CAM02-UCS as an eye without one of its three cones has them, by Machado et al. (2009)."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    if kind:
        rgb = cspace_convert(rgb, {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}, "sRGB1").clip(0, 1)
    return cspace_convert(rgb, "sRGB1", "CAM02-UCS")


@pytest.mark.parametrize("kind", BLIND)
def test_colours_stay_apart(kind):
    colours = [*plotting.PALETTE, plotting.GREY]
    places = seen(colours, kind)
    for (one, a), (other, b) in itertools.combinations(zip(colours, places, strict=True), 2):
        assert np.linalg.norm(a - b) >= LEAST_APART, f"{one} and {other} for {kind}"


def test_colours_differ_in_print():
    lightness = np.sort(seen(plotting.PALETTE, None)[:, 0])
    assert np.diff(lightness).min() >= LEAST_LIGHTNESS


def test_marks_and_words_stand_out_on_white():
    assert min(contrast(colour, "white") for colour in (*plotting.PALETTE, plotting.GREY)) >= 3
    assert min(contrast(colour, "white") for colour in (plotting.NOTE, plotting.INK)) >= 4.5
    sources = [cell.source for path in STORED for cell in cells(path, "code")]
    words = [call for source in sources for call in re.findall(r"\.(?:annotate|text)\(.*", source) if "color=" in call]
    assert words
    assert all(re.search(r"color=(plotting\.NOTE|.black. if)", call) for call in words)


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_numbers_can_be_read_on_every_shade(colour):
    assert contrast(plotting.ink_on(colour), colour) >= 4.5


@pytest.mark.parametrize("name", ["Blues", "PuOr", "viridis"])
def test_maps_grow_darker_one_way(name):
    """A map may rest on shade where lightness alone tells its order: of each half, for a map with two ends."""
    lightness = np.array([luminance(plt.get_cmap(name)(place)) for place in np.linspace(0, 1, 33)])
    halves = (lightness[:17], lightness[16:]) if name == "PuOr" else (lightness,)
    for half in halves:
        assert len(set(np.sign(np.diff(half)))) == 1


# --- more than colour ---


def test_lines_differ_in_more_than_colour():
    fig, ax = plt.subplots()
    pd.DataFrame(np.eye(6)).plot(ax=ax)
    styles = [(line.get_color(), str(line._dash_pattern), line.get_marker()) for line in ax.lines]
    assert all(len(set(kind)) == 6 for kind in zip(*styles, strict=True))
    plt.close(fig)


def test_bars_differ_in_more_than_colour():
    ax = pd.DataFrame(np.ones((2, 6))).plot.bar()
    plotting.hatch(ax)
    assert len({bars[0].get_hatch() for bars in ax.containers}) == 6
    assert [mark.get_hatch() for mark in ax.legend().get_patches()] == list(plotting.HATCHES)
    plt.close("all")


@by_name(STORED)
def test_groups_of_bars_and_areas_are_hatched(path):
    for cell in cells(path, "code"):
        assert "stackplot(" not in cell.source or "hatch=plotting.HATCHES" in cell.source, cell.id
        if ".plot.bar" in cell.source:
            assert "hatch(" in cell.source, cell.id
        assert not re.search(r"\.plot\([^)]*marker=.o", cell.source), f"{cell.id}: one marker for all lines"


# --- structure ---


@by_name(STORED + PAGES)
def test_headings_go_down_step_by_step(path):
    levels = [len(marks) for marks in re.findall(r"(?m)^(#+) ", prose(path))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@by_name(STORED + PAGES)
def test_tables_have_a_row_of_headings(path):
    lines = ["", *prose(path).splitlines(), ""]
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if line.startswith("|") and not before.startswith("|"):
            assert line.strip("| ") and re.fullmatch(r"\|[ :|-]+\|", after), line
    if path.suffix == ".ipynb":
        pages = [str(output.get("data", {}).get("text/html")) for c in cells(path, "code") for output in c.outputs]
        assert all("<th" in page for page in pages if "<table" in page)


@by_name(STORED + PAGES)
def test_links_say_where_they_lead(path):
    lines = [line for line in prose(path).splitlines() if not line.startswith("|")]  # a column's heading says it there
    for text in re.findall(r"(?<!!)\[([^\]]+)\]\([^)]+\)", "\n".join(lines)):
        words = text.lower().strip("`. ")
        assert len(words) > 4 and words not in {"click here", "this page", "this link", "read more", "link"}, text
