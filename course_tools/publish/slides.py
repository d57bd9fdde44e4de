"""Slides from the stored lessons: `python -m course_tools slides`. reveal.js decks that need no network.

What is on a slide follows from the lesson alone. Each `##` begins a column of slides and each `###` a slide in it;
every output gets a slide, with the text before it and, under it, the "reading" after it. A paragraph is cut after its
first sentences; the whole of it is in the speaker notes (key S). Code that leads to a picture or a table is hidden
until key C. Set-up cells and pointers to exercises are left out. Nothing is executed.
"""

import ast
import html
import math
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode, from_dict, v4

from course_tools.publish.mathml import CSS as MATH_CSS
from course_tools.publish.mathml import copy_letters, mathml
from recsys_helpers.course import notebooks
from recsys_helpers.errors import CourseError
from recsys_helpers.files import replace_folder, scratch_folder, write_text
from recsys_helpers.paths import ROOT, package_folder

WORDS = 45  # of a paragraph, at most, unless its first sentence is longer
ROOM = 13  # lines of text on a slide of 1280 x 720
LETTERS = 84  # in such a line
ROWS = 10  # of a table, about
REVEAL = ("dist/reveal.js", "dist/reveal.css", "dist/theme/fonts/source-sans-pro", "plugin/notes/notes.js", "LICENSE")
KEYS = "Arrows: next slide. Space: next, through all. C: code. S: speaker notes. O: overview. F: full screen."


@dataclass
class Slide:
    """One slide: a heading in Markdown, blocks of Markdown, at most one code cell, and what the speaker reads."""

    heading: str
    opens: bool = False  # a column of slides: the heading is a `#` or `##` and this is its first slide
    body: list[str] = field(default_factory=list)
    cell: NotebookNode | None = None
    caption: str = ""
    notes: list[str] = field(default_factory=list)


def make(names: list[str] | None = None, out: Path | None = None) -> list[Path]:
    """Write a deck for each lesson in `names` (all by default), and index.html, which lists every deck in the folder.

    The new folder, with what else was in the old one, takes its place at once.

    Args:
        names: beginnings of lesson names, such as ["01", "04"].
        out: a folder, build/slides by default; opened from disk, it needs nothing outside itself.

    Returns the decks written. Raises CourseError: no such lesson, a lesson without outputs, reveal.js not installed.
    """
    out = (out or ROOT / "build" / "slides").resolve()
    paths = [notebooks.find_lesson(name) for name in names] if names else notebooks.lessons()
    with scratch_folder(out) as scratch:
        made = scratch / out.name
        if out.exists():
            shutil.copytree(out, made)
        _copy_parts(made / "reveal")
        decks = [f"{path.stem}.html" for path in paths]
        for path, deck in zip(paths, decks, strict=True):
            write_text(made / deck, render(notebooks.read(path)))
        write_text(made / "index.html", _index(made))
        replace_folder(made, out)
    return [out / deck for deck in decks]


def render(lesson: NotebookNode) -> str:
    """The deck of a lesson, as one HTML page that expects the folder `reveal` beside it."""
    if not any(cell.get("outputs") for cell in lesson.cells):
        raise CourseError("This lesson has no stored outputs; python -m course_tools store PATH makes them.")
    slides = outline(lesson)
    cells = [cell for slide in slides for cell in _cells(slide)]
    title = lesson.cells[0].source.splitlines()[0].removeprefix("# ")
    deck = v4.new_notebook(cells=cells, metadata={"title": title, "language_info": {"name": "python"}})
    return _exporter().from_notebook_node(from_dict(deck))[0]


def outline(lesson: NotebookNode) -> list[Slide]:
    """The slides of a lesson, in order."""
    slides, heading, opens = [], "", False
    text, earlier = [], []  # Markdown blocks and code since the last slide with an output

    def flush(cell: NotebookNode | None = None) -> None:
        nonlocal opens
        if opens and cell is None and earlier and not text:  # a heading with nothing but code under it
            cell = v4.new_code_cell("\n\n".join(earlier))
            earlier.clear()
        pages = _pages([_cut(block) for block in text], _lines_of(cell) if cell else 0)
        if opens or cell:
            pages = pages or [[]]
        for page in pages:
            slides.append(
                Slide(heading, opens, [shown for shown, _ in page], notes=[whole for _, whole in page if whole])
            )
            opens = False
        if cell:
            slides[-1].cell, *rest = _parts(cell)
            slides.extend(Slide(heading, cell=part) for part in rest)
        if pages:
            slides[-1].notes += [f"```python\n{code}\n```" for code in earlier]
            earlier.clear()
        text.clear()

    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            blocks = _blocks(cell.source)
            if cell.id.endswith("-reading") and slides and slides[-1].cell is not None and not text:
                slides[-1].notes += [blocks[0]]
                slides[-1].caption = _cut(blocks.pop(0))[0]
            for block in blocks:
                if re.match(r"#{1,3} ", block):
                    flush()
                    heading, opens = block, not block.startswith("###")
                elif not block.startswith(("**Now you", "**You need")):
                    text.append(block)
        elif not _is_setting_up(cell):
            shown = _with_plain_outputs(cell)
            if shown.outputs or _defines(cell):
                if _shows_code(shown):
                    shown.metadata = {"alt": _last_heading(heading)}
                else:
                    shown.source = "\n\n".join([*earlier, cell.source])
                    shown.metadata = {"tags": ["hidden"], "alt": _last_heading(heading)}
                flush(shown)
            else:
                earlier.append(cell.source)
    flush()
    slides[0].notes.append(KEYS)
    return slides


