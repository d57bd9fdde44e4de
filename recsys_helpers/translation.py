"""The course in Chinese: gettext catalogues for lessons, exercises, what their checks say, and the site's own pages.

A message's id is the whole English text of a cell, its context `notebooks/CELL` or `exercises/CELL`; on a page it is a
paragraph, in a check a template. Code, outputs and references come from the English notebook. So only prose can differ,
and English that has changed since is noticed: it has no translation. Catalogues are edited by hand or in any gettext
editor.
"""

import re
from collections import Counter
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import PoFileError, read_po, write_po
from nbformat import NotebookNode

from recsys_helpers import notebooks
from recsys_helpers.checks import language
from recsys_helpers.errors import CourseError

LANGUAGE, CHECKS = language.CHINESE, language.CATALOGUE
LOCALE = notebooks.ROOT / "docs" / "locale" / LANGUAGE / "LC_MESSAGES"
KINDS = ("notebooks", "exercises")
PAGES = ("index", "glossary", "bibliography", "results")
REFERENCES = ("\n\n### References\n", "\n\n### 参考文献\n")
HAN = "[\u4e00-\u9fff]"
FORMULA = r"\$\$.+?\$\$|\$[^$]+\$"
CODE = r"```.+?```|`[^`]+`"


def names() -> list[str]:
    """The catalogues: one for each lesson with its exercises, one for the site's own pages, one for what checks say."""
    return [*(path.stem for path in notebooks.lessons()), "pages", CHECKS]


def messages(name: str) -> list[tuple[str, str]]:
    """(context, English) of everything a catalogue has to translate, in the order of reading."""
    if name == CHECKS:
        return language.templates()
    if name == "pages":
        texts = {page: (notebooks.ROOT / "docs" / f"{page}.md").read_text("utf-8") for page in PAGES}
        return [(page, block) for page, text in texts.items() for block in paragraphs(text) if is_prose(block)]
    found = []
    for kind in KINDS:
        path = notebooks.ROOT / kind / f"{name}.ipynb"
        if path.exists():
            cells = (cell for cell in notebooks.read(path).cells if cell.cell_type == "markdown")
            found += [(f"{kind}/{cell.id}", split(cell.source)[0]) for cell in cells]
    return found


def split(source: str) -> tuple[str, str]:
    """(what is to be translated of a text cell, its list of references, which stays as it is)."""
    text, _, references = source.partition(REFERENCES[0])
    return text, references


def paragraphs(page: str) -> list[str]:
    """A page of Markdown cut at its empty lines."""
    return re.split(r"\n\s*\n", page.strip())


def is_prose(block: str) -> bool:
    """Whether a paragraph of a page is for people: no directive, no mark, no substitution."""
    return not re.match(r"(:::|```|<!--|\{\{|\()", block)


def _empty(**settings) -> Catalog:
    names = {"project": "recsys-course", "version": "1", "last_translator": "", "language_team": LANGUAGE}
    header = "# The course in Chinese. A message is a text cell; its context says of which notebook."
    return Catalog(LANGUAGE, **names, msgid_bugs_address="", header_comment=header, fuzzy=False, **settings)


def read_catalogue(name: str) -> Catalog:
    """A catalogue, empty where there is none yet; CourseError if the file cannot be read."""
    path = LOCALE / f"{name}.po"
    if not path.exists():
        return _empty()
    try:
        with path.open("rb") as file:
            return read_po(file, locale=LANGUAGE, abort_invalid=True)
    except (PoFileError, UnicodeDecodeError, ValueError) as error:
        raise CourseError(f"{path} is no catalogue ({error}); git checkout {path.name} restores it") from error


def lookup(catalogue: Catalog, context: str, english: str) -> str | None:
    """The translation of a text, or None where there is no current one."""
    message = catalogue.get(english, context)
    return message.string if message and message.string and not message.fuzzy else None


def update(name: str) -> list[str]:
    """Bring a catalogue up to the English: new texts come in empty, changed ones as fuzzy, what is gone goes.

    Returns the contexts that now wait for a translator.
    """
    old, waiting = read_catalogue(name), []
    before = {message.context: message for message in old if message.id}
    new = _empty(creation_date=old.creation_date)
    for context, english in messages(name):
        message = old.get(english, context) or Message(english, context=context)
        changed = before.get(context)
        if not message.string and changed and "/" in context:  # a cell; of a page or a module there are many texts
            message = Message(english, changed.string, flags=["fuzzy"], previous_id=[changed.id], context=context)
        new[english] = message
        if lookup(new, context, english) is None:
            waiting.append(context)
    LOCALE.mkdir(parents=True, exist_ok=True)
    with (LOCALE / f"{name}.po").open("wb") as file:
        write_po(file, new, width=0, include_previous=True)
    return waiting


