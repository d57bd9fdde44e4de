"""Stands in the place of `recsys_helpers.checks` where a student's code is graded.

There nothing of a check can be read or replaced: the judge sits in another process and asks from there.
"""


def check(*answers) -> None:
    """Nothing: the graded check is the judge's."""


hint = progress = solution = check
