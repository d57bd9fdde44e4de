"""Training data that stays on the disk: a Parquet file of events, of which a few row groups at a time are in memory."""

import hashlib
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_helpers.data.interest_world import WorldModel, make_items, make_users
from recsys_helpers.data.splits import PADDING
from recsys_helpers.errors import CourseError
from recsys_helpers.files import replacing
from recsys_helpers.training.fingerprint import fingerprint
from recsys_helpers.training.fit import EpochData

USER, ITEM = "user_id", "item_id"
MOST = 2**62  # the largest user_id
BLOCKS, BLOCK = 1024, 2**16  # of a file, to know it by; bytes in a block
SCHEMA = pa.schema({USER: pa.int32(), ITEM: pa.int32(), "time": pa.int32()})  # seconds, as in `InterestWorld`


def write_interactions(path: Path | str, users: int, seed: int = 7, chunk: int = 2000) -> None:
    """Write the events of an InterestWorld of so many users as one Parquet file, by user and time.

    A row group is a chunk of users, and only one chunk is held in memory; the rows do not depend on `chunk`. The file
    appears, in the place of an older one, only when all is written.

    Raises:
        CourseError: there are no users to write, or the disk does not take the file.
    """
    path, model = Path(path), WorldModel()
    if users < 1 or chunk < 1:
        raise CourseError(f"a world needs at least 1 user, and a chunk too, not {users} and {chunk}.")
    items = make_items(model, seed)
    try:
        with replacing(path) as file, pq.ParquetWriter(file, SCHEMA, write_page_checksum=True) as writer:
            for first in range(1, users + 1, chunk):
                _, events = make_users(model, items, first, min(first + chunk - 1, users), seed)
                table = pa.Table.from_pandas(events[SCHEMA.names], SCHEMA, preserve_index=False)
                writer.write_table(table, row_group_size=len(table))
    except OSError as error:
        raise CourseError(f"{path} could not be written ({error.strerror or error})") from error


