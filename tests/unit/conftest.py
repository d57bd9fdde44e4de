"""What several files of tests set up; heavy modules are imported where they are used."""

import pytest


@pytest.fixture(scope="module")
def words():
    """Texts are read by an encoder without weights."""
    from small_logs import Words

    from recsys_helpers.models import bert

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bert, "load_encoder", Words)
        yield


@pytest.fixture
def calls(monkeypatch):
    """What was trained, in this process for once."""
    from recsys_helpers.evaluation import leaderboard

    made = []

    def here(function, log, model, *others):
        made.append(model)
        return function(log, model, *others)

    monkeypatch.setattr(leaderboard, "in_child", here)
    return made
