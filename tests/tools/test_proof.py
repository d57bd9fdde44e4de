"""Which tests `make check` runs of what changed, and that `make test` leaves nothing out that it is known for."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from course_tools.author import proof
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

TESTS = {
    "tests/unit/test_bert.py": "from recsys_helpers.models import bert",
    "tests/unit/test_splits.py": "from recsys_helpers.data.splits import leave_one_out",
    "tests/checks/test_planted.py": "from planted import RIGHT\nfrom recsys_helpers.checks import check",
    "tests/tools/test_grading.py": "from recsys_helpers.checks.core import TICK\nimport classroom",
    "tests/tools/test_gpu_benchmark.py": "def test():\n    import gpu",
    "tests/support/planted/lesson01.py": "from recsys_helpers.data.splits import PADDING",
}
GUARDS = list(proof.GUARDS)


@pytest.mark.parametrize(
    ("changed", "runs", "left"),
    [
        ("recsys_helpers/models/bert.py", ["tests/unit/test_bert.py"], []),
        ("recsys_helpers/models/tiny_bert.py", [], []),
        ("recsys_helpers/data/splits.py", ["tests/unit/test_splits.py"], []),
        ("recsys_helpers/checks/lesson01.py", ["tests/checks/test_planted.py"], []),
        ("recsys_helpers/checks/core.py", ["tests/checks/test_planted.py"], ["tests/tools/test_grading.py"]),
        ("tests/support/planted/lesson01.py", ["tests/checks/test_planted.py"], []),
        ("tests/support/classroom.py", [], ["tests/tools/test_grading.py"]),
        ("tests/benchmarks/gpu.py", [], ["tests/tools/test_gpu_benchmark.py"]),
        ("tests/tools/test_grading.py", ["tests/tools/test_grading.py"], []),
        ("recsys_helpers/__init__.py", [], []),
        ("notebooks/01_self_attention.ipynb", [], []),
    ],
)
def test_check_runs_the_tests_that_import_what_changed(changed, runs, left):
    assert proof.selection([changed], TESTS) == (GUARDS + runs, left)


def test_a_guard_is_not_run_twice():
    guard = "tests/unit/test_floors.py"
    chosen, left = proof.selection([guard], {guard: ""})
    assert chosen == [*GUARDS[1:], guard] and not left


def test_every_guard_is_there():
    for guard in GUARDS:
        path, _, name = guard.partition("::")
        assert not name or f"def {name}(" in (ROOT / path).read_text("utf-8")


def test_what_changed_is_what_git_says(tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "ROOT", tmp_path)
    with pytest.raises(CourseError, match="asked of git, which says: "):
        proof.changed_since_head()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for name in ("kept.py", "gone.py", "other.py", "moved.py", ".gitignore"):
        (tmp_path / name).write_text("build/\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"], ["mv", "moved.py", "there.py"]):
        subprocess.run([*git, *command], check=True)
    (tmp_path / "gone.py").unlink()
    (tmp_path / "other.py").write_text("changed")
    (tmp_path / "build").mkdir()
    for name in ("ein Übel.py", "build/none.py"):
        (tmp_path / name).touch()
    assert proof.changed_since_head() == ["ein Übel.py", "gone.py", "moved.py", "other.py", "there.py"]


def test_check_says_what_it_runs_and_what_it_leaves(monkeypatch, capsys):
    taken = {}
    monkeypatch.setattr(proof, "take", taken.update)
    monkeypatch.setattr(proof, "programs", lambda *folders: TESTS)
    monkeypatch.setattr(
        proof, "changed_since_head", lambda: ["notebooks/01_self_attention.ipynb", "notebooks/gone.ipynb"]
    )
    proof.check()
    said = capsys.readouterr().out
    assert said.startswith(
        "changed\n  notebooks/01_self_attention.ipynb\n  notebooks/gone.ipynb\nruns\n  tests/unit/test_f"
    )
    assert said.endswith("leaves to --outputs\n  notebooks/01_self_attention.ipynb\n")
    assert list(taken) == ["style", "layout", "guards, and tests of what changed"]
    proof.check(outputs=True)
    assert taken["stored outputs"][-1] == "notebooks/01_self_attention.ipynb" and "--nbval" in taken["stored outputs"]


def test_every_step_is_taken_and_those_that_fail_are_named(monkeypatch, capfd):
    steps = {
        name: ["timeit", "-n", "1", "-r", "1", code]
        for name, code in {"a": "1/0", "b": "print('b ran')", "c": "x"}.items()
    }
    with pytest.raises(CourseError, match=r"not in order: a; c \(see above\)"):
        proof.take(steps)
    assert "--- b\nb ran" in capfd.readouterr().out


def test_test_runs_all_but_the_benchmarks_and_test_all_the_thorough_ones_too():
    *_, tests = proof.whole()["tests, lessons with other parameters, exercises"]
    assert tests == "tests" and proof.whole(thorough=True)["style"] == proof.whole()["style"]
    assert proof.whole()["stored outputs"][-2:] == ["notebooks", "solutions"]
    assert "-m" not in proof.whole()["tests, lessons with other parameters, exercises"]
    assert proof.whole(thorough=True)["tests, lessons with other parameters, exercises"][-3:] == ["-m", "", "tests"]


def test_benchmarks_and_what_is_thorough_are_run_on_demand(tmp_path):
    thorough = "import pytest\n@pytest.mark.thorough\ndef test_thorough(): pass\ndef test_quick(): pass"
    for name, code in {"unit/test_a.py": thorough, "benchmarks/test_b.py": "def test_speed(): pass"}.items():
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True)
        path.write_text(code)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def collected(*arguments):
        command = [sys.executable, "-m", "pytest", "-q", "--collect-only", *arguments]
        plain = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # they take seconds to load
        said = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True).stdout
        return re.findall("::(test_.*)", said)

    assert collected("tests") == ["test_quick"]
    assert sorted(collected("-m", "", "tests")) == ["test_quick", "test_thorough"]
    assert collected("tests/benchmarks") == ["test_speed"]
