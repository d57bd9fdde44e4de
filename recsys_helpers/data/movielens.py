"""Users, films and ratings: MovieLens-100K, or a table of your own in the same shape.

Bad input raises one CourseError that names the file, the line (from 1, as an editor counts), the column, what was found
there and what was expected.
"""

import csv
import re
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd

from recsys_helpers.data.assets import fetch
from recsys_helpers.errors import CourseError

# the flags of u.item, in its order, after "unknown"
# fmt: off
GENRES = ["Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
          "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"]
# fmt: on
U_DATA = ["user_id", "film_id", "rating", "time"]
U_ITEM = ["film_id", "title", "release_date", "video_release_date", "url", "unknown", *GENRES]
U_USER = ["user_id", "age", "gender", "occupation", "zip_code"]
OUR_NAME = {"user": "user_id", "item": "film_id", "item_id": "film_id", "timestamp": "time"} | {
    "movie_title": "title", "release_year": "year", "class": "genres", "genre": "genres"
}  # fmt: skip
TITLE = re.compile(r"\s*\(([0-9]{4})\)\s*(?:\(V\))?\s*$")  # "Toy Story (1995)"; (V) marks a video
LATE_ARTICLE = re.compile(r"(^|\()([^()]+), (The|An?|Il|L[ae]|Les|L'|Das|De[rt]|Die|El|O)(?=\)|$| \()")
QUOTED = re.compile(r'"(?:[^"]|"")*"(?=,|$)')  # a whole field of a CSV
EARLIEST, LATEST = 86_400, 4_133_980_800  # unix seconds: 1970-01-02 and the end of 2100


@dataclass(frozen=True)
class MovieLens:
    """Three tables, joined by user_id and film_id (never by title: 23 titles of MovieLens-100K occur twice).

    Attributes:
        users: user_id, age (years), gender and occupation (categories), zip_code (str). 943 rows.
        films: film_id, title, year (Int64, may be missing), genres (list of str, may be empty). 1,682 rows.
        ratings: user_id, film_id, rating (float32, 1 to 5 stars), time (datetime64[s, UTC]). 100,000 rows in the order
            of the file. Our protocol breaks ties of time by that order, so sort by time only with kind="stable".
    """

    users: pd.DataFrame
    films: pd.DataFrame
    ratings: pd.DataFrame


def load_movielens(source: str | Path | None = None, rating_range: tuple[float, float] = (1, 5)) -> MovieLens:
    """MovieLens-100K, or your own data in its shape.

    Args:
        source: one of
            None: MovieLens-100K from the cache, downloaded at the first call;
            a folder with GroupLens' `u.data`, `u.item` and, if there is one, `u.user`;
            a folder with RecBole's `*.inter`, `*.item` and, if there is one, `*.user`;
            a CSV file in UTF-8 with the header user,item,rating,time in any order. It may say user_id, item_id or
            film_id, and timestamp instead; a column title is used, other columns are not. Times are unix seconds or
            ISO 8601 with dashes (UTC if no zone is given). Ids stay as they are: a column of plain integers becomes
            int64, any other str. Folders must have integer ids.
        rating_range: the lowest and the highest rating allowed.

    Returns:
        MovieLens. What the source does not tell is missing (NA), genres are then empty, and titles "Item <id>".

    Raises:
        CourseError: a file is missing, empty, not UTF-8 or wrongly divided; a row has too few or too many fields, a
            number or time that is none or out of range, an unknown user or film, or a (user, item) pair seen before.
    """
    # quiet, because pip's lines would land in a notebook's output
    path = Path(source).expanduser() if source is not None else fetch("movielens", quiet=True)
    if path.is_file():
        return _from_csv(path, rating_range)
    if (path / "u.data").is_file():
        return _from_grouplens(path, rating_range)
    if list(path.glob("*.inter")):
        return _from_recbole(path, rating_range)
    raise CourseError(f"{path}: expected a CSV file, a folder with u.data and u.item, or one with *.inter and *.item.")


def film_texts(films: pd.DataFrame) -> list[str]:
    """What there is to read about each film: "Toy Story (1995). Animation, Children's, Comedy"."""
    years = films["year"].astype("string").fillna("year unknown")
    return [f"{t} ({y}). {', '.join(g)}" for t, y, g in zip(films["title"], years, films["genres"], strict=True)]


def _from_csv(path: Path, rating_range: tuple[float, float]) -> MovieLens:
    table = _Table(path, ",", needs=U_DATA)
    ratings = _ratings(table, table.keys("user_id"), table.keys("film_id"), rating_range)
    titles = table.cells["title"] if "title" in table.cells else pd.Series("", ratings.index)
    films = pd.DataFrame({"film_id": ratings["film_id"], "title": titles.to_numpy()})
    films = films.drop_duplicates("film_id").sort_values("film_id", ignore_index=True)
    return MovieLens(_users_of(ratings), _films(films["film_id"], films["title"]), ratings)


