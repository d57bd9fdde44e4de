"""A JupyterHub of docs/jupyterhub/jupyterhub_config.py is really started; three students run a lesson in it at once."""

import importlib.util
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from traitlets.config import PyFileConfigLoader

from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT, home

HUB = ROOT / "docs" / "jupyterhub"
LESSON = "notebooks/00_orientation.ipynb"
EXERCISE = "exercises/01_self_attention.ipynb"
NAMES = ["ada", "grace", "mary"]
MEASURED = json.loads((HUB / "measured.json").read_text("utf-8"))
ROWS = MEASURED["rows"]
VALUES = yaml.safe_load((HUB / "values.yaml").read_text("utf-8"))

spec = importlib.util.spec_from_file_location("rehearse", HUB / "rehearse.py")
rehearse = sys.modules["rehearse"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rehearse)


@dataclass(frozen=True)
class Seen:
    """What was seen while the hub ran."""

    homes: Path
    lesson: bytes  # as the course has it, before anybody ran it
    replies: dict[str, list[dict]]  # of the cells, by student
    megabytes: dict[str, float]
    pids: dict[str, set[int]]
    environment: dict[str, str]  # of Ada's server
    doors: dict[str, int]  # status of Ada's requests, by the owner of the server
    listed: dict[str, set[str]]  # Ada's files, by folder
    after_restart: list[dict]  # the cells of Ada's lesson
    family: list[psutil.Process]


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Seen:
    """One class: log in, run the lesson, add a cell, save; Ada then tries Grace's door, and starts her server again."""
    homes, lesson = tmp_path_factory.mktemp("homes"), (ROOT / LESSON).read_bytes()
    with rehearse.hub(homes) as (address, hub), ThreadPoolExecutor(len(NAMES)) as pool:
        students = list(pool.map(lambda name: rehearse.enter(address, hub, name), NAMES))
        with rehearse.Peak(students) as peak:
            replies = list(pool.map(lambda student: student.run(LESSON), students))
        for student in students:
            content = student.open(LESSON)
            content["cells"].append({"cell_type": "markdown", "metadata": {}, "source": f"by {student.name}"})
            student.save(LESSON, content)
        family = [hub, *hub.children(recursive=True)]
        ada, *_ = students
        pids = {student.name: {process.pid for process in student.processes()} for student in students}
        environment = ada.server.environ()
        doors = {name: ada.ask("GET", f"contents/{LESSON}", of=name).status_code for name in NAMES}
        answers = {folder: ada.ask("GET", f"contents/{folder}").json() for folder in ("notebooks", "exercises")}
        rehearse.stop(ada)
        (homes / "ada" / "recsys-course" / EXERCISE).unlink()
        family.append(rehearse.start(address, hub, "ada", ada.token))
        after_restart = ada.open(LESSON)["cells"]
    return Seen(
        homes=homes,
        lesson=lesson,
        replies=dict(zip(NAMES, replies, strict=True)),
        megabytes=peak.each,
        pids=pids,
        environment=environment,
        doors=doors,
        listed={folder: {entry["name"] for entry in answer["content"]} for folder, answer in answers.items()},
        after_restart=after_restart,
        family=family,
    )


@pytest.mark.parametrize("name", NAMES)
def test_all_cells_of_the_lesson_run(seen, name):
    count = sum(cell["cell_type"] == "code" for cell in json.loads(seen.lesson)["cells"])
    assert [reply["status"] for reply in seen.replies[name]] == ["ok"] * count, seen.replies[name][-1]
    assert [reply["execution_count"] for reply in seen.replies[name]] == list(range(1, count + 1))


def test_each_student_has_a_server_and_a_kernel_of_her_own(seen):
    assert all(len(own) >= 2 for own in seen.pids.values())
    assert len(set.union(*seen.pids.values())) == sum(map(len, seen.pids.values()))


def test_what_a_student_saves_stays_in_her_folder(seen):
    for name in NAMES:
        cells = json.loads((seen.homes / name / "recsys-course" / LESSON).read_text("utf-8"))["cells"]
        assert "".join(cells[-1]["source"]) == f"by {name}"
    assert (ROOT / LESSON).read_bytes() == seen.lesson


def test_each_student_has_every_lesson_and_exercise_and_nothing_half_copied(seen):
    for folder, listed in seen.listed.items():
        assert listed == {path.name for path in (ROOT / folder).glob("*.ipynb")}


