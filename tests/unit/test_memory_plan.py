"""Exercise 09.5 counts the weights of the course's own model, to the last one."""

import numpy as np
import pytest
from mutation import solution_cells

from recsys_helpers.models.self_attention import next_item_transformer


@pytest.mark.parametrize("plan", [(30, 8, 1, 2, 6), (17, 12, 3, 4, 5)])  # items, width, blocks, heads, length
def test_the_plan_counts_the_weights_of_the_model(plan):
    scope = {"np": np}
    exec(dict(solution_cells())["09.5"], scope)
    items, width, blocks, heads, length = plan
    held = scope["step_memory"](items, width, blocks, heads, 3, length)
    model = next_item_transformer(items, length=length, width=width, blocks=blocks, heads=heads)
    assert held["weights"] == 4 * model.count_params()
    assert held["logits"] == 4 * np.prod(model(np.ones((3, length), "int32")).shape)
