"""Where the course lies: its root, its bundled data, its cache, and what runs measured."""

import importlib.util
import os
from pathlib import Path

import platformdirs

from recsys_helpers.errors import CourseError

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"  # what commands make
MEASURED = ROOT / "docs" / "measured"  # figures, written by runs


def home() -> Path:
    """The cache folder: the environment variable RECSYS_HOME, or else the platform's own cache directory.

    Raises CourseError where there is neither.
    """
    try:
        folder = Path(os.environ.get("RECSYS_HOME") or platformdirs.user_cache_dir("recsys-course")).expanduser()
    except RuntimeError as error:
        raise CourseError("this user has no home folder: set RECSYS_HOME to a folder that you may write to") from error
    return folder.absolute()


def datasets_dir() -> Path:
    """The repository's `datasets` folder (bundled data, data cards, registry).

    Raises CourseError when the package was installed without the repository around it.
    """
    folder = ROOT / "datasets"
    if not (folder / "registry.json").is_file():
        raise CourseError(
            f"{folder} has no registry.json: run `pip install --no-deps -e .` inside the course's repository, "
            "because the data lies there and not in the package."
        )
    return folder


def package_folder(name: str) -> Path:
    """The folder of an installed package, which is not imported; CourseError if it is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise CourseError(f"The package {name.replace('_', '-')} is missing: make instructor, or make site, adds it")
    return Path(spec.submodule_search_locations[0])