def test_no_student_enters_the_server_of_another(seen):
    assert seen.doors == {"ada": 200, "grace": 403, "mary": 403}


def test_data_and_settings_are_those_of_the_hub(seen):
    assert seen.environment["RECSYS_HOME"] == str(home())
    assert seen.environment["TF_CPP_MIN_LOG_LEVEL"] == "3"
    assert seen.environment["HOME"] == str(seen.homes / "ada")


def test_a_server_started_again_keeps_her_work_and_brings_back_what_is_lost(seen):
    assert seen.after_restart[-1]["source"] == "by ada"
    assert (seen.homes / "ada" / "recsys-course" / EXERCISE).read_bytes() == (ROOT / EXERCISE).read_bytes()


def test_nothing_outlives_the_hub(seen):
    assert len(seen.family) >= 1 + 2 + 2 * len(NAMES), "the hub, its proxy and culler, servers and kernels"
    assert not [process for process in seen.family if process.is_running()]


def test_memory_of_a_student_is_as_documented(seen):
    [told] = [row["peak_mb"] for row in ROWS if (row["lesson"], row["students"]) == ("00_orientation", len(NAMES))]
    print("peak MB a student:", {name: round(megabytes) for name, megabytes in seen.megabytes.items()})
    assert all(0.6 * told < megabytes < 1.6 * told for megabytes in seen.megabytes.values()), (seen.megabytes, told)


def test_a_hub_that_cannot_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "nothing"))
    why = r"did not start: .*run `python -m recsys_helpers fetch`"
    with pytest.raises(CourseError, match=why), rehearse.hub(tmp_path / "homes"):
        pytest.fail("it started without data")


def test_readme_says_what_was_measured():
    told = (HUB / "README.md").read_text("utf-8").partition(rehearse.BEGIN)[2].partition(rehearse.END)[0]
    assert told.strip() == rehearse.tables(MEASURED).strip()
    lessons = {row["lesson"] for row in ROWS}
    assert lessons <= {path.stem for path in (ROOT / "notebooks").glob("??_*.ipynb")}
    assert {"01", "02", "04"} <= {lesson[:2] for lesson in lessons}, "those that train the most"


def test_kubernetes_gives_memory_for_every_lesson():
    most = max(row["peak_mb"] for row in ROWS)
    usual = sorted(row["peak_mb"] for row in ROWS)[len(ROWS) // 2]
    memory = {key: 1000 * int(value.removesuffix("G")) for key, value in VALUES["singleuser"]["memory"].items()}
    assert memory["limit"] >= 1.2 * most
    assert usual <= memory["guarantee"] <= memory["limit"]


def test_kubernetes_gives_a_server_what_the_local_hub_gives(monkeypatch):
    """One truth on the student's server, written down for two kinds of hub."""
    monkeypatch.delenv("RECSYS_HOME", raising=False)
    spawner = PyFileConfigLoader(str(HUB / "student_config.py")).load_config().Spawner
    course, single = VALUES["singleuser"], "/srv/course/docs/jupyterhub/start.py"
    assert course["extraEnv"] == spawner.environment
    assert course["cmd"] == ["python", single, *spawner.args]
    assert course["defaultUrl"] == spawner.default_url
    assert Path(single).relative_to("/srv/course") == Path(spawner.cmd[1]).relative_to(ROOT)


def test_the_image_has_the_data_where_servers_look_for_them():
    lines = (HUB / "appendix.dockerfile").read_text("utf-8").splitlines()
    assert f"ENV RECSYS_HOME={VALUES['singleuser']['extraEnv']['RECSYS_HOME']} TF_CPP_MIN_LOG_LEVEL=3" in lines
    assert any(line.startswith("RUN python -m recsys_helpers fetch") for line in lines)
    assert "--target-repo-dir /srv/course" in (HUB / "README.md").read_text("utf-8"), "the home is a volume"


def test_kubernetes_lets_nobody_in_unasked():
    config = VALUES["hub"]["config"]
    assert config["JupyterHub"]["authenticator_class"] == "native"
    assert config["NativeAuthenticator"] == {"open_signup": False}
    assert len([profile for profile in VALUES["singleuser"]["profileList"] if profile.get("default")]) == 1
    assert VALUES["cull"]["timeout"] >= 1800, "a student who reads is not idle"
