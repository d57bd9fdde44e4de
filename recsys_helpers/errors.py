"""The one exception that the course raises on purpose, and how it names what may have been meant."""

import difflib
from collections.abc import Iterable


class CourseError(Exception):
    """A fault of the input or the surroundings, in one line that says what to do about it.

    The command line prints the line and exits with a code that is not 0; a notebook shows it instead of a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """IPython calls this instead of drawing a traceback."""
        return [": ".join((type(self).__name__, str(self)))]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown word: "did you mean 'x'?", or what is known if nothing is near it."""
    names = sorted(known)
    if near := difflib.get_close_matches(word, names, n=1):
        return f"did you mean {near[0]!r}?"
    listed = ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:3])} and so on to {names[-1]}"
    return f"known are {listed}."
