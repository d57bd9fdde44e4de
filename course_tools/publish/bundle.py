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
README = f"""\
The course on user-interest modelling, with all it needs, for a machine without a network.

Set it up:   sh setup.sh                 (or: PYTHON=/path/to/python3 sh setup.sh)
It needs:    {TAG}
Then:        .venv/bin/python -m recsys_helpers lab

For one's own class only. MovieLens-100K is inside, and its licence forbids redistribution: do not put this archive on
a public page or pass it on beyond the class. See datasets/README.md.
"""
SETUP = f"""\
#!/bin/sh
# Sets the course up without a network:  sh setup.sh   (or: PYTHON=/path/to/python3 sh setup.sh)
# A second call finishes what a broken first one left.
set -eu
cd "$(dirname "$0")"
stop() {{ echo "error: $*" >&2; exit 1; }}
PYTHON=${{PYTHON:-python3}}
NEEDED={TAG}
command -v "$PYTHON" >/dev/null || stop "there is no $PYTHON; name one: PYTHON=/path/to/python3 sh setup.sh"
here=$("$PYTHON" -c 'import platform as p, sys; v = sys.version_info
print("-".join([sys.platform, p.machine().lower(), "python%d.%d" % (v[0], v[1])]))')
[ "$here" = "$NEEDED" ] || stop "this bundle is for $NEEDED and this is $here:" \\
    "name another Python (PYTHON=/path/to/python3 sh setup.sh), or ask for a bundle made on a machine like this one"

# The wheels are named relative to this folder, for pip splits a list of links at spaces.
export PIP_NO_INDEX=1 PIP_FIND_LINKS={OFFLINE}/wheels PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1
if [ ! -e .venv/.student ]; then
    echo "1/4 comparing every file with its sha256"
    "$PYTHON" - <<'END' || stop "this copy of the bundle is damaged: copy and unpack it again"
import hashlib, sys
bad = []
for line in open("{OFFLINE}/MANIFEST.sha256", encoding="utf-8"):
    digest, path = line.rstrip("\\n").split("  ", 1)
    try:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                bad.append(path + " differs")
    except OSError as error:
        bad.append(path + ": " + str(error.strerror))
sys.exit("; ".join(bad) if bad else 0)
END
    echo "2/4 making .venv"
    rm -rf .venv
    "$PYTHON" -m venv .venv || stop "no .venv could be made; on Debian and Ubuntu: apt install python3-venv"
    echo "3/4 installing; this takes minutes"
    .venv/bin/python -m pip install --quiet --no-deps -r requirements/student.lock || \\
        stop "pip could not install the wheels (see above); a machine with an older system than the one that made" \\
        "the bundle needs a bundle made on its like"
    .venv/bin/python -m pip install --quiet --no-deps -e . || stop "pip could not install the course (see above)"
    touch .venv/.student
fi
echo "4/4 putting data and weights in place, then looking at it all"
.venv/bin/python -m recsys_helpers fetch
.venv/bin/python -m recsys_helpers doctor
echo "Next: .venv/bin/python -m recsys_helpers lab"
"""


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
            (scratch / OFFLINE / "README.txt").write_text(README, "utf-8")
            (scratch / "setup.sh").write_text(SETUP, "utf-8")
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