def _blocks(source: str) -> list[str]:
    """Markdown cut at its empty lines, headings apart, loose lists and fenced code whole."""
    blocks: list[str] = []
    for part in re.split(r"\n\s*\n", source.strip()):
        heading, newline, rest = part.partition("\n")
        if re.match(r"#{1,3} ", heading) and newline:
            blocks += [heading, rest]
        elif blocks and (blocks[-1].count("```") % 2 or (_is_list(blocks[-1]) and _is_list(part))):
            blocks[-1] += f"\n\n{part}"
        else:
            blocks.append(part)
    return blocks


def _is_list(block: str) -> bool:
    return bool(re.match(r"(- |\* |\d+\. )", block))


def _cut(block: str) -> tuple[str, str]:
    """(what the slide shows of a block, what the speaker gets: the whole of it if it was cut, else nothing)."""
    if _is_list(block) or block.startswith(("$$", "|", "```", "<", "#")) or len(block.split()) <= WORDS:
        return block, ""
    sentences: list[str] = []
    for part in re.split(r"(?<=[.!?:])\s+(?=[A-Z*`$\d(])", block):
        if sentences and (
            sentences[-1].endswith(":") or any(sentences[-1].count(mark) % 2 for mark in ("$", "*", "**"))
        ):
            sentences[-1] += f" {part}"
        else:
            sentences.append(part)
    kept = 1
    while kept < len(sentences) and len(" ".join(sentences[: kept + 1]).split()) <= WORDS:
        kept += 1
    return " ".join(sentences[:kept]), block if kept < len(sentences) else ""


def _pages(blocks: list[tuple[str, str]], below: float) -> list[list[tuple[str, str]]]:
    """Blocks, as `_cut` gives them, spread over slides; the last page leaves room for what stands below its text."""
    pages: list[list[tuple[str, str]]] = []
    filled = math.inf
    for block in blocks:
        lines = _lines(block[0])
        if filled + lines > ROOM:
            pages.append([])
            filled = 0
        pages[-1].append(block)
        filled += lines
    if pages and below and filled + below > ROOM and filled > 3:  # up to three lines, the letters shrink a little
        pages.append([])
    return pages


def _lines(block: str) -> float:
    """The lines that a block of Markdown takes on a slide, about."""
    if block.startswith("$$"):
        return 2.5
    if _is_list(block) or block.startswith("|"):
        return sum(math.ceil(len(line) / LETTERS) * 1.15 for line in block.splitlines() if line.strip())
    return math.ceil(len(block) / LETTERS) + 0.5


def _lines_of(cell: NotebookNode) -> float:
    """The lines that a code cell takes on a slide, about, with the code if that is shown, and the reading under it."""
    lines = 2.0 + (0.7 * cell.source.count("\n") + 1.2 if "hidden" not in cell.metadata.get("tags", []) else 0)
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            lines += 7  # it can shrink to 250 pixels
        elif "text/html" in data:
            lines += 0.85 * min(data["text/html"].count("<tr"), ROWS + 2)
        else:
            lines += 0.7 * (output.get("text") or data.get("text/plain", "")).rstrip().count("\n") + 0.7
    return lines


def _is_setting_up(cell: NotebookNode) -> bool:
    """The cell of parameters, and cells that only import and configure."""
    quiet = (ast.Import, ast.ImportFrom)
    return "parameters" in cell.metadata.get("tags", []) or all(
        isinstance(n, quiet) for n in ast.parse(cell.source).body
    )


def _defines(cell: NotebookNode) -> bool:
    return any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in ast.parse(cell.source).body)


def _with_plain_outputs(cell: NotebookNode) -> NotebookNode:
    """A copy without live widgets, which need a kernel, and without the picture in words, which the picture carries."""
    live = "application/vnd.jupyter.widget-view+json"
    outputs = [output for output in cell.outputs if live not in output.get("data", {})]
    outputs = [output for output in outputs if not output.get("data", {}).get("text/html", "").startswith("<details")]
    return v4.new_code_cell(cell.source, outputs=outputs)


