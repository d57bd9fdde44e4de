"""Keras and keras_nlp, imported without the log lines that TensorFlow's C++ core writes as it starts.

Those lines are written before any setting of verbosity is read, and would land in the outputs of the lessons. Errors
are not hidden: a failing import still raises.
"""

import os
import sys
from contextlib import contextmanager

__all__ = ["keras", "keras_nlp"]


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


with _silent_stderr():
    import keras
    import keras_nlp
