"""The command line of instructors and authors: `python -m course_tools --help`."""

from pathlib import Path
from typing import Annotated

import typer

from recsys_helpers import sets
from recsys_helpers.__main__ import fetch, run
from recsys_helpers.paths import ROOT

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="A folder with one folder per student.")],
    out: Annotated[Path, typer.Option(help="Where points and pages go.")] = Path("build/grading"),
) -> None:
    """For instructors: grade a class in a sandbox; points as CSV, a page per student, an overview."""
    sets.require("instructor")
    from course_tools.grading.grade import grade as mark

    print(f"Overview: {mark(submissions, out)}")


@app.command()
def slides(
    lesson: Annotated[list[str] | None, typer.Argument(help="Lessons, such as 01; all by default.")] = None,
) -> None:
    """For instructors: slides of the lessons that need no network, in build/slides."""
    sets.require("instructor")
    from course_tools.publish.slides import make

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
    sets.require("site")
    from course_tools.publish.site import make

    print(make(out, repository, hub, branch))


@app.command()
def translations() -> None:
    """For authors: bring the Chinese catalogues up to the English, and list what waits for a translator."""
    from course_tools.author import translation

    for name in translation.names():
        waiting = translation.update(name)
        print(f"{name}: {'to translate: ' + ', '.join(waiting) if waiting else 'current'}")


@app.command()
def bundle(out: Annotated[Path | None, typer.Option(help="The archive; build/course-<platform>.tar.")] = None) -> None:
    """For instructors: one archive that sets the course up on machines without a network."""
    from course_tools.publish.bundle import make

    print(make(out))


@app.command()
def test() -> None:
    """Style, unit tests, every lesson with other parameters, stored outputs, exercises."""
    sets.require("test")
    from course_tools.author import proof

    fetch()
    proof.take(proof.whole())


@app.command()
def test_all() -> None:
    """For authors: `test`, and what seldom changes its answer: every mutant, every mistake in arrays of every kind."""
    sets.require("test")
    from course_tools.author import proof

    fetch()
    proof.take(proof.whole(thorough=True))


@app.command()
def check(
    outputs: Annotated[bool, typer.Option("--outputs", help="Execute the changed notebooks and compare, too.")] = False,
) -> None:
    """For authors: style, guards and the tests of what changed since the last commit, in two minutes."""
    sets.require("test")
    from course_tools.author import proof

    proof.check(outputs)


@app.command()
def store(
    lesson: Annotated[list[str] | None, typer.Argument(help="Lessons or solutions (paths); all by default.")] = None,
) -> None:
    """For authors: execute and store notebooks in a fresh kernel; write exercises, README and docs anew."""
    from course_tools.author.store import release_all
    from course_tools.author.store import store as execute
    from recsys_helpers.course import notebooks

    fetch()
    paths = [Path(path).resolve() for path in lesson] if lesson else notebooks.lessons() + notebooks.solutions()
    for path in paths:
        print(f"{path.stem}: {execute(path):.0f} s", flush=True)
    release_all()
    readme()


@app.command()
def lock(
    upgrade: Annotated[
        list[str] | None, typer.Option(help="A package to bring up; the others keep their versions.")
    ] = None,
) -> None:
    """For authors: write the locks of all sets anew from pyproject.toml, by one resolution."""
    from course_tools.author.lock import write_locks

    for path in write_locks(upgrade):
        print(path.relative_to(ROOT))


@app.command()
def setup(
    name: Annotated[list[str] | None, typer.Argument(help="Sets, such as site; all but gpu by default.")] = None,
) -> None:
    """For authors: measure what each set costs to fetch, to install and to keep, in environments of its own."""
    from course_tools.author.setup_cost import measure

    measure(name)


@app.command()
def full(lesson: Annotated[list[str], typer.Argument(help="Lessons, such as 04.")]) -> None:
    """For authors: measure lessons in the full profile (tens of minutes each) and put the figures into README."""
    from course_tools.author.readme import write_readme
    from course_tools.author.store import measure_full

    fetch()
    measure_full(lesson)
    write_readme()


@app.command()
def readme() -> None:
    """For authors: write the measured tables of README and of the pages anew, from what runs measured."""
    from course_tools.author import instructors, reliability
    from course_tools.author.readme import write_readme

    write_readme()
    instructors.write()
    reliability.write()


def main() -> None:
    """Run a command; a CourseError becomes one line and exit code 2."""
    run(app)


if __name__ == "__main__":
    main()
