"""The house's floors: which room may import which, no circle of modules, and what a student's first check loads."""

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from course_tools.author.imports import imports, modules
from recsys_helpers.paths import ROOT

FLOORS = (
    ("errors", "paths", "files", "arrays", "sets"),
    ("checks", "plotting", "data", "training", "evaluation"),
    ("models",),
    ("recommender", "scale", "evaluation.leaderboard"),
    ("course",),
    ("__main__",),
)
FLOOR = {f"recsys_helpers.{room}": height for height, rooms in enumerate(FLOORS) for room in rooms}
FLOOR |= {"recsys_helpers": -1, "course_tools": len(FLOORS)}


def room(module: str) -> str:
    """The room that a module lies in, by the longest name that it begins with."""
    return max((name for name in FLOOR if f"{module}.".startswith(f"{name}.")), key=len)


def climbs(sources: dict[str, str]) -> set[str]:
    """The imports, also those within functions, that lead to a higher floor."""
    return {
        f"{module} imports {other}"
        for module, source in sources.items()
        for other in imports(source, sources)
        if FLOOR[room(other)] > FLOOR[room(module)]
    }


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of the graph; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def at_top(sources: dict[str, str]) -> dict[str, set[str]]:
    """What each module imports as soon as it is imported."""
    return {module: imports(source, sources, at_top=True) for module, source in sources.items()}


def rooms(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which other rooms each room looks into."""
    found: dict[str, set[str]] = {}
    for module, source in sources.items():
        found.setdefault(room(module), set()).update(
            {room(other) for other in imports(source, sources)} - {room(module)}
        )
    return found


def test_every_room_has_its_floor():
    packages = {path.parent.name for path in (ROOT / "recsys_helpers").glob("*/__init__.py")}
    assert packages | {"errors", "paths", "files", "arrays", "sets", "plotting", "__main__"} == {
        name.partition(".")[0] for floor in FLOORS for name in floor
    }
    assert {room(module) for module in modules()} == FLOOR.keys()


def test_nobody_imports_from_a_higher_floor():
    assert climbs(modules()) == set()


def test_the_checks_need_the_ground_floor_alone():
    assert rooms(modules())["recsys_helpers.checks"] <= {f"recsys_helpers.{name}" for name in FLOORS[0]}


def test_there_is_no_circle_of_modules_and_none_of_rooms():
    assert circle(at_top(modules())) == []
    assert circle(rooms(modules())) == []


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("data.event_log", "from recsys_helpers.models.bert import film_texts", "recsys_helpers.models.bert"),
        ("data.event_log", "from recsys_helpers.models import bert", "recsys_helpers.models.bert"),
        ("data.event_log", "import recsys_helpers.models.bert as b", "recsys_helpers.models.bert"),
        (
            "evaluation.ranks",
            "from recsys_helpers.evaluation.leaderboard import show",
            "recsys_helpers.evaluation.leaderboard",
        ),
        ("course.run", "def f():\n    from course_tools.author.store import store", "course_tools.author.store"),
    ],
)
def test_a_climb_is_found(module, line, found):
    sources = modules()
    module = f"recsys_helpers.{module}"
    sources[module] += f"\n{line}\n"
    assert climbs(sources) == {f"{module} imports {found}"}


def test_a_circle_is_found():
    sources = modules()
    sources["recsys_helpers.data.assets"] += "\nfrom recsys_helpers.data.movielens import film_texts\n"
    assert {"recsys_helpers.data.assets", "recsys_helpers.data.movielens"} == set(circle(at_top(sources)))
    sources["recsys_helpers.training.fit"] += "\nfrom recsys_helpers.data import splits\n"
    assert circle(rooms(sources)) == []
    sources["recsys_helpers.data.splits"] += "\ndef f():\n    from recsys_helpers.training import fit\n"
    assert {"recsys_helpers.data", "recsys_helpers.training"} == set(circle(rooms(sources)))


def test_a_students_first_check_loads_numpy_and_nothing_heavier():
    program = (
        "import sys; before = set(sys.modules); import recsys_helpers.checks\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith("_")}
    assert loaded == {"recsys_helpers", "numpy", "babel", "platformdirs"}
