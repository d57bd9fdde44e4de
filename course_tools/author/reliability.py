"""The table of docs/reliability.md, from what `python tests/system/test_axe.py` tried."""

import json
import platform
from pathlib import Path

from course_tools.author.readme import write_regions
from recsys_helpers.paths import MEASURED, ROOT

MEASURED_PLACES = MEASURED / "reliability.json"


def python() -> str:
    """The version whose calls were counted, such as 3.11."""
    return platform.python_version().rpartition(".")[0]


def reliability() -> str:
    """A table of how often each writer was struck, with a line of sums."""
    rows = json.loads(MEASURED_PLACES.read_text("utf-8"))["writers"]
    kinds = [name for name in rows[0] if name != "writer"]
    rows = [*rows, {"writer": "all"} | {kind: sum(row[kind] for row in rows) for kind in kinds}]
    lines = ["| Writer | Places | Killed | Ended | Disk full or read-only | Doubled |", "|---" * 6 + "|"]
    return "\n".join(
        [*lines, *(f"| {row['writer']} | {' | '.join(f'{row[kind]:,}' for kind in kinds)} |" for row in rows)]
    )


def write(page: Path = ROOT / "docs" / "reliability.md") -> None:
    """Write the table anew, between its marks."""
    write_regions(page, reliability)
