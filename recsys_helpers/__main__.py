"""The command line: `python -m recsys_helpers --help`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from recsys_helpers.errors import CourseError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
ASSETS = ("movielens", "minilm")


@app.command()
def fetch() -> None:
    """Fetch and verify MovieLens-100K and MiniLM (once; later calls only look)."""
    from recsys_helpers.assets import fetch as fetch_asset

    for name in ASSETS:
        print(f"{name}: {fetch_asset(name)}")


@app.command()
def course(
    lesson: Annotated[list[str] | None, typer.Option(help="Only this lesson, such as 01; can be given again.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", help="A lesson parameter, such as seed=3.")] = None,
) -> None:
    """Run the lessons in order on real data and show what they measured."""
    from recsys_helpers.course import run_course, show

    fetch()
    show(run_course(_parameters(parameter or []), lesson))
    print("Executed lessons: build/course/   every measured figure: build/results.json")
    print("Next: make lab   (or: python -m recsys_helpers lab), then open notebooks/00_orientation.ipynb")


@app.command()
def lab(
    folder: Annotated[
        Path | None, typer.Option(help="Where to start, such as build/zh; the course by default.")
    ] = None,
) -> None:
    """Open JupyterLab; start with notebooks/00_orientation.ipynb."""
    from recsys_helpers.notebooks import ROOT

    start = (folder or ROOT).resolve()
    if not start.is_dir():
        raise CourseError(f"there is no folder {start}; for the Chinese notebooks: make lab-zh")
    raise SystemExit(subprocess.call([sys.executable, "-m", "jupyterlab", "--notebook-dir", str(start)], cwd=start))


@app.command()
def doctor(
    report: Annotated[bool, typer.Option("--class", help="Write a one-page report for the instructor.")] = False,
) -> None:
    """Check this machine, and name the fix for each fault."""
    from recsys_helpers.doctor import class_report
    from recsys_helpers.doctor import doctor as examine

    raise SystemExit(class_report() if report else examine())


@app.command()
def progress() -> None:
    """Show which exercises you have done and tried."""
    from recsys_helpers.checks import progress as draw

    draw()


@app.command()
def reset(
    lesson: Annotated[str, typer.Argument(help="Such as 01.")],
    exercise: Annotated[int | None, typer.Option(help="Only this exercise, such as 3.")] = None,
) -> None:
    """Put exercises back as they were handed out; what was there is kept as a backup beside them.

    They are those of the folder `exercises` where you are, or else of the course.
    """
    from recsys_helpers.checks import EXERCISES
    from recsys_helpers.checks.journal import NOT_TRIED, record
    from recsys_helpers.notebooks import reset as put_back

    here = Path("exercises")
    path, backup = put_back(lesson, exercise, here.resolve() if here.is_dir() else None)
    for name in EXERCISES:
        if name.startswith(f"{path.stem[:2]}.{'' if exercise is None else exercise}"):
            record(name, NOT_TRIED)
    kept = f" What was there is in {backup.name}." if backup else ""
    print(f"{path} is as handed out{f', exercise {exercise} only' if exercise else ''}.{kept}")
    print("If it is open in JupyterLab: File, Reload Notebook from Disk.")


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="A folder with one folder per student.")],
    out: Annotated[Path, typer.Option(help="Where points and pages go.")] = Path("build/grading"),
) -> None:
    """For instructors: grade a class in a sandbox; points as CSV, a page per student, an overview."""
    from recsys_helpers.grading import grade as mark

    print(f"Overview: {mark(submissions, out)}")


@app.command()
def slides(
    lesson: Annotated[list[str] | None, typer.Argument(help="Lessons, such as 01; all by default.")] = None,
) -> None:
    """For instructors: slides of the lessons that need no network, in build/slides."""
    from recsys_helpers.notebooks import ROOT
    from recsys_helpers.slides import make

    for path in make(lesson, ROOT / "build" / "slides"):
        print(path)


@app.command()
def site(
    out: Annotated[Path, typer.Option(help="The folder of the site; open index.html in it.")] = Path("build/site"),
    repository: Annotated[
        str | None, typer.Option(help="https://github.com/owner/name, for the buttons; by default the remote origin.")
    ] = None,
    hub: Annotated[str | None, typer.Option(help="Address of your JupyterHub, for a button.")] = None,
    branch: Annotated[str, typer.Option(help="The branch that Binder starts.")] = "main",
) -> None:
    """The course as a site in English and Chinese that opens from disk, in build/site."""
    from recsys_helpers.site import make

    print(make(out, repository, hub, branch))


@app.command()
def chinese(
    out: Annotated[Path, typer.Option(help="Where the notebooks go.")] = Path("build/zh"),
    again: Annotated[bool, typer.Option("--again", help="Also replace notebooks that are there.")] = False,
) -> None:
    """The lessons and exercises in Chinese, for JupyterLab; notebooks that are there already are left alone."""
    from recsys_helpers.translation import make

    written, missing = make(out, keep=not again)
    print(
        f"{len(written)} notebooks written into {out}" + ("" if written else ": all are there; --again replaces them")
    )
    if missing:
        print(f"{len(missing)} texts stay English, which changed since they were translated: {', '.join(missing)}")


@app.command()
def translations() -> None:
    """For authors: bring the Chinese catalogues up to the English, and list what waits for a translator."""
    from recsys_helpers import translation

    for name in translation.names():
        waiting = translation.update(name)
        print(f"{name}: {'to translate: ' + ', '.join(waiting) if waiting else 'current'}")


@app.command()
def bundle(out: Annotated[Path | None, typer.Option(help="The archive; build/course-<platform>.tar.")] = None) -> None:
    """For instructors: one archive that sets the course up on machines without a network."""
    from recsys_helpers.bundle import make

    print(make(out))


@app.command()
def test() -> None:
    """Style, unit tests, every lesson with other parameters, stored outputs, exercises."""
    from recsys_helpers.notebooks import ROOT

    fetch()
    code = ["recsys_helpers", "tests", "docs", "notebooks", "solutions"]
    workers = ["-n", "2", "--dist", "loadfile"]  # what a file sets up, such as the site or a hub, is set up once
    nbval = "--nbval --nbval-current-env --nbval-sanitize-with tests/nbval.cfg --nbval-cell-timeout 600"
    steps = {
        "style": ["ruff", "check", *code],
        "layout": ["ruff", "format", "--check", *code],
        "unit tests, lessons with other parameters, exercises": ["pytest", "-q", *workers, "tests"],
        "stored outputs": ["pytest", "-q", *workers, *nbval.split(), "notebooks", "solutions"],
    }
    failed = []
    alone = os.environ | {"RECSYS_PROGRESS": "off"}  # a test's answers are no progress of yours
    for name, command in steps.items():
        print(f"--- {name}", flush=True)
        if subprocess.call([sys.executable, "-m", *command], cwd=ROOT, env=alone):
            failed.append(name)
    if failed:
        raise CourseError(f"not in order: {'; '.join(failed)} (see above)")


@app.command()
def store(
    lesson: Annotated[list[str] | None, typer.Argument(help="Lessons or solutions (paths); all by default.")] = None,
) -> None:
    """For authors: execute and store notebooks in a fresh kernel; write exercises, README and docs anew."""
    from recsys_helpers import instructors, notebooks
    from recsys_helpers.course import write_readme

    fetch()
    paths = [Path(path).resolve() for path in lesson] if lesson else notebooks.lessons() + notebooks.solutions()
    for path in paths:
        print(f"{path.stem}: {notebooks.store(path):.0f} s", flush=True)
    notebooks.release_all()
    write_readme()
    instructors.write()


@app.command()
def full(lesson: Annotated[list[str], typer.Argument(help="Lessons, such as 04.")]) -> None:
    """For authors: measure lessons in the full profile (tens of minutes each) and put the figures into README."""
    from recsys_helpers.course import measure_full, write_readme

    fetch()
    measure_full(lesson)
    write_readme()


@app.command()
def leaderboard(
    data: Annotated[list[str] | None, typer.Option(help="movielens or world; both by default.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Such as GRU; can be given again; all by default.")] = None,
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "quick",
    seed: int = 7,
) -> None:
    """Train every model of the course under one protocol, and rank them; what is done is not done again."""
    from recsys_helpers import leaderboard as board
    from recsys_helpers.course import write_readme

    models = board.choose(model or [])
    logs = board.read_logs(data or board.DATA)
    outcomes, failed = board.run(logs, models, profile, seed)
    rows = board.rows(logs, outcomes)
    board.show(rows)
    if failed:
        raise CourseError(f"{len(failed)} failed: {'; '.join(failed)}")
    if profile == "full" and (set(logs), set(models)) == (set(board.DATA), set(board.MODELS)):
        board.write(rows, seed)
        write_readme()


def _parameters(pairs: list[str]) -> dict:
    """["seed=3", "profile=quick"] as a dictionary; whole numbers as int."""
    parameters = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CourseError(f"-p {pair}: write NAME=VALUE, such as -p seed=3")
        parameters[name] = int(value) if value.lstrip("-").isdigit() else value
    return parameters


def main() -> None:
    """Run a command; a CourseError becomes one line and exit code 2."""
    # Kernels inherit this, and find the packages of this interpreter.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        app()
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
