"""For authors: bring the Chinese catalogues up to the English, and find what a translation lost or spoilt."""

import re
from collections import Counter

from babel.messages.catalog import Message
from babel.messages.pofile import write_po

from recsys_helpers.checks import language
from recsys_helpers.checks.catalogue import LOCALE, empty_catalogue, lookup, read_catalogue
from recsys_helpers.course import notebooks
from recsys_helpers.course.chinese import KINDS, split
from recsys_helpers.files import replacing
from recsys_helpers.paths import ROOT

CHECKS = language.CATALOGUE
PAGES = ("index", "glossary", "bibliography", "results")
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
        texts = {page: (ROOT / "docs" / f"{page}.md").read_text("utf-8") for page in PAGES}
        return [(page, block) for page, text in texts.items() for block in paragraphs(text) if is_prose(block)]
    found = []
    for kind in KINDS:
        path = ROOT / kind / f"{name}.ipynb"
        if path.exists():
            cells = (cell for cell in notebooks.read(path).cells if cell.cell_type == "markdown")
            found += [(f"{kind}/{cell.id}", split(cell.source)[0]) for cell in cells]
    return found


def paragraphs(page: str) -> list[str]:
    """A page of Markdown cut at its empty lines; what lies between the marks of a measured region is one piece."""
    pieces = re.split(r"(<!-- (\w+): begin -->.*?<!-- \2: end -->)", page.strip(), flags=re.S)
    texts, regions = pieces[::3], pieces[1::3]
    blocks = [[block for block in re.split(r"\n\s*\n", text.strip()) if block] for text in texts]
    return [*blocks[0], *(block for region, rest in zip(regions, blocks[1:], strict=True) for block in (region, *rest))]


def is_prose(block: str) -> bool:
    """Whether a paragraph of a page is for people: no directive, no mark, no substitution."""
    return not re.match(r"(:::|```|<!--|\{\{|\()", block)


def update(name: str) -> list[str]:
    """Bring a catalogue up to the English: new texts come in empty, changed ones as fuzzy, what is gone goes.

    Returns the contexts that now wait for a translator.
    """
    old, waiting = read_catalogue(name), []
    before = {message.context: message for message in old if message.id}
    new = empty_catalogue(creation_date=old.creation_date)
    for context, english in messages(name):
        message = old.get(english, context) or Message(english, context=context)
        changed = before.get(context)
        if not message.string and changed and "/" in context:  # a cell; of a page or a module there are many texts
            message = Message(english, changed.string, flags=["fuzzy"], previous_id=[changed.id], context=context)
        new[english] = message
        if lookup(new, context, english) is None:
            waiting.append(context)
    with replacing(LOCALE / f"{name}.po") as file:
        write_po(file, new, width=0, include_previous=True)
    return waiting


def page_in_chinese(page: str) -> str:
    """One of the site's own pages with Chinese prose; what has no current translation stays English."""
    catalogue, text = read_catalogue("pages"), (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    blocks = [(lookup(catalogue, page, block) if is_prose(block) else None) or block for block in paragraphs(text)]
    return "\n\n".join(blocks) + "\n"


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
