"""Right and wrong answers to every exercise: all of `RIGHT` must pass, each of `WRONG` must be told what it confuses.

An answer is a tuple of what the student hands to `check`. A wrong one comes with a phrase of the message it must get.
"""

from planted import lesson01, lesson02, lesson03, lesson04, lesson05, lesson06, lesson07, lesson08, lesson09

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}
for _lesson in (lesson01, lesson02, lesson03, lesson04, lesson05, lesson06, lesson07, lesson08, lesson09):
    RIGHT |= _lesson.RIGHT
    WRONG |= _lesson.WRONG
