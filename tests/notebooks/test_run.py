"""The runner: every lesson with other parameters, what it leaves behind, and how it fails."""

import contextlib
import json
import subprocess
import sys

import nbformat
import pytest

from course_tools.author import store
from course_tools.author.readme import (
    course_map,
    known_layouts,
    pictures,
    results_page,
    setup,
    six_rows,
    write_readme,
)
from recsys_helpers.course import notebooks, run
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.results import Results, read_results
from recsys_helpers.paths import ROOT

OTHER = {"profile": "smoke", "seed": 11}
OTHER_BY_LESSON = {"02_bert_interest_encoding": OTHER | {"encoder_name": "tiny"}}


QUICK = 0.2  # seconds: a cell that took longer the first time, as trainings do, is run again by test-all only
AGAIN = """
import time as _time
_spent, _took, _left = [], {}, []
get_ipython().events.register("pre_run_cell", lambda info: _spent.append(_time.perf_counter()))

def _done(result):
    if _spent:
        _spent[-1] = _time.perf_counter() - _spent[-1]

def _twice(name, source):
    _took[name] = _spent[-2]  # of the cell before this one
    if _took[name] < LIMIT:
        get_ipython().run_cell(source, silent=True).raise_error()

def _later(name, source):
    _left.extend([name] if _took[name] >= LIMIT else [])
    if not _left:  # those behind a cell left out may need what it makes anew
        get_ipython().run_cell(source, silent=True).raise_error()

get_ipython().events.register("post_run_cell", _done)
"""


