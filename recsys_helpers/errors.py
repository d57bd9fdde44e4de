"""The one exception that the course raises on purpose."""


class CourseError(Exception):
    """A fault of the input or the surroundings, in one line that says what to do about it.

    The command line prints the line and exits with a code that is not 0; a notebook shows it instead of a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """IPython calls this instead of drawing a traceback."""
        return [f"{type(self).__name__}: {self}"]