def _from_grouplens(folder: Path, rating_range: tuple[float, float]) -> MovieLens:
    table = _Table(folder / "u.item", "|", names=U_ITEM)
    for genre in U_ITEM[5:]:
        table.check(genre, table.cells[genre].isin(["0", "1"]), "0 or 1")
    flags = (table.cells[GENRES] == "1").to_numpy()
    films = _films(
        table.integers("film_id"), table.cells["title"], genres=[list(compress(GENRES, row)) for row in flags]
    )
    people = folder / "u.user"
    users = _Table(people, "|", names=U_USER) if people.is_file() else None
    return _joined(_Table(folder / "u.data", "\t", names=U_DATA), table, films, users, rating_range)


def _from_recbole(folder: Path, rating_range: tuple[float, float]) -> MovieLens:
    files = {kind: sorted(folder.glob(f"*.{kind}")) for kind in ("inter", "item", "user")}
    if len(files["inter"]) != 1 or len(files["item"]) != 1 or len(files["user"]) > 1:
        raise CourseError(f"{folder}: expected one *.inter file, one *.item file and at most one *.user file.")
    table = _Table(files["item"][0], "\t", needs=["film_id", "title", "year", "genres"])
    genres = table.cells["genres"].str.split().map(lambda words: [word for word in words if word != "unknown"])
    films = _films(table.integers("film_id"), table.cells["title"], table.cells["year"], genres)
    users = _Table(files["user"][0], "\t", needs=U_USER) if files["user"] else None
    return _joined(_Table(files["inter"][0], "\t", needs=U_DATA), table, films, users, rating_range)


def _joined(
    inter: "_Table", items: "_Table", films: pd.DataFrame, people: "_Table | None", rating_range: tuple[float, float]
) -> MovieLens:
    items.check("film_id", ~films["film_id"].duplicated(), "an id that no line above has")
    ratings = _ratings(inter, inter.integers("user_id"), inter.integers("film_id"), rating_range)
    inter.check("film_id", ratings["film_id"].isin(films["film_id"]), f"a film listed in {items.path.name}")
    if people is None:
        return MovieLens(_users_of(ratings), films, ratings)
    users = pd.DataFrame({"user_id": people.integers("user_id"), "age": people.integers("age")})
    users = users.join(people.cells[U_USER[2:]]).astype({"gender": "category", "occupation": "category"})
    people.check("user_id", ~users["user_id"].duplicated(), "an id that no line above has")
    inter.check("user_id", ratings["user_id"].isin(users["user_id"]), f"a user listed in {people.path.name}")
    return MovieLens(users.reset_index(drop=True), films, ratings)


def _ratings(table: "_Table", users: pd.Series, films: pd.Series, rating_range: tuple[float, float]) -> pd.DataFrame:
    rating = table.numbers("rating", *rating_range).astype("float32")
    ratings = pd.DataFrame({"user_id": users, "film_id": films, "rating": rating, "time": table.times("time")})
    again = ratings.duplicated(["user_id", "film_id"])
    table.check("film_id", ~again, "an item that this user has not rated further up")
    return ratings.reset_index(drop=True)


def _users_of(ratings: pd.DataFrame) -> pd.DataFrame:
    """Users of whom we know the id alone, with the same columns and dtypes as the others (age Int64 to hold NA)."""
    dtypes = {"age": "Int64", "gender": "category", "occupation": "category", "zip_code": "str"}
    users = pd.DataFrame({"user_id": np.sort(ratings["user_id"].unique())}, columns=U_USER)
    return users.astype(dtypes)


def _films(
    ids: pd.Series, titles: pd.Series, years: pd.Series | None = None, genres: Iterable[list[str]] | None = None
) -> pd.DataFrame:
    """Films with readable titles; the year comes from the title's end where there is one."""
    nameless = titles.isin(["", "unknown", "unkonwn"])  # film 267 is spelt so in RecBole's file
    year = titles.str.extract(TITLE, expand=False)
    if years is not None:
        year = year.fillna(years.where(years.str.fullmatch("[0-9]{4}")))  # RecBole's has "V" and "unkonwn"
    titles = titles.map(_readable).mask(nameless, "Item " + ids.astype("str"))
    films = pd.DataFrame({"film_id": ids, "title": titles, "year": pd.to_numeric(year).astype("Int64")})
    films["genres"] = [[] for _ in films.index] if genres is None else list(genres)
    return films.reset_index(drop=True)


def _readable(title: str) -> str:
    """Articles to the front: "Big Blue, The (Grand bleu, Le)" -> "The Big Blue (Le Grand bleu)"."""
    title = " ".join(TITLE.sub("", title).split())
    return LATE_ARTICLE.sub(lambda m: f"{m[1]}{m[3]} {m[2]}".replace("L' ", "L'"), title)


