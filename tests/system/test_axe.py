"""Killed, ended, full, read-only or doubled: at every call of every writer, what was there is whole, or what is new is.

`python tests/system/test_axe.py` kills everywhere and writes docs/measured/reliability.json and its page, for all
writers or for those that are named; a normal run strikes at some places of each, the first and the last among them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import axe  # noqa: E402
import writers  # noqa: E402

from course_tools.author import reliability  # noqa: E402
from recsys_helpers.files import write_json  # noqa: E402

# how many places get a kill, and each other blow, from each state that a writer can start from
SOME, MEASURED, ALL = (3, 2), (10_000, 4), (10_000, 10_000)
PAGE = ROOT / "docs" / "reliability.md"


def struck(places: tuple[int, int], names: Collection[str] = writers.WRITERS) -> dict[str, dict]:
    """What became of these writers; the groups side by side, in processes that import no more than they need."""
    program = [sys.executable, str(ROOT / "tests" / "support" / "writers.py")]
    settings = os.environ | {"PYTHONPATH": str(ROOT), "RECSYS_PROGRESS": "off"}
    chosen = {group: [name for name in members if name in names] for group, members in writers.GROUPS.items()}
    jobs = [
        subprocess.Popen([*program, group, *map(str, places), *members], env=settings, cwd=ROOT, stdout=subprocess.PIPE)
        for group, members in chosen.items()
        if members
    ]
    try:
        said = [job.communicate()[0] for job in jobs]
    finally:
        for job in jobs:
            job.kill()
    assert [job.returncode for job in jobs] == [0] * len(jobs)
    return {row["writer"]: row for text in said for row in json.loads(text)}


@pytest.fixture(scope="module", params=[SOME, pytest.param(ALL, marks=pytest.mark.thorough)], ids=["some", "all"])
def found(request) -> dict[str, dict]:
    if not axe.works():
        pytest.skip("needs Linux, and make instructor, to ask about system calls")
    return struck(request.param)


@pytest.mark.parametrize("name", writers.WRITERS)
def test_nothing_is_lost_wherever_a_writer_is_struck(found, name):
    assert not found[name]["faults"], "\n".join(found[name]["faults"])
    assert all(found[name][kind] > 0 for kind in writers.KINDS)


def test_the_page_tells_of_no_place_that_is_not_there(found):
    measured = json.loads(reliability.MEASURED_PLACES.read_text("utf-8"))
    told = {row["writer"]: row["calls"] for row in measured["writers"]}
    assert told.keys() == found.keys(), "run: python tests/system/test_axe.py"
    # another Python, or another machine, makes a few other calls
    assert all(0.7 < found[name]["calls"] / told[name] < 1.5 for name in told), "run: python tests/system/test_axe.py"


def test_the_page_says_what_was_measured():
    region = f"<!-- reliability: begin -->\n{reliability.reliability()}\n<!-- reliability: end -->"
    assert region in PAGE.read_text("utf-8"), "run: python -m course_tools readme"


def main(places: tuple[int, int] = MEASURED) -> None:
    """Kill everywhere, and write what was tried of the writers that lost nothing."""
    file, every = reliability.MEASURED_PLACES, list(writers.WRITERS)
    known = json.loads(file.read_text("utf-8"))["writers"] if file.exists() and sys.argv[1:] else []
    rows = {row["writer"]: row for row in known} | struck(places, sys.argv[1:] or every)
    faults = [f"{name}: {fault}" for name, row in rows.items() for fault in row.pop("faults", [])]
    rows = [rows[name] for name in every if name in rows and not any(fault.startswith(f"{name}: ") for fault in faults)]
    write_json(file, {"python": reliability.python(), "writers": rows})
    reliability.write()
    raise SystemExit("\n".join(faults) or 0)


if __name__ == "__main__":
    main()
