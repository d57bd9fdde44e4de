import ast
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from recsys_helpers import files
from recsys_helpers.paths import ROOT

OLD, NEW = b"old\n" * 1000, b"new\n" * 2000


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "kept.json"
    path.write_bytes(OLD)
    return path


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start(program: str, *arguments) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def test_the_file_changes_as_a_whole_when_the_block_ends(path):
    with files.replacing(path) as file:
        file.write(NEW)
        file.flush()
        assert path.read_bytes() == OLD
    assert path.read_bytes() == NEW and names(path.parent) == ["kept.json"]


def test_folders_are_made_and_text_is_utf_8(tmp_path):
    files.write_json(tmp_path / "a" / "b" / "rows.json", [{"电影": 1}])
    assert (tmp_path / "a" / "b" / "rows.json").read_text("utf-8") == '[\n {\n  "电影": 1\n }\n]\n'


@pytest.mark.parametrize("when", ["write", "flush to the disk", "rename"])
def test_a_full_disk_leaves_the_old_file_or_none(path, monkeypatch, when):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    if when != "write":
        monkeypatch.setattr(files.os, {"flush to the disk": "fsync", "rename": "replace"}[when], full)
    for target in (path, path.with_name("new.json")):
        with pytest.raises(OSError, match="No space left"), files.replacing(target) as file:
            file.write(NEW[:100])
            if when == "write":
                full()
    assert path.read_bytes() == OLD and names(path.parent) == ["kept.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_in_the_block_leaves_the_old_file(path, error):
    with pytest.raises(error), files.replacing(path) as file:
        file.write(NEW[:100])
        raise error
    assert path.read_bytes() == OLD and names(path.parent) == ["kept.json"]


HANGS = """
import sys, time
from recsys_helpers.files import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"new")
    file.flush()
    print("in the middle", flush=True)
    time.sleep(600)
"""


def test_a_killed_writer_leaves_the_old_file_and_the_next_one_tidies_up(path):
    killed, alive = start(HANGS, path), start(HANGS, path)
    for writer in (killed, alive):
        assert writer.stdout.readline() == "in the middle\n"
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL and path.read_bytes() == OLD and len(names(path.parent)) == 3
    files.write_bytes(path, NEW)
    (left,) = [name for name in names(path.parent) if name != "kept.json"]
    assert path.read_bytes() == NEW and f"-{alive.pid}-" in left
    alive.kill()
    alive.communicate()


def test_what_another_machine_left_goes_after_a_day(path):
    left = path.with_name(".kept.json-elsewhere-1-abcd.part"), path.with_name(".kept.json-elsewhere-2-abcd.part")
    for rest in left:
        rest.touch()
    os.utime(left[0], (time.time() - 2 * files.DAY,) * 2)
    files.write_bytes(path, NEW)
    assert names(path.parent) == [left[1].name, "kept.json"]


@pytest.mark.parametrize("of", ["kept.json", "another.npz"])
def test_what_was_killed_over_one_file_goes_when_its_neighbour_is_written(path, of):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = socket.gethostname()
    path.with_name(f".{of}~{host}-{gone.pid}-0123abcd.part").touch()
    strange = [".notes.part", ".kept-²-1.part", f".{of}~{host}-{'9' * 40}-0123abcd.part"]
    for name in strange:  # no scratch files, or nobody knows whose
        path.with_name(name).touch()
    files.write_bytes(path, NEW)
    assert names(path.parent) == sorted(["kept.json", *strange])


@pytest.mark.parametrize("days", [-400, 0, 0.9], ids=["clock set back since", "just now", "today"])
def test_what_a_dead_process_left_goes_and_a_living_one_keeps_its_own(path, days):
    with start("import os; print(os.getpid())") as ended:
        dead = ended.communicate()[0].strip()
    left = [path.with_name(f".kept.json~{socket.gethostname()}-{pid}-0123abcd.part") for pid in (dead, os.getppid())]
    for rest in left:
        rest.touch()
        os.utime(rest, (time.time() - days * files.DAY,) * 2)
    files.write_bytes(path, NEW)
    assert names(path.parent) == [left[1].name, "kept.json"]


def test_under_a_process_id_that_was_given_again_it_goes_after_a_day(path):
    left = path.with_name(f".kept.json~{socket.gethostname()}-{os.getppid()}-0123abcd.part")
    left.touch()
    os.utime(left, (time.time() - 2 * files.DAY,) * 2)
    files.write_bytes(path, NEW)
    assert path.read_bytes() == NEW and names(path.parent) == ["kept.json"]


def test_a_folder_that_another_process_has_just_put_there_is_replaced_too(tmp_path):
    for name in ("one", "other"):
        files.write_text(tmp_path / name / "page", name)
        files.replace_folder(tmp_path / name, tmp_path / "site")
    assert (tmp_path / "site" / "page").read_text() == "other" and (tmp_path / "other" / "page").read_text() == "one"


def test_a_scratch_folder_goes_in_any_case(path):
    for error in (KeyboardInterrupt, OSError):
        with pytest.raises(error), files.scratch_folder(path) as folder:
            (folder / "half").write_bytes(NEW)
            raise error
    path.with_name(".kept.json-elsewhere-1-abcd.part").mkdir()
    os.utime(path.with_name(".kept.json-elsewhere-1-abcd.part"), (time.time() - 2 * files.DAY,) * 2)
    with files.scratch_folder(path) as one, files.scratch_folder(path) as other:
        assert one != other and one.parent == other.parent == path.parent
    assert names(path.parent) == ["kept.json"]


MANY = """
import sys
from recsys_helpers.files import write_bytes
for _ in range(100):
    write_bytes(sys.argv[1], sys.argv[2].encode() * 100_000)
"""


def test_two_writers_at_once_and_a_reader_see_whole_files(path):
    files.write_bytes(path, b"a" * 100_000)
    writers = [start(MANY, path, letter) for letter in "ab"]
    contents = set()
    while any(writer.poll() is None for writer in writers):
        contents.add(path.read_bytes())
    assert [writer.wait() for writer in writers] == [0, 0]
    assert contents <= {b"a" * 100_000, b"b" * 100_000} and names(path.parent) == ["kept.json"]
    for writer in writers:
        writer.stdout.close()


def test_two_writers_in_one_process_do_not_meet(path):
    with files.replacing(path) as first, files.replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first" and names(path.parent) == ["kept.json"]  # the second block ends earlier


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "new.txt", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == mode


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_an_old_file_keeps_its_permissions_from_the_first_byte(path, mode):
    path.chmod(mode)
    with files.replacing(path) as file:
        file.write(NEW)
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode
    assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_bytes() == NEW


def test_writing_leaves_the_umask_of_other_threads_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask belongs to the whole process"))
    files.write_text(tmp_path / "new.txt", "new")


@pytest.mark.skipif(os.name == "nt", reason="a link needs rights on Windows")
def test_a_link_stays_and_its_target_is_replaced(path, tmp_path):
    (tmp_path / "links").mkdir()
    link, dangling = tmp_path / "links" / "link.json", tmp_path / "links" / "dangling.json"
    link.symlink_to("../kept.json")
    dangling.symlink_to(tmp_path / "elsewhere" / "new.json")
    for place in (link, dangling):
        files.write_bytes(place, NEW)
        assert place.is_symlink() and place.read_bytes() == NEW
    assert path.read_bytes() == NEW and not path.is_symlink()
    assert names(link.parent) == ["dangling.json", "link.json"] and names(tmp_path / "elsewhere") == ["new.json"]


def test_threads_write_different_files_of_a_new_folder(tmp_path):
    targets = [tmp_path / "new" / f"{number}.txt" for number in range(8)]
    threads = [threading.Thread(target=files.write_text, args=(target, "x")) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path / "new") == [target.name for target in targets]


OTHER_WRITERS = {
    "recsys_helpers/files.py": "the writer itself",
    "recsys_helpers/checks/journal.py": "appends lines",
    "recsys_helpers/data/assets.py": "fills a scratch folder that is renamed as a whole",
    "recsys_helpers/data/interest_world.py": "fills a scratch folder that is renamed as a whole",
    "course_tools/grading/grade.py": "appends lines",
    "course_tools/grading/pages.py": "fills a scratch folder that is renamed as a whole",
    "course_tools/publish/bundle.py": "fills a scratch folder that is packed into one file",
    "course_tools/publish/site.py": "fills a scratch folder that is renamed as a whole",
}


def writes(call: ast.Call) -> bool:
    """Whether this writes or moves a file by itself."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = call.func.value.id if isinstance(getattr(call.func, "value", None), ast.Name) else ""
    if name == "open":
        texts = [a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
        return owner != "os" and any(isinstance(t, str) and set(t) <= set("wxabt+") for t in texts)
    if owner in ("os", "shutil"):
        return name in ("replace", "rename", "renames", "move")
    return isinstance(call.func, ast.Attribute) and name in ("write_text", "write_bytes")


def test_no_module_writes_files_in_a_way_of_its_own():
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("recsys_helpers", "course_tools")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and writes(node)
    }
    assert found <= set(OTHER_WRITERS), f"use recsys_helpers.files: {sorted(found - set(OTHER_WRITERS))}"
    assert "recsys_helpers/files.py" in found
