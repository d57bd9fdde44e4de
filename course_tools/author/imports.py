"""Who imports whom, read from the code without running it."""

import ast
from collections.abc import Iterable
from pathlib import Path

from recsys_helpers.paths import ROOT


def modules(folders: Iterable[str] = ("recsys_helpers", "course_tools")) -> dict[str, str]:
    """The text of every module below these folders of the course, by its whole name; a package has its folder's."""
    found = {}
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        found[module_name(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
    return found


def module_name(path: Path) -> str:
    """Of a file, whose path is relative to where imports start."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, known: Iterable[str], at_top: bool = False) -> set[str]:
    """Which of the known modules a program imports; with `at_top`, as soon as it is imported itself."""
    tree, known, found = ast.parse(source), set(known), set()
    for node in tree.body if at_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):  # a name that is no module is one of the module's own
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in whole}
    return found & known
