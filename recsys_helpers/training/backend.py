"""Keras and keras_nlp, imported without the log lines that TensorFlow's C++ core writes as it starts.

Those lines are written before any setting of verbosity is read, and would land in the outputs of the lessons. Errors
are not hidden: a failing import still raises. Settings of other projects under which it would fail or never end are a
CourseError before it.
"""

import importlib.util
import os
import sys
from contextlib import contextmanager

from recsys_helpers.errors import CourseError

__all__ = ["keras", "keras_nlp"]
BACKENDS = ("tensorflow", "jax", "torch")  # packages of this name that can train


def _refuse_settings() -> None:
    """CourseError for what the environment asks of Keras and cannot get."""
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        raise CourseError("TF_USE_LEGACY_KERAS asks for Keras 2, the course needs Keras 3: unset TF_USE_LEGACY_KERAS")
    backend = os.environ.get("KERAS_BACKEND")
    there = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if backend and backend not in there:
        raise CourseError(
            f"KERAS_BACKEND is {backend!r}, which cannot train here: unset KERAS_BACKEND, or choose {', '.join(there)}"
        )


@contextmanager
def _silent_stderr():
    """Send what is written to file descriptor 2 to nowhere, for the time of the block."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


_refuse_settings()
with _silent_stderr():
    import keras
    import keras_nlp
