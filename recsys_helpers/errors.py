"""The one exception that the course raises on purpose."""

from collections.abc import Iterable
from difflib import get_close_matches


class CourseError(Exception):
    """A fault of the input or the surroundings, in one line that says what to do about it.

    The command line prints the line and exits with a code that is not 0; a notebook shows it instead of a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """IPython calls this instead of drawing a traceback."""
        return [f"{type(self).__name__}: {self}"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about a word that does not exist: the known word nearest to it, if any is near, and all."""
    known = list(known)
    near = get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}? There are: {', '.join(known)}" if near else f"there are: {', '.join(known)}"
