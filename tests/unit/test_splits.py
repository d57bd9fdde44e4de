import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_helpers.data.splits import leave_one_out, pad_right


@pytest.fixture
def ratings():
    return pd.DataFrame(
        {
            "user_id": [7, 7, 7, 7, 5, 5, 5, 9, 9],
            "film_id": [10, 30, 20, 40, 20, 50, 10, 10, 20],
            "time": [3, 1, 2, 2, 1, 2, 3, 1, 2],
        }
    )


def test_history_validation_and_test_are_in_time_order(ratings):
    split = leave_one_out(ratings, [10, 20, 30, 40, 50])
    assert split.user_ids.tolist() == [5, 7]  # user 9 has too few films
    assert [s.tolist() for s in split.sequences] == [[2, 5, 1], [3, 2, 4, 1]]
    assert [h.tolist() for h in split.history("validation")] == [[2], [3, 2]]
    assert split.target("validation").tolist() == [5, 4]
    assert [h.tolist() for h in split.history("test")] == [[2, 5], [3, 2, 4]]
    assert split.target("test").tolist() == [1, 1]


def test_ties_follow_the_file_or_the_item_key(ratings):
    swapped = ratings.iloc[[0, 1, 3, 2, 4, 5, 6, 7, 8]]
    by_file = leave_one_out(swapped, [10, 20, 30, 40, 50]).sequences[1]
    by_key = leave_one_out(swapped, [10, 20, 30, 40, 50], file_order_breaks_ties=False).sequences[1]
    assert by_file.tolist() == [3, 4, 2, 1]
    assert by_key.tolist() == [3, 2, 4, 1]


def test_an_unknown_item_is_refused(ratings):
    with pytest.raises(ValueError, match="not in item_ids"):
        leave_one_out(ratings, [10, 20, 30])
    with pytest.raises(ValueError, match="validation"):
        leave_one_out(ratings, [10, 20, 30, 40, 50]).target("train")


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=12), min_size=1, max_size=8), st.integers(1, 9))
def test_padding_stands_on_the_right_and_the_recent_items_stay(histories, length):
    padded = pad_right([np.array(h) for h in histories], length)
    assert padded.shape == (len(histories), length)
    for row, history in zip(padded, histories, strict=True):
        kept = min(len(history), length)
        assert row[:kept].tolist() == history[-length:]
        assert (row[kept:] == 0).all()
