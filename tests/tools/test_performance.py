"""docs/performance.md says what the benchmarks wrote, and what they wrote keeps the course's bounds."""

import json
import sys

import pytest

from recsys_helpers.paths import MEASURED, ROOT

sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def measured(name: str) -> dict:
    return json.loads((MEASURED / f"bench_{name}.json").read_text(encoding="utf-8"))


def region(name: str) -> str:
    return PAGE.split(f"<!-- {name}: begin -->\n")[1].split(f"\n<!-- {name}: end -->")[0]


def test_the_page_is_made_of_the_measured_figures():
    import floor
    import growth

    grown = measured("growth")
    assert region("growth") == growth.markdown(grown["world"], grown["catalogue"]), "run: make bench"
    assert region("floor") == floor.markdown(measured("floor")), "run: make bench"


def test_training_from_the_disk_takes_no_more_at_a_hundred_times_the_data():
    small, *_, large = measured("growth")["world"]
    assert large["interactions"] > 95 * small["interactions"] > 95 * 150_000
    for name in ("windows/CPU s", "peak MB"):
        assert large[name] / small[name] == pytest.approx(1, abs=0.2)


def test_reading_texts_is_no_slower_than_the_peer():
    rows = measured("floor")["peer"]
    assert len(rows) == 2
    for row in rows:
        assert row["ratio"] >= 1 and row["difference"] < 1e-3
