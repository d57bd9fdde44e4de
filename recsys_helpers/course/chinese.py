"""The course in Chinese: gettext catalogues for lessons, exercises, what their checks say, and the site's own pages.

A message's id is the whole English text of a cell, its context `notebooks/CELL` or `exercises/CELL`; on a page it is a
paragraph, in a check a template. Code, outputs and references come from the English notebook. So only prose can differ,
and English that has changed since is noticed: it has no translation. Catalogues are edited by hand or in any gettext
editor.
"""

from pathlib import Path

from nbformat import NotebookNode

from recsys_helpers.checks.catalogue import LANGUAGE, lookup, read_catalogue
from recsys_helpers.course import notebooks
from recsys_helpers.paths import ROOT

KINDS = ("notebooks", "exercises")
REFERENCES = ("\n\n### References\n", "\n\n### 参考文献\n")


def split(source: str) -> tuple[str, str]:
    """(what is to be translated of a text cell, its list of references, which stays as it is)."""
    text, _, references = source.partition(REFERENCES[0])
    return text, references


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


def make(out: Path, keep: bool = True) -> tuple[list[Path], list[str]]:
    """Write the Chinese lessons and exercises into `out`/notebooks and `out`/exercises.

    Args:
        keep: leave a notebook alone that is there already, since a student may have worked in it.

    Returns (notebooks written, cells that stay English for want of a current translation).
    """
    written, missing = [], []
    for name in (path.stem for path in notebooks.lessons()):
        for kind in KINDS:
            source, target = ROOT / kind / f"{name}.ipynb", out / kind / f"{name}.ipynb"
            if source.exists() and not (keep and target.exists()):
                notebook, untold = in_chinese(notebooks.read(source), kind, name)
                notebooks.write(notebook, target)
                written.append(target)
                missing += [f"{name}: {cell}" for cell in untold]
    return written, missing