class _Table:
    """A file of rows and columns as text, which can tell where in it something is wrong.

    `cells` has one str column for each of ours, indexed by line number; `names` has what the file itself calls them.
    """

    def __init__(self, path: Path, divider: str, names: list[str] | None = None, needs: list[str] | None = None):
        """Read a file that has no header (give the `names` of all columns) or has one (give the columns it `needs`)."""
        self.path = path
        text = self._text(latin=names is not None)
        lines = text.split("\n")
        header = names or [name.split(":")[0].strip(' "').lower() for name in lines[0].split(divider)]
        if wrong := re.search("[\udc80-\udcff]", text):  # bytes that are not UTF-8, as _text keeps them
            line, column = _place(text[: wrong.start()], divider, header)
            raise self.fault(line, column, f"the byte 0x{ord(wrong[0]) - 0xDC00:02x}", "text in UTF-8")
        ours = [OUR_NAME.get(name, name) for name in header]
        for need in needs or []:
            if ours.count(need) != 1:
                form = f"one column {need} in a header that names {', '.join(needs)}, divided by {divider!r}"
                raise self.fault(1, need, reprlib.repr(lines[0]), form)
        rows = self._rows(lines, divider, header)
        if needs:
            del rows[1]
        if not rows:
            raise self.fault(len(lines), header[0], "the end of the file", "at least one row")
        for line, row in rows.items():
            if len(row) != len(ours):
                column = header[len(row)] if len(row) < len(ours) else str(len(ours) + 1)
                raise self.fault(line, column, f"{len(row)} fields", f"{len(ours)} fields divided by {divider!r}")
        self.names = dict(zip(ours, header, strict=True))
        columns = zip(ours, zip(*rows.values(), strict=True), strict=True)
        self.cells = pd.DataFrame({name: pd.Series(cells, list(rows), "str").str.strip() for name, cells in columns})

    def _text(self, latin: bool) -> str:
        """The file with \\n as the only line end. GroupLens writes Latin-1; an editor may have made it UTF-8."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise CourseError(f"{self.path} cannot be read ({error.strerror}): check its name and rights.") from error
        try:
            text = content.decode("utf-8-sig", "strict" if latin else "surrogateescape")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _rows(self, lines: list[str], divider: str, header: list[str]) -> dict[int, list[str]]:
        """Fields by line number, without blank lines. Only CSV knows quotation marks, and they end on their line."""
        quoting = csv.QUOTE_MINIMAL if divider == "," else csv.QUOTE_NONE
        reader = csv.reader(lines, delimiter=divider, quoting=quoting, strict=True)
        rows, last = {}, 0
        try:
            for row in reader:
                if reader.line_num > last + 1:
                    raise csv.Error
                last += 1
                if row:
                    rows[last] = row
        except csv.Error as error:
            line, column = _place("\n".join(lines[: last + 1]), divider, header)
            form = "quotation marks around a whole field, closed on the same line"
            raise self.fault(line, column, reprlib.repr(lines[last]), form) from error
        return rows

    def fault(self, line: int, column: str, found: str, expected: str) -> CourseError:
        message = f"{self.path}, line {line}, column {column}: found {found}, expected {expected}."
        return CourseError(message.encode("utf-8", "backslashreplace").decode())

    def check(self, column: str, good: pd.Series, expected: str) -> None:
        """Complain about the first row that is not good."""
        if not good.all():
            row = int(np.argmin(good))
            found = reprlib.repr(self.cells[column].iloc[row])
            raise self.fault(self.cells.index[row], self.names[column], found, expected)

    def numbers(self, column: str, low: float, high: float) -> pd.Series:
        values = pd.to_numeric(self.cells[column], errors="coerce")
        self.check(column, values.between(low, high), f"a number from {low:g} to {high:g}")
        return values

    def integers(self, column: str) -> pd.Series:
        self.check(column, self.cells[column].str.fullmatch(r"[0-9]{1,18}"), "a whole number")
        return self.cells[column].astype("int64")

    def keys(self, column: str) -> pd.Series:
        """Ids of any kind: int64 if all are written as plain integers, else str."""
        self.check(column, self.cells[column] != "", "an id")
        plain = self.cells[column].str.fullmatch(r"0|-?[1-9][0-9]{0,17}").all()
        return self.cells[column].astype("int64") if plain else self.cells[column]

    def times(self, column: str) -> pd.Series:
        """Unix seconds or ISO 8601 as datetime64[s, UTC]; fractions of a second are dropped."""
        seconds = pd.to_numeric(self.cells[column], errors="coerce").astype("float64")
        if (words := seconds.isna()).any():
            dates = pd.to_datetime(self.cells[column][words], format="ISO8601", utc=True, errors="coerce")
            seconds[words] = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        form = "unix seconds (not milliseconds) or an ISO 8601 time, from 1970-01-02 to the end of 2100"
        self.check(column, seconds.between(EARLIEST, LATEST, inclusive="left"), form)
        return pd.to_datetime(seconds.astype("int64"), unit="s", utc=True).dt.as_unit("s")


def _place(before: str, divider: str, header: list[str]) -> tuple[int, str]:
    """Line and column where the text `before` ends or opens a quotation; in the header itself a column's number."""
    *above, line = before.split("\n")
    field = QUOTED.sub("", line).split('"')[0].count(divider)
    return len(above) + 1, header[field] if above and field < len(header) else str(field + 1)
