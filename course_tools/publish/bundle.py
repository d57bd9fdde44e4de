"""One archive from which a machine without any network is set up: `python -m course_tools bundle`.

It holds the course as it stands here, every wheel of the student's set for this platform and this Python, and the
wheels that carry MovieLens-100K and MiniLM. On the other machine `sh setup.sh` checks all of it and installs. The
archive is a plain tar: wheels are compressed already, and tar unpacks it everywhere.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

from recsys_helpers.data import assets
from recsys_helpers.errors import CourseError
from recsys_helpers.files import replacing, scratch_folder
from recsys_helpers.paths import ROOT

WHEELS = 0.7e9  # bytes, somewhat more than the wheels took when measured
FOLDER = "course"  # what the archive unpacks to
OFFLINE = "offline"  # the folder in it with wheels and manifest
TAG = f"{sys.platform}-{platform.machine().lower()}-python{sys.version_info[0]}.{sys.version_info[1]}"


def make(out: Path | None = None) -> Path:
    """Write the bundle to `out` (by default build/course-<platform>-<Python>.tar), and return its path.

    Whatever happens, `out` is a whole bundle or what it was before. What pip had downloaded whole before a stop, it
    has in its own cache and does not download again.

    Raises CourseError: no git repository, too little disk, no network, a wheel that is not the one expected.
    """
    out = (out or ROOT / "build" / f"course-{TAG}.tar").absolute()
    files = _course_files()
    try:
        with scratch_folder(out) as scratch:
            _require_space(out.parent, files)
            wheels = scratch / OFFLINE / "wheels"
            wheels.mkdir(parents=True)
            _collect_wheels(wheels)
            (scratch / OFFLINE / "README.txt").write_text(_filled("bundle_readme.txt"), "utf-8")
            (scratch / "setup.sh").write_text(_filled("bundle_setup.sh"), "utf-8")
            content = {name: ROOT / name for name in files}
            content |= {str(path.relative_to(scratch)): path for path in sorted(scratch.rglob("*")) if path.is_file()}
            manifest = scratch / OFFLINE / "MANIFEST.sha256"
            manifest.write_text("".join(f"{_sha256(path)}  {name}\n" for name, path in content.items()), "utf-8")
            with replacing(out) as archive, tarfile.open(fileobj=archive, mode="w") as tar:
                for name, path in {**content, f"{OFFLINE}/{manifest.name}": manifest}.items():
                    tar.add(path, f"{FOLDER}/{name}", filter=_anonymous)
    except OSError as error:
        raise CourseError(f"The bundle could not be written to {out.parent} ({error.strerror or error}).") from error
    return out


def _filled(name: str) -> str:
    """A text that lies beside this module, with the names of this machine and of the archive's folder filled in."""
    text = (Path(__file__).parent / "templates" / name).read_text("utf-8")
    return text.replace("@TAG@", TAG).replace("@OFFLINE@", OFFLINE)


def _course_files() -> list[str]:
    """The files of the repository as they stand now, without those that git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise CourseError(f"{ROOT} has to be a git repository, with git installed, to make a bundle of it.") from error
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def _require_space(folder: Path, files: list[str]) -> None:
    size = WHEELS + sum(asset["wheel"]["size"] for asset in assets.registry().values())
    size += sum((ROOT / name).stat().st_size for name in files)
    free = shutil.disk_usage(folder).free
    if free < 2 * size:  # the wheels, and the archive of them
        raise CourseError(
            f"A bundle needs about {2 * size / 1e9:.1f} GB while it is made and {folder} has {free / 1e9:.1f} GB: "
            "free some space, or name a file on a larger disk with --out."
        )


def _collect_wheels(folder: Path) -> None:
    """Every wheel that the other machine needs; what has no wheel is built into one here."""
    registry = assets.registry()
    lock = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-input", f"--wheel-dir={folder}"]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    subjects = ["-r", "requirements/student.lock", *build, *(asset["requirement"] for asset in registry.values())]
    pip = subprocess.run([*lock, *subjects], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    if pip.returncode:
        said = [line.removeprefix("ERROR: ") for line in pip.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = said[-1] if said else (pip.stderr.strip().splitlines() or [f"exit code {pip.returncode}"])[-1]
        raise CourseError(
            f"pip could not collect the wheels ({reason}): connect to the internet and call it again; "
            "what is downloaded already is not downloaded twice."
        )
    hashes = {_sha256(wheel): wheel for wheel in folder.glob("*.whl")}
    for name, asset in registry.items():
        if asset["wheel"]["sha256"] not in hashes:
            raise CourseError(
                f"The wheel of {name} is not the file the course was written for (its sha256 differs): "
                "run `pip config list` to see which index it came from."
            )


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made the bundle."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
