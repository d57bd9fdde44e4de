"""Feedback on the exercises: `check("01.2", attend)` judges an answer, `hint("01.2")` helps on, `solution("01.2")`
shows the course's own after an attempt, `progress()` draws the map of what is done."""

import importlib
import pkgutil

from recsys_helpers.checks.core import (
    EXERCISES,
    CheckFailed,
    Crashed,
    NotAttempted,
    Wrong,
    check,
    hint,
    progress,
    solution,
)

__all__ = ["EXERCISES", "CheckFailed", "Crashed", "NotAttempted", "Wrong", "check", "hint", "progress", "solution"]

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    if ".lesson" in _module.name:  # importing a lesson's module registers its exercises
        importlib.import_module(_module.name)
