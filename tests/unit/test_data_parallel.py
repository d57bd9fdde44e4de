"""Processes that are started together: small programs stand for the trainings, and tell their number by a file."""

import sys
import textwrap

import psutil
import pytest

from recsys_helpers.errors import CourseError
from recsys_helpers.scale import data_parallel

START = f"""#!{sys.executable}
import json, os, signal, sys, time
from pathlib import Path

folder, number = Path(__file__).parent, int(os.environ.get("KERAS_DISTRIBUTION_PROCESS_ID", "0"))

def wait_for(name):
    for _ in range(1200):
        if (folder / name).exists():
            return
        time.sleep(0.05)
    sys.exit(f"{{name}} never came")

(folder / "id").mkdir(exist_ok=True)
(folder / "id" / str(os.getpid())).touch()
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A function that lets these lines be what is started in place of the training."""

    def become(lines: str) -> None:
        path = tmp_path / "program"
        path.write_text(START + textwrap.dedent(lines), encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setattr(data_parallel.sys, "executable", str(path))

    return become


def started(tmp_path) -> list[int]:
    return [int(path.name) for path in (tmp_path / "id").iterdir()]


def test_an_unknown_setting_is_refused():
    with pytest.raises(CourseError, match="'three devices' does not exist; choose one of one device, two devices"):
        data_parallel.losses("three devices")


def test_a_failing_process_is_named(monkeypatch):
    monkeypatch.setattr(data_parallel.sys, "executable", "/bin/false")
    with pytest.raises(CourseError, match="two devices: no message"):
        data_parallel.losses("two devices")


def test_processes_that_wait_for_each_other_may_say_a_lot(program):
    program("""
        if number == 1:
            for stream in (sys.stdout, sys.stderr):
                print("x" * 1_000_000, file=stream, flush=True)
            (folder / "second").touch()
        wait_for("second")
        print([3.0, 2.0, 1.0])
    """)
    assert data_parallel.losses("two processes") == [3.0, 2.0, 1.0]


def test_beyond_the_limit_all_are_ended(program, tmp_path):
    program("""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wait_for("nothing")
    """)
    with pytest.raises(CourseError, match=r"^two processes: not done after 2 seconds, and ended; [^\n]*$"):
        data_parallel.losses("two processes", limit=2)
    assert not any(map(psutil.pid_exists, started(tmp_path)))


def test_when_one_fails_the_other_does_not_wait_for_it(program, tmp_path):
    program("""
        if number == 1:
            try:
                wait_for("nothing")
            finally:
                (folder / "gave up").touch()
        sys.exit("a warning\\nout of luck")
    """)
    with pytest.raises(CourseError, match=r"^two processes: out of luck$"):
        data_parallel.losses("two processes")
    assert not any(map(psutil.pid_exists, started(tmp_path))) and not (tmp_path / "gave up").exists()


def test_none_outlives_an_interrupt(program, tmp_path):
    program("""
        while len(list((folder / "id").iterdir())) < 2:
            time.sleep(0.05)
        if number == 1:
            time.sleep(0.5)
            os.kill(os.getppid(), signal.SIGINT)
        wait_for("nothing")
    """)
    with pytest.raises(KeyboardInterrupt):
        data_parallel.losses("two processes")
    assert len(started(tmp_path)) == 2 and not any(map(psutil.pid_exists, started(tmp_path)))


@pytest.mark.parametrize("said", ["UNKNOWN: Failed to start RPC server", "bind: Address already in use"])
def test_a_port_that_was_taken_in_between_is_another_one_the_next_time(program, tmp_path, said):
    program(f"""
        if number == 0:
            if len(list((folder / "id").iterdir())) <= 2:
                sys.exit({said!r})
            print([1.0])
        else:
            time.sleep(1)
    """)
    assert data_parallel.losses("two processes") == [1.0]


def test_a_port_that_is_always_taken_is_an_error(program, tmp_path):
    program("""
        sys.exit("Failed to start RPC server")
    """)
    with pytest.raises(CourseError, match="two processes: Failed to start RPC server"):
        data_parallel.losses("two processes")
    assert len(started(tmp_path)) >= data_parallel.TRIES


def test_two_devices_are_one_process_without_a_gpu(program, tmp_path):
    program("""
        print([float(os.environ["CUDA_VISIBLE_DEVICES"])])
    """)
    assert data_parallel.losses("two devices") == [-1.0] and len(started(tmp_path)) == 1


def test_without_jax_two_processes_are_left_out_with_the_command_that_adds_it(monkeypatch, capsys):
    assert data_parallel.possible() == data_parallel.SETTINGS and capsys.readouterr().out == ""
    monkeypatch.setattr(data_parallel.importlib.util, "find_spec", lambda name: None)
    assert data_parallel.possible() == ("one device", "two devices")
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "make scale   (or: python -m pip install" in said
    assert data_parallel.possible(("one device",)) == ("one device",) and capsys.readouterr().out == ""
