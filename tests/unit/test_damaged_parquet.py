"""A Parquet file that is damaged, crafted or foreign is refused in one line, or gives the windows of the original."""

import resource

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import BYTES, flipped, put
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_helpers.errors import CourseError
from recsys_helpers.scale.parquet_windows import ParquetWindows

USERS = np.repeat(np.arange(1, 21), 5)
GOOD = {"user_id": USERS, "item_id": np.arange(1, 101)}


def write(path, group=25, schema=None, **columns):
    table = pa.table(GOOD | columns, schema)
    with pq.ParquetWriter(path, table.schema, write_page_checksum=True) as file:
        for start in range(0, len(table), group):
            file.write_table(table.slice(start, group))
    return path


def windows(path):
    data = ParquetWindows(path, length=3, batch_size=4, groups=2)
    return [np.concatenate(arrays).tolist() for arrays in zip(*(data[i] for i in range(len(data))), strict=True)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write(tmp_path_factory.mktemp("whole") / "good.parquet").read_bytes()


@pytest.fixture(scope="module")
def expected(whole, tmp_path_factory):
    return windows(put(tmp_path_factory.mktemp("expected") / "good.parquet", whole))


def refused_or_the_same(path, expected) -> bool:
    """Whether it was refused, in one line that names the file; else it gives the same windows."""
    try:
        found = windows(path)
    except CourseError as error:
        assert str(path) in str(error) and "write it anew" in str(error) and "\n" not in str(error)
        return True
    assert found == expected
    return False


@pytest.mark.parametrize("how", BYTES)
def test_what_is_no_whole_file_is_refused(how, whole, expected, tmp_path):
    assert refused_or_the_same(put(tmp_path / "a.parquet", BYTES[how](whole)), expected)


def at(place, value, column="user_id"):
    numbers = np.array(GOOD[column], object)
    numbers[place] = value
    return numbers.tolist()


def nested(path):
    inner = pa.StructArray.from_arrays([pa.array(USERS[::-1])], ["user_id"])
    pq.write_table(pa.table({"other": inner, "user_id": USERS, "item_id": GOOD["item_id"]}), path)


def renamed(path):
    columns = [pa.array(USERS), pa.array(USERS), pa.array(GOOD["item_id"])]
    pq.write_table(pa.Table.from_arrays(columns, ["user_id", "user_id", "item_id"]), path)


def two_in_one(path):
    """The pages of one file and the footer of another, as when two wrote at once."""
    other = write(path.with_name("b.parquet"), item_id=GOOD["item_id"][::-1].copy()).read_bytes()
    mine = write(path).read_bytes()
    path.write_bytes(other[: len(other) // 2] + mine[len(other) // 2 :])


def more_rows(path):
    """A footer that promises 127 rows where there are 100."""
    whole = write(path, group=100).read_bytes()
    assert whole.count(bytes([0x16, 0xC8, 0x01])) > 1
    path.write_bytes(whole.replace(bytes([0x16, 0xC8, 0x01]), bytes([0x16, 0xFE, 0x01])))  # as zigzag numbers


CRAFTED = {
    "sparse users": lambda path: write(path, user_id=at(-1, 10**18)),
    "users that end the numbers": lambda path: write(path, user_id=at(-1, 2**63 - 1)),
    "users below 0": lambda path: write(path, user_id=(USERS - 8).tolist()),
    "users from end to end": lambda path: write(path, group=100, user_id=[-(2**63), *USERS[2:].tolist(), 2**63 - 1]),
    "users past 63 bits": lambda path: write(path, user_id=pa.array(USERS.astype("u8") + np.uint64(2**63))),
    "users with a small gap": lambda path: write(path, user_id=(USERS + (USERS > 7)).tolist()),
    "users not in order": lambda path: write(path, user_id=USERS[::-1].copy()),
    "users out of order in a group": lambda path: write(path, group=100, user_id=np.roll(USERS, 2)),
    "users missing": lambda path: write(path, user_id=at(3, None)),
    "users that are dates": lambda path: write(path, user_id=pa.array(USERS, pa.date64())),
    "users that are true": lambda path: write(path, user_id=USERS > 3),
    "users in a dictionary": lambda path: write(path, user_id=pa.array(USERS.astype(str)).dictionary_encode()),
    "items missing": lambda path: write(path, item_id=at(3, None, "item_id")),
    "items below 1": lambda path: write(path, item_id=at(3, -1, "item_id")),
    "items past 32 bits": lambda path: write(path, item_id=at(3, 2**32 + 5, "item_id")),
    "items past 63 bits": lambda path: write(path, item_id=pa.array(at(3, 2**64 - 1, "item_id"), pa.uint64())),
    "items in words": lambda path: write(path, item_id=list(map(str, GOOD["item_id"]))),
    "items in lists": lambda path: write(path, item_id=[[i] for i in range(100)]),
    "one event a user": lambda path: write(path, user_id=np.arange(100)),
    "no rows": lambda path: pq.write_table(pa.table(GOOD).slice(0, 0), path),
    "no columns": lambda path: pq.write_table(pa.table({}), path),
    "a column twice": renamed,
    "two files in one": two_in_one,
    "a footer with more rows": more_rows,
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("how", CRAFTED)
def test_what_is_crafted_is_refused(how, expected, tmp_path):
    path = tmp_path / "a.parquet"
    CRAFTED[how](path)
    if path.is_dir():
        with pytest.raises(CourseError, match="there is no file"):
            windows(path)
    else:
        assert refused_or_the_same(path, expected)


def test_a_column_of_the_same_name_within_another_is_refused(tmp_path, expected):
    nested(tmp_path / "a.parquet")
    assert refused_or_the_same(tmp_path / "a.parquet", expected)


def test_sparse_users_take_no_memory(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = write(tmp_path / "a.parquet", user_id=at(-1, 10**9))
    with pytest.raises(CourseError, match="has gaps in user_id"):
        ParquetWindows(path, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2e5  # KB


def test_row_groups_larger_than_the_memory_are_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet")
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    with pytest.raises(CourseError, match="more than the memory holds"):
        ParquetWindows(path, 3)


@settings(max_examples=60)
@given(data=st.data())
def test_random_damage_never_gives_other_windows(whole, expected, tmp_path_factory, data):
    """Of the pages, and of the length; a footer with one wrong bit can make Arrow end the whole process."""
    content, pages = whole, len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for _ in range(data.draw(st.integers(0, 2))):
        content = flipped(content, data.draw(st.integers(0, pages - 1)), 1 << data.draw(st.integers(0, 7)))
    content = content[: data.draw(st.sampled_from([len(content), data.draw(st.integers(0, len(content)))]))]
    refused_or_the_same(put(tmp_path_factory.mktemp("random") / "a.parquet", content), expected)
