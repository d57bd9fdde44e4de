import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import training_programs as programs

from recsys_helpers.data.interest_world import WorldModel, make_items, make_users
from recsys_helpers.errors import CourseError
from recsys_helpers.models.next_item import Windows
from recsys_helpers.paths import ROOT
from recsys_helpers.scale import parquet_windows
from recsys_helpers.training.fit import Rows, fit

LENGTH = 8


def store(path: Path, histories: list, group: int = 5) -> Path:
    """User 1, 2, ... with these items; `group` users in a row group."""
    with pq.ParquetWriter(path, parquet_windows.SCHEMA, write_page_checksum=True) as file:
        for first in range(0, len(histories), group):
            few = histories[first : first + group]
            users = np.repeat(np.arange(first + 1, first + len(few) + 1), [len(history) for history in few])
            items = np.concatenate(few)
            file.write_table(
                pa.table([users, items, np.arange(len(items))], parquet_windows.SCHEMA.names).cast(
                    parquet_windows.SCHEMA
                )
            )
    return path


@pytest.fixture
def numbered(tmp_path):
    """33 users with 2 to 34 events each; the item is 100 times the user and the place in the history."""
    return store(tmp_path / "numbered.parquet", [100 * user + np.arange(user + 1) for user in range(1, 34)])


def all_of(data) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = zip(*(data[i] for i in range(len(data))), strict=True)
    return np.concatenate(inputs), np.concatenate(targets)


