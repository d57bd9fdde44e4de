"""A check answers at once: each right answer is judged within two seconds of the processor."""

import time

import pytest
from planted import RIGHT

from recsys_helpers.checks import EXERCISES, check


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_right_answers_are_judged_at_once(name):
    for answers in RIGHT[name]:
        start = time.process_time()
        check(name, *answers)
        assert time.process_time() - start < 2
