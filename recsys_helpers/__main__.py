"""The command line: `python -m recsys_helpers --help`."""

import codecs
import errno
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import psutil
import typer

from recsys_helpers.errors import CourseError, did_you_mean

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
ASSETS = ("movielens", "minilm")
CANNOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
NEAREST = "nearest"
IN_ASCII = {"✓": "x", "·": ".", "…": "..."}


@app.command()
def fetch() -> None:
    """Fetch and verify MovieLens-100K and MiniLM (once; later calls only look)."""
    from recsys_helpers.data.assets import fetch as fetch_asset

    for name in ASSETS:
        print(f"{name}: {fetch_asset(name)}")


@app.command()
def course(
    lesson: Annotated[list[str] | None, typer.Option(help="Only this lesson, such as 01; can be given again.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", help="A lesson parameter, such as seed=3.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; the course's folder build by default.")] = None,
) -> None:
    """Run the lessons in order on real data and show what they measured."""
    from recsys_helpers.course.run import run_course, show
    from recsys_helpers.paths import BUILD

    fetch()
    show(run_course(_parameters(parameter or []), lesson, (out or BUILD).resolve()))
    written = out or Path("build")
    print(f"Executed lessons: {written / 'course'}   every measured figure: {written / 'results.json'}")
    print("Next: make lab   (or: python -m recsys_helpers lab), then open notebooks/00_orientation.ipynb")


@app.command()
def lab(
    folder: Annotated[
        Path | None, typer.Option(help="Where to start, such as build/zh; the course by default.")
    ] = None,
) -> None:
    """Open JupyterLab; start with notebooks/00_orientation.ipynb."""
    from recsys_helpers.paths import ROOT

    start = (folder or ROOT).resolve()
    if not start.is_dir():
        raise CourseError(f"there is no folder {start}; for the Chinese notebooks: make lab-zh")
    command = [sys.executable, "-m", "jupyterlab", "--notebook-dir", str(start)]
    if os.name == "nt":
        raise SystemExit(subprocess.call(command, cwd=start))
    os.chdir(start)
    os.execv(sys.executable, command)  # in our place, so that who ends us ends it, and it ends its kernels


@app.command()
def doctor(
    report: Annotated[bool, typer.Option("--class", help="Write a one-page report for the instructor.")] = False,
) -> None:
    """Check this machine, and name the fix for each fault."""
    from recsys_helpers.course.doctor import class_report
    from recsys_helpers.course.doctor import doctor as examine

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
    from recsys_helpers.course.reset import reset as put_back

    here = Path("exercises")
    path, backup = put_back(lesson, exercise, here.resolve() if here.is_dir() else None)
    for name in EXERCISES:
        of, _, number = name.partition(".")
        if of == path.stem[:2] and exercise in (None, int(number)):
            record(name, NOT_TRIED)
    kept = f" What was there is in {backup.name}." if backup else ""
    print(f"{path} is as handed out{f', exercise {exercise} only' if exercise else ''}.{kept}")
    print("If it is open in JupyterLab: File, Reload Notebook from Disk.")


@app.command()
def chinese(
    out: Annotated[Path, typer.Option(help="Where the notebooks go.")] = Path("build/zh"),
    again: Annotated[bool, typer.Option("--again", help="Also replace notebooks that are there.")] = False,
) -> None:
    """The lessons and exercises in Chinese, for JupyterLab; notebooks that are there already are left alone."""
    from recsys_helpers.course.chinese import make

    written, missing = make(out, keep=not again)
    print(
        f"{len(written)} notebooks written into {out}" + ("" if written else ": all are there; --again replaces them")
    )
    if missing:
        print(f"{len(missing)} texts stay English, which changed since they were translated: {', '.join(missing)}")


