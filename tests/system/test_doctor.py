"""Each check of the doctor, green and red, and that a red one names the command that mends it."""

import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from jupyter_client.kernelspec import KernelSpecManager

import course_tools.__main__ as tools
from recsys_helpers import sets
from recsys_helpers.course import doctor, preflight
from recsys_helpers.course.doctor import Check
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import home


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository with a small lock, a site's set that is not installed, and both bundles."""
    (tmp_path / "requirements").mkdir()
    for name in sets.EXTRAS:
        (tmp_path / "requirements" / f"{name}.lock").write_text("no-such-package==1.0\n")
    (tmp_path / "requirements" / "student.lock").write_text(
        f"# pinned\nnumpy=={metadata.version('numpy')}\n\nrich=={metadata.version('rich')} ; python_version >= '3.11'\n"
        "no-such-package==1.0 ; python_version < '3'\n"
    )
    for name in ("interest_world/users.csv", "tiny_bert/config.json", "tiny_bert/model.weights.h5"):
        (tmp_path / "datasets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "datasets" / name).write_text("something")
    vocabulary = tmp_path / "datasets/tiny_bert/assets/tokenizer/vocabulary.txt"
    vocabulary.parent.mkdir(parents=True)
    vocabulary.write_text("[PAD]\n")
    monkeypatch.setattr(doctor, "datasets_dir", lambda: tmp_path / "datasets")
    monkeypatch.setattr(sets, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # no stamps of `make`
    return tmp_path


def no_repository():
    raise CourseError("no repository here")


def keras_says(monkeypatch, stdout: str = "", stderr: str = "", returncode: int = 0) -> None:
    run = SimpleNamespace(stdout=stdout, stderr=stderr, returncode=returncode)
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: run)


def assert_red(check: Check, found: str, fix: str) -> None:
    assert not check.ok
    assert found in check.found
    assert fix in check.fix
    assert "\n" not in check.found + check.fix


@pytest.mark.parametrize(
    ("version", "ok"), [((3, 10, 9), False), ((3, 11, 0), True), ((3, 13, 9), True), ((3, 14, 0), False)]
)
def test_python(monkeypatch, version, ok):
    monkeypatch.setattr(preflight, "sys", SimpleNamespace(version_info=version))
    check = doctor.check_python()
    assert check.ok == ok
    assert ".".join(map(str, version)) in check.found
    assert "make course PYTHON=" in check.fix


def test_packages(repository):
    good = Check("packages", True, "2 at the locked versions of: student", sets.install())
    assert doctor.check_packages() == good
    with open(repository / "requirements" / "student.lock", "a") as lock:
        lock.write("rich==0.0.1\nno-such-package==1.0\nnumpy==0.1\npsutil==0.1\nscipy==0.1\n")
    check = doctor.check_packages()
    assert_red(check, "no-such-package is missing, not ==1.0", "pip install --no-deps -r requirements/student.lock")
    assert f"rich is {metadata.version('rich')}, not ==0.0.1" in check.found
    assert check.found.endswith("and 2 more")


def test_a_set_is_judged_where_it_is_installed_and_named_where_it_is_not(repository):
    site = repository / "requirements" / "site.lock"
    assert doctor.check_packages().ok, "what was never added is no fault"
    assert "make site adds site (the site)" in doctor.check_more().found and doctor.check_more().ok
    site.write_text(f"psutil=={metadata.version('psutil')}\n")
    assert doctor.check_packages().found == "3 at the locked versions of: student, site"
    assert "make site" not in doctor.check_more().found
    site.write_text("psutil==0.1\n")
    assert_red(doctor.check_packages(), "psutil is", "pip install --no-deps -r requirements/site.lock")
    site.write_text("no-such-package==1.0\n")
    (repository / ".site").touch()  # the stamp of `make site`: the package has been lost since
    assert_red(doctor.check_packages(), "no-such-package is missing", "requirements/site.lock")


def test_tensorflow_cpu_stands_for_tensorflow_but_not_beside_it(repository, monkeypatch):
    installed = {"tensorflow-cpu": "2.21.0", "numpy": "2.0"}
    monkeypatch.setattr(sets, "_installed", installed.get)
    student = repository / "requirements" / "student.lock"
    student.write_text("tensorflow==2.21.0\nnumpy==2.0\n")
    assert doctor.check_packages().ok, "no package of this name is installed, and none is missed"
    student.write_text("tensorflow-cpu==2.20.0\n")
    assert_red(doctor.check_packages(), "tensorflow-cpu is 2.21.0, not ==2.20.0", "requirements/student.lock")
    installed["tensorflow"] = "2.21.0"
    assert_red(doctor.check_packages(), "are both installed", "make clean")


def test_packages_without_a_lock(repository):
    (repository / "requirements" / "student.lock").unlink()
    assert_red(doctor.check_packages(), "student.lock", "git checkout requirements")
    shutil.rmtree(repository / "requirements")
    assert_red(doctor.check_packages(), "no lock to compare with", "git checkout requirements")
    assert doctor.check_more().ok


def test_a_tool_without_its_set_says_in_one_line_what_adds_it(repository):
    commands = [(tools.site, "site"), (tools.slides, "instructor"), (lambda: tools.grade(Path("class")), "instructor")]
    for command, name in [*commands, (tools.test, "test"), (tools.test_all, "test"), (tools.check, "test")]:
        with pytest.raises(CourseError) as error:
            command()
        assert "\n" not in str(error.value)
        assert f"no-such-package not installed, of the set for {sets.EXTRAS[name].purpose}" in str(error.value)
        assert str(error.value).endswith(f"{sets.EXTRAS[name].command}   (or: {sets.install(name)})")


def test_keras_as_it_is():
    keras, gpu = doctor.check_keras()
    assert keras.ok
    assert keras.found == "backend tensorflow, float32"
    assert gpu.ok


def test_a_backend_that_does_not_exist(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "thinano")
    (check,) = doctor.check_keras()
    assert_red(check, "cannot be imported: KERAS_BACKEND is 'thinano'", "unset KERAS_BACKEND TF_USE_LEGACY_KERAS; rm")


def test_a_setting_that_asks_for_keras_2(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    (check,) = doctor.check_keras()
    assert_red(check, "cannot be imported: TF_USE_LEGACY_KERAS asks for Keras 2", "unset KERAS_BACKEND TF_USE_LEGACY")


def test_a_keras_json_with_a_wrong_setting(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text(json.dumps({"floatx": "float31"}))
    (check,) = doctor.check_keras()
    assert_red(check, "floatx", f"rm -f '{tmp_path / 'keras.json'}'")


def test_keras_that_crashes_hangs_or_is_set_to_half_precision(monkeypatch):
    keras_says(monkeypatch, returncode=-11)
    assert_red(doctor.check_keras()[0], "exit code -11", "pip install --no-deps -r requirements/student.lock")
    keras_says(monkeypatch, '["tensorflow", "float16", []]\n')
    assert_red(doctor.check_keras()[0], "lessons need float32", "rm -f")

    def hang(command, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert_red(doctor.check_keras()[0], "180 s", "pip install --no-deps -r requirements/student.lock")


def test_gpu_is_information_only(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    keras_says(monkeypatch, 'a log line\n["jax", "float32", ["gpu:0", "gpu:1"]]\n')
    assert doctor.check_keras()[1] == Check("GPU", True, "2 in use by jax", "")
    keras_says(monkeypatch, '["tensorflow", "float32", []]\n')
    assert doctor.check_keras()[1].found.startswith("none")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    check = doctor.check_keras()[1]
    assert check.ok
    assert "make gpu" in check.found


@pytest.mark.parametrize(("free", "ok"), [(3.9e9, False), (4e9, True)])
def test_memory(monkeypatch, free, ok):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    check = doctor.check_memory()
    assert check.ok == ok
    assert f"{free / 1e9:.1f} GB free" in check.found
    assert "close other programs" in check.fix


@pytest.mark.parametrize(("free", "ok"), [(1.9e9, False), (2e9, True)])
def test_disk_of_a_cache_folder_that_is_yet_to_be_made(monkeypatch, tmp_path, free, ok):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "yet" / "to" / "come"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    check = doctor.check_disk()
    assert check.ok == ok
    assert check.found == f"{free / 1e9:.1f} GB free in {tmp_path} (needs 2)"
    assert check.fix.startswith("export RECSYS_HOME=")


def test_build(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "BUILD", tmp_path / "build")
    check = doctor.check_build()
    assert check.ok and str(tmp_path) in check.found
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0.09e9))
    assert_red(doctor.check_build(), f"0.1 GB free in {tmp_path} (needs 0.1)", "free some space, or python -m")
    monkeypatch.setattr(doctor.os, "access", lambda folder, mode: False)
    assert_red(doctor.check_build(), f"{tmp_path} cannot be written", "course --out /a/folder/of/yours")


@pytest.mark.parametrize(("chosen", "ok"), [("", True), ("en", True), ("zh-CN", True), ("fr", False)])
def test_language(monkeypatch, chosen, ok):
    monkeypatch.setenv("RECSYS_LANGUAGE", chosen)
    check = doctor.check_language()
    assert check.ok == ok
    if not ok:
        assert_red(check, "RECSYS_LANGUAGE is 'fr', which the checks do not speak (en or zh_CN)", "unset RECSYS_LANG")


def test_kernel(monkeypatch, tmp_path):
    kernel = tmp_path / "kernels" / "python3"
    kernel.mkdir(parents=True)
    monkeypatch.setattr(doctor, "KernelSpecManager", lambda: KernelSpecManager(kernel_dirs=[str(kernel.parent)]))
    for broken in ("{", '{"argv": []}'):
        (kernel / "kernel.json").write_text(broken)
        assert_red(doctor.check_kernel(), "no kernel python3 that works", "-m ipykernel install --sys-prefix")
    for python, ok in [("python", True), (sys.executable, True), ("/opt/other/bin/python", False)]:
        (kernel / "kernel.json").write_text(json.dumps({"argv": [python, "-m", "ipykernel_launcher"]}))
        check = doctor.check_kernel()
        assert check.ok == ok, python
        assert (sys.executable if ok else python) in check.found


def test_this_environment_has_its_kernel():
    assert doctor.check_kernel().ok


def test_assets(monkeypatch, tmp_path):
    check = doctor.check_asset("movielens")
    assert check.ok
    assert str(home()) in check.found
    copy = tmp_path / "movielens"
    shutil.copytree(home() / "movielens", copy)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    assert doctor.check_asset("movielens").ok
    ratings = (copy / "ml-100k.inter").read_bytes()
    (copy / "ml-100k.inter").write_bytes(ratings.replace(b"881250949", b"881250948", 1))
    assert_red(doctor.check_asset("movielens"), "ml-100k.inter is damaged", "python -m recsys_helpers fetch")
    assert_red(doctor.check_asset("minilm"), "minilm is missing", "python -m recsys_helpers fetch")


@pytest.mark.parametrize(
    ("name", "file"), [("interest_world", "users.csv"), ("tiny_bert", "assets/tokenizer/vocabulary.txt")]
)
def test_bundles(repository, monkeypatch, name, file):
    assert doctor.check_bundle(name).ok
    (repository / "datasets" / name / file).write_bytes(b"")
    assert_red(doctor.check_bundle(name), f"{name} lacks {doctor.BUNDLES[name][-1]}", "git checkout")
    shutil.rmtree(repository / "datasets" / name)
    assert not doctor.check_bundle(name).ok
    monkeypatch.setattr(doctor, "datasets_dir", no_repository)
    assert_red(doctor.check_bundle(name), "no repository here", "git checkout")


def test_diagnose_covers_everything_in_order(repository, monkeypatch):
    keras_says(monkeypatch, '["tensorflow", "float32", []]\n')
    names = [check.name for check in doctor.diagnose()]
    assert names == [
        "Python", "packages", "more", "Keras", "GPU", "memory", "disk", "build", "Jupyter kernel", "language",
        "movielens", "minilm", "interest_world", "tiny_bert",
    ]  # fmt: skip


def test_the_report_ends_with_the_fixes(monkeypatch, capsys):
    good = Check("memory", True, "9 GB", "unused")
    bad = Check(
        "GPU [x]", False, "two [bold] words", "python -m pip install 'tensorflow[and-cuda]' " + "and-more " * 30
    )
    monkeypatch.setattr(doctor, "diagnose", lambda: [good, bad])
    assert doctor.doctor() == 1
    report = capsys.readouterr().out
    assert "two [bold] words" in report
    assert f"To mend GPU [x]:  {bad.fix}".rstrip() in report, "the command must stand on one line"
    assert "unused" not in report
    monkeypatch.setattr(doctor, "diagnose", lambda: [good])
    assert doctor.doctor() == 0
    assert "All is well." in capsys.readouterr().out


@pytest.fixture
def laptop(monkeypatch, tmp_path):
    """A machine of one Alice, whose checks name her home folder, her other disk and her machine; returns its folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "people" / "liddell"))
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(doctor.socket, "gethostname", lambda: "alices-laptop")
    checks = [
        Check("disk", True, f"9.0 GB free in {Path.home()}/.cache (needs 2)", ""),
        Check("movielens", True, "every sha256 is right in /media/alice/data", ""),
        Check("minilm", False, "left by .fetch-alices-laptop-12", "python -m recsys_helpers fetch"),
    ]
    monkeypatch.setattr(doctor, "diagnose", lambda: checks)
    return tmp_path


def test_the_class_report_is_on_disk_on_screen_and_readable_by_a_program(laptop, capsys):
    assert doctor.class_report(laptop) == 1, "minilm is at fault"
    (path,) = laptop.glob("class_report_*.txt")
    text = path.read_text("utf-8")
    shown = capsys.readouterr().out
    assert shown.startswith(text) and path.name in shown
    assert len(text.splitlines()) < 50, "one page"
    report = yaml.safe_load(text)
    assert path.stem == f"class_report_{report['course class report']}"
    assert report["checks"]["disk"] == "ok: 9.0 GB free in ~/.cache (needs 2)"
    assert report["checks"]["minilm"].startswith("FAULT: ")
    assert report["versions"]["numpy"] == metadata.version("numpy")
    assert report["cores"] >= 1 and report["memory in GB"] > 0 and report["matrix product, GFLOP/s"] > 0.1


def test_the_class_report_names_nobody(laptop, capsys):
    doctor.class_report(laptop)
    (path,) = laptop.glob("class_report_*.txt")
    assert not re.search("alice|liddell", path.read_text("utf-8"))
    assert "data" in path.read_text("utf-8"), "only the name is gone from the path"
    path.unlink()
    doctor.class_report(laptop, host=True)
    (path,) = laptop.glob("class_report_*.txt")
    assert "host: alices-laptop" in path.read_text("utf-8")
    assert "nor your machine" not in capsys.readouterr().out.rpartition("Written to")[2]


def test_a_healthy_class_report_that_cannot_be_written(laptop, monkeypatch):
    monkeypatch.setattr(doctor, "diagnose", lambda: [Check("memory", True, "9 GB", "")])
    assert doctor.class_report(laptop) == 0
    (laptop / "file").touch()
    with pytest.raises(CourseError, match="go to a folder of your own"):
        doctor.class_report(laptop / "file")


def test_the_reports_of_a_class_become_a_table(laptop, monkeypatch):
    faults = {"minilm": False, "memory": False}
    for broken in ([], ["minilm"], ["memory", "minilm"]):
        checks = [Check(name, name not in broken, "found", "") for name in faults]
        monkeypatch.setattr(doctor, "diagnose", lambda checks=checks: checks)
        doctor.class_report(laptop)
    laptops, often = doctor.summarise(laptop)
    assert laptops["faults"].tolist() == ["minilm, memory", "minilm", ""], "the most faults first"
    assert often.to_dict() == {"minilm": 2, "memory": 1}
    assert (laptops["seconds"] >= 0).all() and laptops.index.is_unique
    (laptop / "class_report_zzz.txt").write_text("course class report: zzz\nchecks: [")
    with pytest.raises(CourseError, match=r"class_report_zzz.txt is not a whole class report"):
        doctor.summarise(laptop)
    with pytest.raises(CourseError, match="collect what"):
        doctor.summarise(laptop / "people")
