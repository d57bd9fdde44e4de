"""Several data sets for one answer: a mistake is named only where they agree that it was made.

On one data set a wrong number may be that of a mistake by chance, above all where it is a count or a rank. So a judge
puts each data set into a `with`, and tells at the end:

    cases = Cases()
    for scores, target in data:
        with cases:
            compare(rank(scores, target), right, "the rank", (lost, "ties are lost by the target: ..."))
    cases.tell()
"""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from recsys_helpers.checks import core
from recsys_helpers.checks.core import CheckFailed, Crashed, Wrong, numbers, same


@dataclass
class Case:
    """What one data set says: of each mistake whether it fits, and how the answer failed."""

    fits: set[str] = field(default_factory=set)  # mistakes that give what the answer gave, right or wrong
    named: tuple[str, ...] = ()  # those of them that may be told
    plain: str = ""  # what is told otherwise
    failed: bool = False
    crashed: bool = False  # such a case says nothing of a mistake, which may be why


_open: ContextVar[Case | None] = ContextVar("case", default=None)


def wrong(plain: str, *named: str) -> None:
    """Raise Wrong with the first of the mistakes that fit, or else with the plain message.

    Within `with cases:` other data sets may still take the mistake back.
    """
    if case := _open.get():
        case.fits |= set(named)
        case.named, case.plain = named, plain
    raise Wrong(named[0] if named else plain)


def fits(*messages: str) -> None:
    """Note mistakes that would give what this answer gave, right or wrong."""
    if case := _open.get():
        case.fits |= set(messages)


def compare(got: Any, expected: Any, what: str, *mistakes: tuple[Any, str]) -> None:
    """As `core.compare`, but a mistake that only one of several data sets shows is not named."""
    got = numbers(got, what)
    fitting = [message for variant, message in mistakes if same(got, np.asarray(variant, dtype=float))]
    fits(*fitting)
    try:
        core.compare(got, expected, what)
    except Wrong as plain:
        wrong(str(plain), *fitting)


class Cases:
    """The data sets of one judge: `with` this object around each, then `tell()`."""

    def __init__(self) -> None:
        self._cases: list[Case] = []

    def __enter__(self) -> Self:
        self._cases.append(Case())
        self._token = _open.set(self._cases[-1])
        return self

    def __exit__(self, kind: type | None, failure: BaseException | None, _) -> bool:
        """Hold back a failure that names a mistake, and all behind it: the first that names none is raised at once."""
        _open.reset(self._token)
        case = self._cases[-1]
        case.failed, case.crashed = failure is not None, isinstance(failure, Crashed)
        return isinstance(failure, CheckFailed) and any(each.named for each in self._cases)

    def tell(self) -> None:
        """Raise Wrong if a data set failed.

        A mistake is named if it gives what the answer gave on every data set, also where that is right; or on two that
        failed, and on more than it does not.
        """
        judged = [case for case in self._cases if not case.crashed]
        for case in judged:
            for message in case.named:
                against = sum(message not in other.fits for other in judged)
                if not against or max(1, against) < sum(message in other.named for other in judged):
                    raise Wrong(message)
        if failed := [case for case in self._cases if case.failed]:
            raise Wrong(failed[0].plain)
