"""The instructors' pages: schedules that last as long as they say, of sections and exercises that exist."""

import re

import pytest

from course_tools.author import instructors
from recsys_helpers.checks import EXERCISES
from recsys_helpers.course import notebooks
from recsys_helpers.errors import CourseError

PAGE = (instructors.DOCS / "instructors.md").read_text(encoding="utf-8")


def part(title):
    """The text under a heading, up to the next one of any level."""
    (text,) = re.findall(rf"^#+ {title}.*?\n(.*?)(?=^#|\Z)", PAGE, re.S | re.M)
    return text


def rows(text):
    """The cells of a table's rows."""
    table = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip(" |") for cell in row] for row in table[2:]]


def lesson_of(cell):
    return notebooks.find_lesson(re.match(r"\[(\d\d)\]", cell)[1])


def sections(path):
    return {line[3:] for cell in notebooks.read(path).cells for line in cell.source.splitlines() if line[:3] == "## "}


SCHEDULES = re.findall(r"^### (.*?) ?\((\d+) minutes", PAGE, re.M)


def test_there_are_four_schedules():
    assert [int(length) for _, length in SCHEDULES] == [120, 210, 720, 990]


@pytest.mark.parametrize(("title", "length"), SCHEDULES)
def test_a_schedule_lasts_as_long_as_it_says(title, length):
    assert sum(int(row[0]) for row in rows(part(re.escape(title)))) == int(length)


@pytest.mark.parametrize("title", [title for title, _ in SCHEDULES])
def test_what_a_schedule_names_exists_and_runs_in_its_time(title):
    for minutes, _, *place in rows(part(re.escape(title))):
        if not place or not place[0]:
            continue
        path, things = lesson_of(place[0]), place[1] if len(place) > 1 else ""
        assert set(re.findall(r"\*(.+?)\*", things)) <= sections(path)
        assert set(re.findall(r"\d\d\.\d", things)) <= set(EXERCISES)
        assert notebooks.read(path).metadata["recsys"]["seconds"] < 60 * int(minutes)


def test_what_to_skip_exists_and_is_in_no_two_hours():
    taught = "".join(row[-1] for row in rows(part("Two hours")))
    skipped = rows(part("What to skip first"))
    assert [row[0][1:3] for row in skipped] == [path.stem[:2] for path in notebooks.lessons()]
    for lesson, names in skipped:
        found = re.findall(r"\*(.+?)\*", names)
        assert len(found) == 2 and set(found) <= sections(lesson_of(lesson))
        assert not [name for name in found if f"*{name}*" in taught]


def test_every_lesson_has_questions_with_what_to_listen_for():
    asked = rows(part("Questions to ask"))
    assert {row[0] for row in asked} == {path.stem[:2] for path in notebooks.lessons()}
    assert all(row[1].endswith("?") and len(row[2]) > 10 for row in asked)


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert "://" in link or (instructors.DOCS / link).exists(), link


def test_the_pages_are_those_that_store_writes():
    for region in (instructors.minutes, instructors.mutants):
        name = region.__name__
        assert f"<!-- {name}: begin -->\n{region()}\n<!-- {name}: end -->" in PAGE, "run: make store"


def test_the_page_of_mistakes_is_whole():
    """What it says of each exercise is compared in tests/checks/test_planted.py, which judges the planted answers."""
    mistakes = (instructors.DOCS / "mistakes.md").read_text(encoding="utf-8")
    head, *parts = mistakes.split("\n\n## ")
    assert head == "\n".join(instructors.MISTAKES) and mistakes.endswith("\n")
    assert [part.split()[0] for part in parts] == list(EXERCISES)
    assert len(re.findall(r"^- ", mistakes, re.M)) > 800


def test_a_page_without_marks_is_not_overwritten(tmp_path):
    (tmp_path / "instructors.md").write_text("mine")
    with pytest.raises(CourseError, match="marks"):
        instructors.write(tmp_path)
    assert (tmp_path / "instructors.md").read_text() == "mine"