@app.command()
def leaderboard(
    data: Annotated[
        list[str] | None, typer.Option(help="movielens, world, or a file or folder of yours; the first two by default.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Such as GRU; can be given again; all by default.")] = None,
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "quick",
    seed: int = 7,
) -> None:
    """Train every model of the course under one protocol, and rank them; what is done is not done again."""
    from recsys_helpers.evaluation import leaderboard as board

    models = board.choose(model or [])
    logs = board.read_logs(data or board.DATA)
    outcomes, failed = board.run(logs, models, profile, seed)
    rows = board.rows(logs, outcomes)
    board.show(rows)
    if failed:
        raise CourseError(f"{len(failed)} failed: {'; '.join(failed)}")
    if profile == "full" and (set(logs), set(models)) == (set(board.DATA), set(board.MODELS)):
        board.write(rows, seed)
        print("docs/measured/leaderboard.json is written; python -m course_tools readme puts it into the tables")


@app.command()
def recommend(
    data: Annotated[str, typer.Option(help="movielens, world, or a file or folder of yours.")],
    user: Annotated[str, typer.Option(help="The user's own id.")],
    k: Annotated[int, typer.Option(help="How many items.")] = 10,
    profile: Annotated[str, typer.Option(help="smoke, quick or full.")] = "quick",
    seed: int = 7,
) -> None:
    """Fit the recommender of lesson 08 on these data, and show a list for one of their users."""
    from recsys_helpers.evaluation import leaderboard as board
    from recsys_helpers.recommender.recommender import Recommender

    (log,) = board.read_logs([data]).values()
    ids = log.split.user_ids
    place = next((number for number, known in enumerate(ids) if str(known) == user), None)
    if place is None:
        raise CourseError(f"user {user!r} is not in {data}; {did_you_mean(user, map(str, ids))}")
    table = Recommender(profile, seed).fit(log).recommend(place, k=k)
    items = log.split.item_ids[table["item"] - 1]
    print(table[["title", "score"]].assign(item=items)[["item", "title", "score"]].round(3).to_string(index=False))


def _nearest(error: UnicodeEncodeError) -> tuple[str, int]:
    """For signs that an output cannot show: the nearest it surely can, or a question mark."""
    return "".join(IN_ASCII.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error(NEAREST, _nearest)


def _parameters(pairs: list[str]) -> dict:
    """["seed=3", "profile=quick"] as a dictionary; whole numbers as int."""
    parameters = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CourseError(f"-p {pair}: write NAME=VALUE, such as -p seed=3")
        parameters[name] = int(value) if re.fullmatch(r"-?[0-9]+", value) else value
    return parameters


@contextmanager
def _orderly():
    """In this block a signal ends the process in order, also that its terminal was closed.

    First all blocks tidy up, as after an error; then those processes end that the command has started and not ended.
    """
    started: list[psutil.Process] = []

    def end(number: int, frame) -> None:
        started.extend(psutil.Process().children(recursive=True))
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}  # as nohup asks
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for process in started:
            with suppress(psutil.Error):  # it has ended
                process.terminate()


def run(commands: typer.Typer) -> None:
    """Run the command that was typed.

    A CourseError, a folder that cannot be written and a full disk become one line and exit code 2.
    """
    # JupyterLab and kernels inherit this: they find the packages and the kernel of this interpreter before others.
    for name, first in {"PATH": Path(sys.executable).parent, "JUPYTER_PATH": Path(sys.prefix, "share/jupyter")}.items():
        os.environ[name] = os.pathsep.join([str(first), *filter(None, [os.environ.get(name)])])
    for stream in (sys.stdout, sys.stderr):  # not every terminal has all signs
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=NEAREST)
    try:
        with _orderly():
            commands()
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno not in CANNOT_WRITE and not isinstance(error, shutil.Error):
            raise
        place = f" ({error.filename})" if error.filename else ""
        reason = error.args[0][0][-1] if isinstance(error, shutil.Error) else error.strerror  # a folder was copied
        print(f"error: {reason}{place}: free that place, or write to another (see --help)", file=sys.stderr)
        raise SystemExit(2) from None


def main() -> None:
    """The student's commands."""
    run(app)


if __name__ == "__main__":
    main()