def in_chinese(notebook: NotebookNode, kind: str, name: str) -> tuple[NotebookNode, list[str]]:
    """A notebook with Chinese prose, and the cells that stay English for want of a current translation."""
    catalogue, missing = read_catalogue(name), []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            english, references = split(cell.source)
            chinese = lookup(catalogue, f"{kind}/{cell.id}", english)
            if chinese is None:
                missing.append(f"{kind}/{cell.id}")
            else:
                cell.source = chinese + (REFERENCES[1] + references if references else "")
    notebook.metadata.setdefault("recsys", {})["language"] = LANGUAGE
    return notebook, missing


def page_in_chinese(page: str) -> str:
    """One of the site's own pages with Chinese prose; what has no current translation stays English."""
    catalogue, text = read_catalogue("pages"), (notebooks.ROOT / "docs" / f"{page}.md").read_text("utf-8")
    blocks = [(lookup(catalogue, page, block) if is_prose(block) else None) or block for block in paragraphs(text)]
    return "\n\n".join(blocks) + "\n"


def make(out: Path, keep: bool = True) -> tuple[list[Path], list[str]]:
    """Write the Chinese lessons and exercises into `out`/notebooks and `out`/exercises.

    Args:
        keep: leave a notebook alone that is there already, since a student may have worked in it.

    Returns (notebooks written, cells that stay English for want of a current translation).
    """
    written, missing = [], []
    for name in (path.stem for path in notebooks.lessons()):
        for kind in KINDS:
            source, target = notebooks.ROOT / kind / f"{name}.ipynb", out / kind / f"{name}.ipynb"
            if source.exists() and not (keep and target.exists()):
                notebook, untold = in_chinese(notebooks.read(source), kind, name)
                notebooks.write(notebook, target)
                written.append(target)
                missing += [f"{name}: {cell}" for cell in untold]
    return written, missing


def problems(english: str, chinese: str) -> list[str]:
    """What a translation lost or spoilt, in words: formulas, code, links, numbers, structure, emphasis, punctuation."""
    found = []
    for what, pattern in {
        "formula": FORMULA,
        "code": CODE,
        "link": r"\]\(([^)]*)\)",
        "heading": r"(?m)^(#+) ",
        "list item": r"(?m)^ *(?:[-*]|\d+\.) ",
        "row of a table": r"(?m)^\|",
        "bold": r"\*\*",
    }.items():
        ours, theirs = (re.findall(pattern, text, re.S) for text in (english, chinese))
        if what == "list item":
            ours, theirs = [what] * len(ours), [what] * len(theirs)
        if lost := dict(Counter(ours) - Counter(theirs)):
            found.append(f"{what}: missing {lost}")
        if new := dict(Counter(theirs) - Counter(ours)):
            found.append(f"{what}: too many {new}")
    numbers = [Counter(re.findall(r"\d+(?:[.,]\d+)*|\.\d+", prose(text))) for text in (english, chinese)]
    if lost := dict(numbers[0] - numbers[1]):
        found.append(f"number: missing {lost}")
    if open_marks := [text for text in _seen(chinese) if "**" in text]:
        found.append(f"emphasis does not close, is there punctuation just inside **? {open_marks}")
    if spoilt := re.findall(rf"{HAN}[,;:?!]|{HAN}\.(?!\d)|{HAN}\(|\){HAN}", prose(chinese)):
        found.append(f"half-width punctuation beside Chinese: {spoilt}")
    if tight := re.findall(rf"{HAN}[A-Za-z0-9$`]|[A-Za-z0-9$`%]{HAN}", re.sub(r"\]\([^)]*\)", "]", chinese)):
        found.append(f"no space between Chinese and Latin letters, numbers, code or formulas: {tight}")
    return found


def prose(text: str) -> str:
    """Without formulas, code and the targets of links."""
    return re.sub(rf"{FORMULA}|{CODE}|\]\([^)]*\)", " ", text, flags=re.S)


def _seen(source: str) -> list[str]:
    """The texts that a reader sees of a piece of Markdown, formulas and code left out."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(re.sub(FORMULA, "公式", source, flags=re.S))
    return [child.content for token in tokens for child in token.children or [] if child.type == "text"]
