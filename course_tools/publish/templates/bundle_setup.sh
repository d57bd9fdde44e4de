#!/bin/sh
# Sets the course up without a network:  sh setup.sh   (or: PYTHON=/path/to/python3 sh setup.sh)
# A second call finishes what a broken first one left.
set -eu
cd "$(dirname "$0")"
stop() { echo "error: $*" >&2; exit 1; }
PYTHON=${PYTHON:-python3}
NEEDED=@TAG@
command -v "$PYTHON" >/dev/null || stop "there is no $PYTHON; name one: PYTHON=/path/to/python3 sh setup.sh"
here=$("$PYTHON" -c 'import platform as p, sys; v = sys.version_info
print("-".join([sys.platform, p.machine().lower(), "python%d.%d" % (v[0], v[1])]))')
[ "$here" = "$NEEDED" ] || stop "this bundle is for $NEEDED and this is $here:" \
    "name another Python (PYTHON=/path/to/python3 sh setup.sh), or ask for a bundle made on a machine like this one"

# The wheels are named relative to this folder, for pip splits a list of links at spaces.
export PIP_NO_INDEX=1 PIP_FIND_LINKS=@OFFLINE@/wheels PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1
if [ ! -e .venv/.student ]; then
    echo "1/4 comparing every file with its sha256"
    "$PYTHON" - <<'END' || stop "this copy of the bundle is damaged: copy and unpack it again"
import hashlib, sys
bad = []
for line in open("@OFFLINE@/MANIFEST.sha256", encoding="utf-8"):
    digest, path = line.rstrip("\n").split("  ", 1)
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
    .venv/bin/python -m pip install --quiet --no-deps -r requirements/student.lock || \
        stop "pip could not install the wheels (see above); a machine with an older system than the one that made" \
        "the bundle needs a bundle made on its like"
    .venv/bin/python -m pip install --quiet --no-deps -e . || stop "pip could not install the course (see above)"
    touch .venv/.student
fi
echo "4/4 putting data and weights in place, then looking at it all"
.venv/bin/python -m recsys_helpers fetch
.venv/bin/python -m recsys_helpers doctor
echo "Next: .venv/bin/python -m recsys_helpers lab"