def with_cells_again(path, limit):
    """A lesson as an impatient student runs it: each code cell twice in a row, then the second half of them again.

    What took longer than the limit, in seconds, runs once, and the second half runs up to there.
    """
    notebook = notebooks.read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]

    def again(cell, word):
        return nbformat.v4.new_code_cell(f"_{word}({cell.id!r}, {cell.source!r})", id=f"{cell.id}-{word}")

    def is_parameters(cell):  # its second run would undo what was injected after it
        return "parameters" in cell.metadata.get("tags", [])

    notebook.cells = [nbformat.v4.new_code_cell(AGAIN.replace("LIMIT", f"float({str(limit)!r})"), id="clock")]
    for cell in cells:
        notebook.cells += [cell] if is_parameters(cell) else [cell, again(cell, "twice")]
    notebook.cells += [again(cell, "later") for cell in cells[len(cells) // 2 :] if not is_parameters(cell)]
    return notebook


@pytest.mark.parametrize(
    "limit", [QUICK, pytest.param(float("inf"), marks=pytest.mark.thorough)], ids=["quick cells again", "all again"]
)
@pytest.mark.parametrize("path", notebooks.lessons(), ids=lambda path: path.stem)
def test_every_lesson_runs_with_other_parameters_and_its_cells_run_again(path, limit, tmp_path):
    """In one kernel: a cell that fails in its first run, its second or from the middle on stops the lesson."""
    parameters = OTHER_BY_LESSON.get(path.stem, OTHER)
    impatient, output = tmp_path / path.name, tmp_path / "out" / path.name
    notebooks.write(with_cells_again(path, limit), impatient)
    run.run_lesson(impatient, output, parameters, progress=False)
    executed = notebooks.read(output)
    assert "injected-parameters" in str(executed.cells)
    stored = {row["model"] for row in read_results(notebooks.read(path))}
    expected = {name.replace("minilm", parameters.get("encoder_name", "minilm")) for name in stored}
    assert {row["model"] for row in read_results(executed)} == expected


def test_a_cell_that_cannot_run_twice_stops_an_impatient_run(tmp_path):
    """That the test above can fail: in the second run in a row, and in the one from the middle on."""
    for name, code, broken in (
        ("00_twice", ["seen = []", "assert not seen\nseen.append(1)"], True),
        ("01_later", ["n = 0", "n += 1\nassert n < 3", "n"], True),
        ("02_fine", ["n = 1", "n + 1", "m = n"], False),
    ):
        cells = [nbformat.v4.new_code_cell("seed = 7", metadata={"tags": ["parameters"]})]
        cells += [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(code)]
        notebooks.write(nbformat.v4.new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
        notebooks.write(with_cells_again(tmp_path / f"{name}.ipynb", QUICK), tmp_path / f"{name}.ipynb")
        told = pytest.raises(CourseError, match="AssertionError") if broken else contextlib.nullcontext()
        with told:
            run.run_lesson(tmp_path / f"{name}.ipynb", tmp_path / "out.ipynb", {"seed": 8}, progress=False)


def small_lesson(path, code):
    cells = [
        nbformat.v4.new_code_cell("profile = 'quick'\nseed = 7", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
    ]
    notebooks.write(nbformat.v4.new_notebook(cells=cells), path)


def test_results_travel_from_a_cell_into_the_json(tmp_path, monkeypatch):
    small_lesson(
        tmp_path / "00_small.ipynb",
        "from recsys_helpers.evaluation.results import Results\n"
        "r = Results('00_small', 'toy', 'none')\n"
        "r.add('baseline', 'accuracy', 0.5, 0.4, 0.6)\nr.add('ours', 'accuracy', 0.75, 0.7, 0.8, seconds=2)\nr",
    )
    monkeypatch.setattr(notebooks, "lessons", lambda: [tmp_path / "00_small.ipynb"])
    summary = run.run_course({"seed": 3}, build=tmp_path / "build")
    rows = json.loads((tmp_path / "build/results.json").read_text())
    assert [(row["model"], row["value"], row["low"], row["seconds"]) for row in rows] == [
        ("baseline", 0.5, 0.4, None),
        ("ours", 0.75, 0.7, 2),
    ]
    assert summary[0]["headline"] == "accuracy: ours 0.750, baseline 0.500"
    assert (tmp_path / "build/course/00_small.ipynb").exists()


def test_the_headline_names_the_strongest_of_the_others():
    def rows(metric, **models):
        shared = {"metric": metric, "dataset": "toy", "protocol": "none"}
        return [shared | {"model": name, "value": value} for name, value in models.items()]

    assert run.headline(rows("accuracy", majority=0.1, probe=0.6, ours=0.9)) == "accuracy: ours 0.900, probe 0.600"
    assert run.headline(rows("accuracy", majority=0.1, **{"small network": 0.9}, ours=0.9)).endswith("majority 0.100")
    errors = rows("RMSE", mean=1.1, biases=0.9, ours=0.8) + rows("RMSE", **{"the optimum": 0.5})
    assert run.headline(errors) == "RMSE: ours 0.800, biases 0.900"


def test_a_failing_cell_is_one_line_and_leaves_the_notebook(tmp_path):
    small_lesson(tmp_path / "00_small.ipynb", "assert seed == 7, 'the claim is false'")
    with pytest.raises(CourseError, match=r"00_small stopped in cell .*AssertionError: the claim is false"):
        run.run_lesson(tmp_path / "00_small.ipynb", tmp_path / "out.ipynb", {"seed": 8}, progress=False)
    assert (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["-p", "profil=quick"], "did you mean 'profile'"),
        (["-p", "profile=fast"], "choose one of smoke, quick, full"),
        (["-p", "seed"], "NAME=VALUE"),
        (["--lesson", "77"], "does not exist"),
    ],
)
def test_the_command_line_refuses_in_one_line(arguments, message):
    command = [sys.executable, "-m", "recsys_helpers", "course", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ") and message in ended.stderr and len(ended.stderr.splitlines()) == 1


def test_results_table_and_lookup():
    results = Results("01", "toy", "none")
    results.add("a", "accuracy", 0.5)
    results.add_mean("b", "accuracy", [1, 1, 0, 1])
    assert results.table().loc["a", "accuracy"] == "0.500"
    assert results.table().loc["b", "accuracy"].startswith("0.750 [")
    assert results.value("b", "accuracy") == 0.75
    with pytest.raises(KeyError):
        results.value("c", "accuracy")


@pytest.mark.parametrize(
    ("page", "region"),
    [
        ("README.md", setup),
        ("README.md", course_map),
        ("README.md", six_rows),
        ("docs/results.md", results_page),
        ("docs/your-own-data.md", known_layouts),
    ],
)
def test_pages_say_what_runs_measured(page, region):
    shown = f"<!-- {region.__name__}: begin -->\n{region()}\n<!-- {region.__name__}: end -->"
    assert shown in (ROOT / page).read_text(encoding="utf-8"), "run: python -m course_tools readme"


def test_a_figure_that_is_measured_again_takes_the_place_of_the_first():
    results = Results("01", "toy", "none")
    for value in (0.5, 0.75):
        results.add("a", "accuracy", value)
        results.add("b", "accuracy", value)
        results.add("a", "loss", value)
        results.add("a", "accuracy", value, dataset="another")
    found = [(row["dataset"], row["model"], row["metric"], row["value"]) for row in results.rows]
    assert found == [
        ("toy", "a", "accuracy", 0.75),
        ("toy", "b", "accuracy", 0.75),
        ("toy", "a", "loss", 0.75),
        ("another", "a", "accuracy", 0.75),
    ]
    assert results.table().loc[("toy", "a"), "accuracy"] == "0.750"


def test_readme_shows_the_pictures_of_the_stored_lessons():
    for name, picture in pictures().items():
        assert (ROOT / "docs" / name).read_bytes() == picture, "run: make store"


def test_a_readme_without_marks_is_not_overwritten(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(CourseError, match="marks"):
        write_readme(tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == "mine"


def test_full_figures_are_kept_by_lesson_and_shown_in_readme(tmp_path, monkeypatch):
    path = tmp_path / "notebooks" / "04_small.ipynb"
    path.parent.mkdir()
    small_lesson(
        path,
        "from recsys_helpers.evaluation.results import Results\n"
        "r = Results('04_small', 'toy', 'hard')\nr.add('ours', 'accuracy', 0.9 if profile == 'full' else 0.1)\nr",
    )
    monkeypatch.setattr(notebooks, "lessons", lambda: [path])
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setattr(store, "FULL_PROFILE", tmp_path / "full_profile.json")
    (tmp_path / "full_profile.json").write_text('{"01_other": {"seconds": 60, "seed": 7, "rows": []}}')
    store.measure_full(["04"])
    kept = json.loads((tmp_path / "full_profile.json").read_text())
    assert sorted(kept) == ["01_other", "04_small"] and kept["04_small"]["rows"][0]["value"] == 0.9
    store.store(path)
    shown = results_page()
    assert "| 04 | toy, hard | ours | accuracy 0.100 |" in shown.split("The full profile")[0]
    assert "| 04 | toy, hard | ours | accuracy 0.900 |" in shown.split("The full profile")[1]


def test_a_lesson_that_was_never_stored_is_named(tmp_path, monkeypatch):
    small_lesson(tmp_path / "00_small.ipynb", "1")
    monkeypatch.setattr(notebooks, "lessons", lambda: [tmp_path / "00_small.ipynb"])
    with pytest.raises(CourseError, match="00_small has no stored run"):
        results_page()