class ParquetWindows(EpochData):
    """Batches of (items, next items), each of shape (batch, length), right-padded with 0, from a file on the disk.

    In each epoch each user gives one window: length + 1 events in a row from a place that is drawn anew, or all events
    of a shorter history. The row groups come in a new order, `groups` of them at a time; the users of these are
    shuffled together, and nothing else is kept in memory. A larger pool mixes better where neighbours are alike.

    Args:
        path: a Parquet file, such as `write_interactions` makes: whole-number columns user_id and item_id, rows by
            user and time, row groups of whole users. user_id grows by 0 or 1 from row to row, so that the statistics
            in the file's footer tell how many users a row group has.
        length: positions in a window.
        batch_size: windows in a batch.
        groups: row groups in the pool.
        seed: of the places and of the order.

    Raises:
        CourseError: there is no such file, it is damaged, or it is not as described above. What the footer does not
            tell shows when the row group is read.
    """

    in_order = True

    def __init__(self, path: Path | str, length: int, batch_size: int = 64, groups: int = 4, seed: int = 0):
        super().__init__(seed)
        self.path, self.length, self.batch_size, self.groups = Path(path), length, batch_size, groups
        if not self.path.is_file():
            raise CourseError(f"there is no file {self.path}: write one with parquet_windows.write_interactions")
        try:
            with self._open() as self.file:  # closed from here on, its footer is known
                schema, leaves = self.file.schema_arrow, self.file.schema.names
        except Exception as error:  # Arrow has many for what is none of its files
            raise self._fault(f"is no Parquet file, or damaged ({_first_line(error)})") from error
        for name in (USER, ITEM):
            if name not in schema.names:
                raise self._fault(f"has no column {name!r}")
            if leaves.count(name) > 1:
                raise self._fault(f"has more than one column {name!r}")
            if not pa.types.is_integer(schema.field(name).type):
                raise self._fault(f"has {schema.field(name).type} in column {name!r}, not whole numbers")
        place, footer = leaves.index(USER), self.file.metadata
        read = [footer.row_group(i) for i in range(footer.num_row_groups)]
        told = [group.column(place).statistics for group in read]
        if not told or not all(group and group.has_min_max for group in told):
            raise self._fault(f"tells the smallest and largest {USER} of no or not every row group")
        rows = [group.num_rows for group in read]
        needs = 32 * sum(sorted(rows)[-groups:])  # bytes: the columns, and what is made of them
        if needs > psutil.virtual_memory().available:
            raise self._fault(f"has row groups of up to {max(rows):,} rows, more than the memory holds")
        for group, n in zip(told, rows, strict=True):
            if not 0 <= group.min <= group.max <= MOST:
                raise self._fault(f"has numbers in {USER} that are below 0, or too large")
            if group.max - group.min >= n:
                raise self._fault(f"has gaps in {USER}: from {group.min} to {group.max} in {n} rows")
        self.first, self.last = np.array([(group.min, group.max) for group in told]).T
        if (self.first[1:] <= self.last[:-1]).any():
            raise self._fault("has users in more than one row group, or not in order")
        self.go_to(0)

    def on_epoch_end(self) -> None:
        """A new order of the row groups, and a new draw for what is inside of them."""
        self.order, self.draw = self.random.permutation(len(self.first)), int(self.random.integers(2**63))
        users = np.add.reduceat((self.last - self.first + 1)[self.order], np.arange(0, len(self.order), self.groups))
        self.starts = np.concatenate([[0], np.cumsum(users)])  # of each pool, in windows; the last is the end of all
        self.pool = None, None

    def fingerprint(self) -> str:
        """As of all `EpochData`; the file is known by its length, its footer, and 64 MB from all over it.

        The footer has the place, size and extremes of every column of every row group. A smaller file is read whole.
        """
        footer, digest = self.file.metadata.serialized_size, hashlib.sha256()
        try:
            size = self.path.stat().st_size
            with open(self.path, "rb") as file:
                for start in [*range(0, size, max(BLOCK, size // BLOCKS)), max(0, size - footer)]:
                    file.seek(start)
                    digest.update(file.read(BLOCK if start < size - footer else footer))
        except OSError as error:
            raise self._fault(f"cannot be read ({error.strerror})") from error
        return fingerprint(self.seed, self.length, self.batch_size, self.groups, size, digest.hexdigest())

    def __len__(self) -> int:
        return int(-(-self.starts[-1] // self.batch_size))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        place, end = index * self.batch_size, min((index + 1) * self.batch_size, self.starts[-1])
        first, last = np.searchsorted(self.starts, [place, end - 1], side="right") - 1
        parts = []
        for number in range(first, last + 1):  # a batch can begin in one pool and end in another
            if self.pool[0] != number:
                self.pool = number, self._windows(number)
            start = self.starts[number]
            parts.append(self.pool[1][max(0, place - start) : end - start])
        windows = np.concatenate(parts)
        targets = windows[:, 1:]
        return np.where(targets == PADDING, PADDING, windows[:, :-1]), targets

    def _windows(self, number: int) -> np.ndarray:
        """The windows of this pool, shape (users, length + 1), shuffled; they depend on seed, epoch and number only."""
        groups = self.order[number * self.groups : (number + 1) * self.groups]
        try:
            with self._open() as file:
                if not file.metadata.equals(self.file.metadata):
                    raise self._fault("is another file than before")
                table = file.read_row_groups(groups.tolist(), columns=[USER, ITEM], use_threads=False)
                table.validate(full=True)
        except CourseError:
            raise
        except Exception as error:
            raise self._fault(f"is damaged ({_first_line(error)})") from error
        if any(column.null_count for column in table.columns):
            raise self._fault("has rows without a user or item")
        user, item = (table[name].to_numpy() for name in (USER, ITEM))
        if len(user) != sum(self.file.metadata.row_group(group).num_rows for group in groups):
            raise self._fault("has fewer or more rows than it says")
        starts = np.flatnonzero(np.diff(user, prepend=user[0] - 1))
        events = np.diff(starts, append=len(user))
        named = np.concatenate([np.arange(self.first[group], self.last[group] + 1) for group in groups])
        if not np.array_equal(user[starts], named):
            raise self._fault(f"has gaps in {USER}, or rows of a user that do not stand together")
        if events.min() < 2 or item.min() <= PADDING or item.max() > np.iinfo("int32").max:
            raise self._fault("has users with less than two events, or items below 1 or past 32 bits")
        random = np.random.default_rng([self.draw, number])
        starts += random.integers(0, np.maximum(events - self.length, 1))
        place = np.arange(self.length + 1)
        windows = item[np.minimum(starts[:, None] + place, len(item) - 1)]
        windows[place >= events[:, None]] = PADDING
        return windows[random.permutation(len(windows))].astype("int32")

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path, page_checksum_verification=True)

    def _fault(self, what: str) -> CourseError:
        return CourseError(f"{self.path} {what}: write it anew, as parquet_windows.write_interactions does")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