def _parts(cell: NotebookNode) -> list[NotebookNode]:
    """The cell, or one cell for each ROWS rows if its last output is a tall table."""
    from bs4 import BeautifulSoup

    table = cell.outputs[-1].get("data", {}).get("text/html", "") if cell.outputs else ""
    if table.count("<tr") <= ROWS + 4:
        return [cell]
    rows, open_labels, labels_of = BeautifulSoup(table, "html.parser").select("tbody tr"), [], []
    for row in rows:  # labels that span rows are opened here, to be said again where a part begins
        open_labels = [(label, left - 1) for label, left in open_labels if left > 1]
        labels_of.append([label for label, _ in open_labels])
        open_labels += [(th.get_text(), int(th["rowspan"])) for th in row.select("th[rowspan]")]
    count = math.ceil(len(rows) / ROWS)
    size = math.ceil(len(rows) / count)
    parts = []
    for start in range(0, len(rows), size):
        soup = BeautifulSoup(table, "html.parser")
        for number, row in enumerate(soup.select("tbody tr")):
            if not start <= number < start + size:
                row.decompose()
                continue
            for th in row.select("th[rowspan]"):
                del th["rowspan"]
            for label in reversed(labels_of[number]):
                th = soup.new_tag("th")
                th.string = label if number == start else ""
                row.insert(0, th)
        output = from_dict(cell.outputs[-1] | {"data": {"text/html": str(soup)}})
        before = cell.outputs[:-1] if start == 0 else []
        parts.append(v4.new_code_cell(cell.source, outputs=[*before, output], metadata=cell.metadata))
    return parts


def _shows_code(cell: NotebookNode) -> bool:
    """Code is seen where it is the point: a definition, or a few lines that print. Not above pictures and tables."""
    rich = any({"image/png", "text/html"} & set(output.get("data", {})) for output in cell.outputs)
    return not cell.outputs or (not rich and cell.source.count("\n") < (14 if _defines(cell) else 10))


def _last_heading(heading: str) -> str:
    return f"Figure: {heading.lstrip('# ')}"


def _cells(slide: Slide) -> list[NotebookNode]:
    """A slide in the form that nbconvert reads: cells that say how they go into slides."""
    cells = [v4.new_markdown_cell("\n\n".join([slide.heading, *slide.body]))]
    cells[0].metadata["slideshow"] = {"slide_type": "slide" if slide.opens else "subslide"}
    if slide.cell is not None:
        cells.append(slide.cell)
    if slide.caption:
        cells.append(v4.new_markdown_cell(slide.caption, metadata={"tags": ["caption"]}))
    if slide.notes:
        cells.append(v4.new_markdown_cell("\n\n".join(slide.notes), metadata={"slideshow": {"slide_type": "notes"}}))
    for cell in cells:
        if cell.cell_type == "markdown":  # a link to a lesson leads to its deck
            cell.source = re.sub(r"\]\((\d\d_\w+)\.ipynb\)", r"](\1.html)", cell.source)
    return cells


def _exporter():
    """nbconvert's exporter of slides, with formulas as MathML, which browsers draw and screen readers read."""
    from nbconvert import SlidesExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def block_math(self, body: str) -> str:
            return mathml(body, block=True)

        def inline_math(self, body: str) -> str:
            return mathml(body)

    def markdown2html(source: str) -> str:
        return MarkdownWithMath(renderer=Renderer(escape=False, exclude_anchor_links=True)).render(source)

    exporter = SlidesExporter(raw_template=_template("slides.html.j2"))
    exporter.register_filter("markdown2html", markdown2html)
    return exporter


def _copy_parts(folder: Path) -> None:
    """reveal.js, its letters and those for formulas, from the packages that carry them, and the style of the course."""
    from pygments.formatters import HtmlFormatter

    reveal = package_folder("sphinx_revealjs") / "_static" / "revealjs"
    folder.mkdir(parents=True, exist_ok=True)
    for name in REVEAL:
        source = reveal / name
        if source.is_dir():
            shutil.copytree(source, folder / source.name, dirs_exist_ok=True)
        else:
            shutil.copy(source, folder)
    copy_letters(folder)
    write_text(
        folder / "course.css",
        MATH_CSS + _template("slides.css") + HtmlFormatter(style="default").get_style_defs(".highlight"),
    )
    write_text(folder / "course.js", _template("slides.js"))


def _index(folder: Path) -> str:
    """The page that lists the decks."""
    rows = []
    for deck in sorted(folder.glob("[0-9][0-9]_*.html")):
        title = re.search(r"<title>(.*?)</title>", deck.read_text("utf-8"))[1]
        rows.append(f'<li><a href="{deck.name}">{title}</a></li>')
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Slides of the course</title>
<style>body {{ font: 20px/1.6 sans-serif; max-width: 46em; margin: 3em auto; padding: 0 1em; color: #1a202c; }}</style>
</head>
<body><h1>Slides of the course</h1><ol start="0">
{"".join(rows)}
</ol><p>{html.escape(KEYS)}</p></body></html>
"""


def _template(name: str) -> str:
    """A page, style sheet or script that lies beside this module."""
    return (Path(__file__).parent / "templates" / name).read_text("utf-8")