def test_the_written_file_holds_the_world_whatever_the_chunk(tmp_path):
    model = WorldModel()
    _, events = make_users(model, make_items(model, 3), 1, 50, 3)
    for chunk in (7, 50):
        path = tmp_path / "new" / f"{chunk}.parquet"
        parquet_windows.write_interactions(path, 50, seed=3, chunk=chunk)
        assert pd.read_parquet(path).equals(events[["user_id", "item_id", "time"]].astype("int32"))
        assert pq.read_metadata(path).num_row_groups == -(-50 // chunk)
    assert len(parquet_windows.ParquetWindows(tmp_path / "new" / "7.parquet", LENGTH, batch_size=8)) == 7


def test_an_interrupted_writing_leaves_the_file_that_was(tmp_path, monkeypatch):
    path, made = tmp_path / "world.parquet", []
    parquet_windows.write_interactions(path, 20)
    before = path.read_bytes()

    def interrupted(*arguments):
        made.append(arguments)
        if len(made) == 2:
            raise KeyboardInterrupt
        return make_users(*arguments)

    monkeypatch.setattr(parquet_windows, "make_users", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parquet_windows.write_interactions(path, 30, chunk=10)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert [last - first for _, _, first, last, _ in made] == [9, 9]  # no more than a chunk at once


def test_each_user_gives_one_piece_of_the_history_each_epoch(numbered):
    data, begun = parquet_windows.ParquetWindows(numbered, LENGTH, batch_size=4, groups=2), {}
    for _ in range(40):
        inputs, targets = all_of(data)
        assert len(data) == 9 and inputs.shape == targets.shape == (33, LENGTH)
        assert sorted(inputs[:, 0] // 100) == list(range(1, 34))
        for items, next_items in zip(inputs, targets, strict=True):
            user, real = items[0] // 100, next_items > 0
            assert real.sum() == min(user, LENGTH) and np.array_equal(real, items > 0)
            assert np.array_equal(items[real], items[0] + np.arange(real.sum()))
            assert np.array_equal(next_items[real], items[real] + 1) and next_items.max() <= 101 * user
            begun.setdefault(user, set()).add(items[0] % 100)
        data.on_epoch_end()
    assert begun[8] == {0} and begun[9] == {0, 1} and begun[12] == {0, 1, 2, 3, 4}  # each place, the last one too


def test_short_histories_give_what_windows_in_memory_give(tmp_path):
    rng = np.random.default_rng(0)
    histories = [rng.integers(1, 99, size=rng.integers(2, LENGTH + 2)) for _ in range(40)]
    streamed = all_of(parquet_windows.ParquetWindows(store(tmp_path / "short.parquet", histories), LENGTH, seed=1))
    memory = all_of(Windows(histories, LENGTH, seed=2))
    together = [sorted(np.concatenate(both, axis=1).tolist()) for both in (streamed, memory)]
    assert together[0] == together[1]


def test_an_epoch_is_a_function_of_the_seed_and_its_number(numbered):
    def made(seed=4):
        return parquet_windows.ParquetWindows(numbered, LENGTH, batch_size=4, groups=2, seed=seed)

    data, epochs = made(), []
    for _ in range(3):
        epochs.append(all_of(data)[0])
        data.on_epoch_end()
    assert not np.array_equal(epochs[0], epochs[1]) and not np.array_equal(epochs[1], epochs[2])
    assert not np.array_equal(epochs[0], all_of(made(seed=5))[0])
    for number in (2, 0, 1):
        data.go_to(number)
        backwards = [data[i][0] for i in reversed(range(len(data)))]  # a batch does not depend on those before
        assert np.array_equal(np.concatenate(backwards[::-1]), epochs[number])
    assert np.array_equal(all_of(made())[0], epochs[0])


def test_what_is_drawn_inside_a_pool_depends_on_epoch_and_seed(tmp_path):
    path = store(tmp_path / "one.parquet", [np.arange(1, 40)] * 20, group=20)
    data, other = (parquet_windows.ParquetWindows(path, LENGTH, seed=seed) for seed in (0, 1))
    drawn = [data[0][0], other[0][0]]
    data.on_epoch_end()
    drawn.append(data[0][0])
    assert len({batch.tobytes() for batch in drawn}) == 3


def test_only_a_pool_of_row_groups_is_read_and_nothing_twice(numbered, monkeypatch):
    data, reads = parquet_windows.ParquetWindows(numbered, LENGTH, batch_size=4, groups=2), []
    read = pq.ParquetFile.read_row_groups

    def spy(file, groups, columns, use_threads):
        reads.append(groups)
        table = read(file, groups, columns=columns, use_threads=use_threads)
        assert table.column_names == ["user_id", "item_id"]
        return table

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", spy)
    inputs, _ = all_of(data)
    assert sorted(map(len, reads)) == [1, 2, 2, 2] and sorted(np.concatenate(reads)) == list(range(7))
    assert reads != sorted(reads)
    users, place = inputs[:, 0] // 100, 0
    for groups in reads:  # the users of a pool come together, mixed
        size = sum(min(5, 33 - 5 * group) for group in groups)
        pool = users[place : place + size]
        assert {(user - 1) // 5 for user in pool} == set(groups) and pool.tolist() != sorted(pool)
        place += size
        assert len(groups) == 1 or len({(user - 1) // 5 for user in pool[:5]}) == 2
    assert data.pool[1].nbytes <= 10 * (LENGTH + 1) * 4


def open_files(folder: Path) -> int:
    """How many of this process's open files lie in the folder."""
    return sum(Path(file.path).is_relative_to(folder) for file in psutil.Process().open_files())


def test_no_file_stays_open(numbered, tmp_path):
    data = parquet_windows.ParquetWindows(numbered, LENGTH, batch_size=4, groups=2)
    counts = [open_files(tmp_path)]
    for _ in range(2):
        counts += [open_files(tmp_path) for i in range(len(data)) if len(data[i])]
        data.on_epoch_end()
    assert set(counts) == {0}
    data.fingerprint()
    numbered.with_name("bad.parquet").write_bytes(numbered.read_bytes()[:-20])
    with pytest.raises(CourseError, match="damaged"):
        parquet_windows.ParquetWindows(numbered.with_name("bad.parquet"), LENGTH)
    parquet_windows.write_interactions(tmp_path / "world.parquet", 20)
    assert open_files(tmp_path) == 0
    with open(numbered, "rb"):
        assert open_files(tmp_path) == 1


def test_a_file_that_was_replaced_is_not_read_on_as_if_it_were_the_same(tmp_path):
    path = store(tmp_path / "world.parquet", [np.arange(1, 20)] * 10)
    data = parquet_windows.ParquetWindows(path, LENGTH, groups=1)
    store(path, [np.arange(1, 20)] * 10)
    assert all_of(data)[0].max() == 18  # the same was written again
    store(path, [np.arange(1, 30)] * 10)
    with pytest.raises(CourseError, match="another file than before"):
        all_of(data)


def test_the_fingerprint_knows_file_and_settings(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    histories = [rng.integers(1, 1000, 40) for _ in range(30)]

    def of(histories, **settings):
        path = store(tmp_path / f"{rng.integers(2**40)}.parquet", histories)
        return parquet_windows.ParquetWindows(path, **{"length": LENGTH} | settings).fingerprint()

    for blocks, block in ((1024, 2**16), (4, 16)):  # the whole file, and a part of it
        monkeypatch.setattr(parquet_windows, "BLOCKS", blocks)
        monkeypatch.setattr(parquet_windows, "BLOCK", block)
        known = of(histories)
        assert known == of(histories)
        others = [of(histories, **{name: 3}) for name in ("seed", "length", "batch_size", "groups")]
        others += [of([*histories[:-1], histories[-1][::-1] + 1]), of([rng.permutation(items) for items in histories])]
        assert known not in others and len(set(others)) == len(others)


def write_table(path, **columns):
    pq.write_table(pa.table(columns), path)


GOOD = {"user_id": [1, 1, 2, 2], "item_id": [5, 6, 7, 8]}


@pytest.mark.parametrize(
    "told, make",
    [
        ("no file", lambda path: None),
        ("no file", lambda path: path.mkdir()),
        ("is no Parquet file", lambda path: path.write_text("user_id,item_id\n1,5\n")),
        ("is no Parquet file", lambda path: path.write_bytes(b"")),
        ("no column 'item_id'", lambda path: write_table(path, user_id=[1, 1])),
        ("double in column 'item_id'", lambda path: write_table(path, **GOOD | {"item_id": [5.0, 6, 7, 8]})),
        ("string in column 'user_id'", lambda path: write_table(path, **GOOD | {"user_id": ["a", "a", "b", "b"]})),
        ("no or not every row group", lambda path: pq.write_table(pa.table(GOOD), path, write_statistics=False)),
        ("no or not every row group", lambda path: write_table(path, **{name: pa.array([], "int32") for name in GOOD})),
        ("more than one row group", lambda path: pq.write_table(pa.table(GOOD), path, row_group_size=3)),
        ("do not stand together", lambda path: write_table(path, **GOOD | {"user_id": [1, 2, 1, 2]})),
        ("gaps in user_id", lambda path: write_table(path, **GOOD | {"user_id": [1, 1, 3, 3]})),
        ("gaps in user_id", lambda path: write_table(path, **GOOD | {"user_id": [2, 2, 1, 1]})),
        ("without a user or item", lambda path: write_table(path, **GOOD | {"item_id": [5, None, 7, 8]})),
        ("less than two events", lambda path: write_table(path, **GOOD | {"user_id": [1, 1, 1, 2]})),
        ("items below 1", lambda path: write_table(path, **GOOD | {"item_id": [5, 6, 0, 8]})),
    ],
)
def test_bad_files_are_named(tmp_path, told, make):
    path = tmp_path / "world.parquet"
    make(path)
    with pytest.raises(CourseError, match=r"world\.parquet.*: write [^\n]*$") as caught:
        all_of(parquet_windows.ParquetWindows(path, LENGTH))
    assert told in str(caught.value)
    write_table(tmp_path / "good.parquet", **GOOD)
    assert all_of(parquet_windows.ParquetWindows(tmp_path / "good.parquet", LENGTH))[1].max() == 8


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(CourseError, match="at least 1 user"):
        parquet_windows.write_interactions(tmp_path / "world.parquet", 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match="could not be written"):
        parquet_windows.write_interactions(tmp_path / "file" / "world.parquet", 1)


@pytest.fixture
def small(tmp_path):
    """60 users of the items that the model of `training_programs` knows."""
    rng = np.random.default_rng(3)
    histories = [rng.integers(1, programs.ITEMS + 1, size=rng.integers(9, 30)) for _ in range(60)]
    return store(tmp_path / "small.parquet", histories, group=10)


def windows_of(path) -> parquet_windows.ParquetWindows:
    return parquet_windows.ParquetWindows(path, programs.LENGTH, batch_size=8, groups=2, seed=3)


def test_training_resumes_to_the_same_weights(small, tmp_path):
    whole, model = programs.transformer(0.3), programs.transformer(0.3)
    log = fit(whole, windows_of(small), epochs=4, lines=0, checkpoint=tmp_path / "whole")
    assert log["loss"].iloc[-1] < log["loss"].iloc[0]
    fit(programs.transformer(0.3), windows_of(small), epochs=2, lines=0, checkpoint=tmp_path / "two")
    resumed = fit(model, windows_of(small), epochs=4, lines=0, checkpoint=tmp_path / "two")
    assert resumed["loss"].tolist() == log["loss"].tolist()
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), whole.get_weights(), strict=True))


def test_a_run_on_another_file_is_refused(small, tmp_path):
    fit(programs.transformer(), windows_of(small), epochs=1, lines=0, checkpoint=tmp_path / "run")
    rng = np.random.default_rng(4)
    other = store(tmp_path / "other.parquet", [rng.integers(1, programs.ITEMS + 1, 15) for _ in range(60)], group=10)
    with pytest.raises(CourseError, match="another data or seed"):
        fit(programs.transformer(), windows_of(other), epochs=2, lines=0, checkpoint=tmp_path / "run")


def test_only_data_in_order_are_visited_in_order(small, monkeypatch):
    random.seed(0)
    arrays = all_of(windows_of(small))
    for kind, in_order in ((windows_of(small), True), (Rows(*arrays, batch_size=8), False)):
        visited, get = [], type(kind).__getitem__
        with monkeypatch.context() as patch:
            patch.setattr(type(kind), "__getitem__", lambda data, i, get=get, to=visited: to.append(i) or get(data, i))
            fit(programs.transformer(), kind, epochs=2, lines=0)
        epochs = [visited[-2 * len(kind) : -len(kind)], visited[-len(kind) :]]
        assert [sorted(epoch) for epoch in epochs] == [list(range(8))] * 2
        assert [epoch == sorted(epoch) for epoch in epochs] == [in_order] * 2


def test_a_flipped_bit_never_trains_on_other_items(small):
    good = small.read_bytes()
    column = pq.read_metadata(small).row_group(2).column(1)
    end = column.dictionary_page_offset + column.total_compressed_size
    for place in range(end - 60, end):  # the page of data comes last
        small.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(CourseError, match="is damaged"):
            all_of(windows_of(small))


def test_damage_found_while_training_is_one_clear_error(small):
    data, whole = windows_of(small), bytearray(small.read_bytes())
    last = data.file.metadata.row_group(int(data.order[-1])).column(1)  # read long after the training began
    whole[last.data_page_offset + last.total_compressed_size // 2] ^= 1
    small.write_bytes(whole)
    with pytest.raises(CourseError, match=r"^\S*small.parquet is damaged \(.*\): write it anew, [^\n]*$"):
        fit(programs.transformer(), windows_of(small), epochs=1, lines=0)


@pytest.mark.thorough  # a benchmark in small: minutes on a slow machine
def test_the_benchmark_of_growth_runs_and_writes_its_page(tmp_path):
    program = ROOT / "tests" / "benchmarks" / "growth.py"
    command = [sys.executable, program, "--smoke", "--out", tmp_path]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    kept = json.loads((tmp_path / "bench_growth.json").read_text())
    small, large = kept["world"]
    assert (small["world"], large["world"], large["users"]) == ("1x", "10x", 600)
    assert small["windows/s ratio"] == 1 and large["windows/s"] > 0 and large["peak MB"] > 100
    assert large["interactions"] == pq.read_metadata(tmp_path / "growth" / "600.parquet").num_rows
    (row,) = kept["catalogue"]
    assert row["items"] == 300 and min(row["full CPU ms"], row["sampled CPU ms"], row["SGD CPU ms"]) > 0
    assert 0.5 < row["recall@10"] <= 1
    page = (tmp_path / "performance.md").read_text()
    assert page.count("\n|---") == 3 and f"| 10x | 600 | {large['interactions']:,} |" in page
