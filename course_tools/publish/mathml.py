r"""Formulas as MathML, which browsers draw and screen readers read without a script: for slides and the site."""

import re
import shutil
from html import escape
from pathlib import Path

from recsys_helpers.paths import package_folder

CSS = """
@font-face { font-family: "STIX Two Math"; src: url(STIXTwoMath-Regular.ttf); }
math { font-family: "STIX Two Math", math; font-size: 1.08em; }
.equation { display: flex; align-items: center; overflow-x: auto; margin: .8em 0; }
.equation math { flex: 1; }
.equation .eqno { padding-left: 1em; white-space: nowrap; }
"""


def mathml(latex: str, block: bool = False) -> str:
    r"""A formula in LaTeX as HTML; a block with `\tag{4.1}` has its number at the right."""
    from latex2mathml.converter import convert

    tag = re.search(r"\\tag\{([^}]*)\}", latex)
    body = latex.replace(tag[0], "") if tag else latex
    formula = convert(body.strip(), display="block" if block else "inline")
    formula = formula.replace("<math ", f'<math alttext="{escape(body.strip())}" ', 1)
    number = f'<span class="eqno">({tag[1]})</span>' if tag else ""
    return f'<div class="equation">{formula}{number}</div>' if block else formula


def copy_letters(folder: Path) -> None:
    """The letters of formulas, which `CSS` expects beside it."""
    shutil.copy(package_folder("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf", folder)
