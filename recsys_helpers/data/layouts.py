"""Interaction logs in the layouts that people have: public data sets, and tables of one's own.

`read` finds out how a source is laid out and gives its events and items as two tables; `load_log` of `event_log` makes
an `EventLog` of them. A layout is a row of `LAYOUTS`. What is known about them is what their authors' READMEs say.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd

from recsys_helpers.errors import CourseError, did_you_mean

OURS = ("user", "item", "rating", "time", "behaviour", "scenario", "title", "genres", "year")
# what others call our columns, in small letters and without signs
NAMES = {
    "user": "user userid uid customerid customer reviewerid memberid visitorid accountid sessionid username viewer",
    "item": "item itemid iid movieid filmid asin parentasin isbn bookid productid product businessid videoid newsid"
    " articleid songid trackid artistid gameid appid song track artist movie book game sku goodsid",
    "rating": "rating ratings score stars overall bookrating starrating value preference",
    "time": "time timestamp ts date datetime unixreviewtime reviewtime timems eventtime createdat dateadded"
    " reviewedat ratedat playedat",
    "behaviour": "behaviour behavior behaviortype behaviourtype event eventtype action activity",
    "scenario": "scenario context tab channel surface",
    "title": "title name movietitle booktitle productname articletitle",
    "genres": "genres genre categories category class tags",
    "year": "year releaseyear yearofpublication",
}
OUR_NAME = {theirs: ours for ours, names in NAMES.items() for theirs in names.split()}
SCALES = ((0, 1), (1, 5), (0.5, 5), (0, 5), (1, 10), (0, 10), (-10, 10), (1, 100), (0, 100))
SECONDS = (86_400, 4_133_980_800)  # 1970-01-02 and the end of 2100
EIGHT_DIGITS = r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
NEW = 1e8  # seconds: spring of 1973; a smaller number is rather in another unit
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
NO_GENRE = {"", "(no genres listed)", "unknown", "[]", "nan"}
LATE_ARTICLE = re.compile(r"^(.+), (The|An?|Il|L[ae]|Les|L'|Das|De[rt]|Die|El|O)$")
YEAR = re.compile(r"\s*\(([0-9]{4})\)\s*(?:\(V\))?\s*$")
WEIGHTS = {
    "pv": 0.25,
    "view": 0.25,
    "click": 0.25,
    "play": 0.5,
    "fav": 0.5,
    "like": 0.75,
    "cart": 0.75,
    "addtocart": 0.75,
}
WEIGHTS |= {"buy": 1.0, "purchase": 1.0, "transaction": 1.0, "share": 1.0}


@dataclass(frozen=True)
class Layout:
    """How a data set lies on the disk.

    Attributes:
        name: as its authors call it.
        file: pattern of the file of events.
        columns: ours by theirs; where the file has no header, in the order of its columns ("" for one left out).
        divider: between fields; "json" for a JSON object a line.
        header: whether the file of events names its columns.
        item_file: pattern of the file of items, "" if there is none.
        item_columns: as `columns`, for the file of items, which has a header if `item_header`.
        genres_divided: by what an item's genres are.
        unrated: a rating that stands for "took it, gave none".
        like: what a field has to look like in a file without a header, by our name.
        reshape: what makes rows of one event each out of the file's, where it has others.
        weights: how much a behaviour says, 0 to 1.
        quoted: whether quotation marks enclose fields.
    """

    name: str
    file: str
    columns: Mapping[str, str]
    divider: str = ","
    header: bool = True
    item_file: str = ""
    item_columns: Mapping[str, str] = field(default_factory=dict)
    item_header: bool = True
    genres_divided: str = "|"
    unrated: float | None = None
    like: Mapping[str, str] = field(default_factory=dict)
    reshape: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    quoted: bool = True


def _impressions(rows: pd.DataFrame) -> pd.DataFrame:
    """MIND's clicks, and before them what the user had clicked earlier, whose own times are not known."""
    earlier = rows.assign(item=rows["history"].str.split(), order=0).explode("item")
    clicked = rows.assign(item=rows["impressions"].str.findall(r"(\S+)-1(?!\S)"), order=1).explode("item")
    both = pd.concat([earlier, clicked]).dropna(subset="item").rename_axis("row").reset_index()
    return both.sort_values(["row", "order"], kind="stable").set_index("row")[["user", "item", "time"]]


def _clicks(rows: pd.DataFrame) -> pd.DataFrame:
    """KuaiRand's clicks; what was shown and not clicked is no event."""
    return rows[rows["rating"] == "1"].drop(columns="rating")


def _named(text: str) -> dict[str, str]:
    """Columns of a file without a header: ours, or "-" for one that is not read."""
    return {f"{place}": name if name != "-" else "" for place, name in enumerate(text.split())}


ASIN, AMAZON_USER = r"[0-9B][0-9A-Z]{9}", r"A[0-9A-Z]{9,20}"
LAYOUTS = (
    Layout("MovieLens 1M or 10M", "ratings.dat", _named("user item rating time"), "::", False, "movies.dat",
           _named("item title genres"), False),
    Layout("MovieLens", "ratings.csv", {"userId": "user", "movieId": "item", "rating": "rating", "timestamp": "time"},
           item_file="movies.csv", item_columns={"movieId": "item", "title": "title", "genres": "genres"}),
    Layout("Amazon reviews 2023", "*.csv", {"user_id": "user", "parent_asin": "item", "rating": "rating",
           "timestamp": "time"}, item_file="meta_*.jsonl", item_columns={"parent_asin": "item", "title": "title",
           "categories": "genres"}),
    Layout("Amazon reviews 2023", "*.jsonl", {"user_id": "user", "parent_asin": "item", "rating": "rating",
           "timestamp": "time"}, "json", item_file="meta_*.jsonl",
           item_columns={"parent_asin": "item", "title": "title", "categories": "genres"}),
    Layout("Amazon reviews 2014 or 2018", "*.json", {"reviewerID": "user", "asin": "item", "overall": "rating",
           "unixReviewTime": "time"}, "json", item_file="meta_*.json",
           item_columns={"asin": "item", "title": "title", "category": "genres"}),
    Layout("Amazon ratings 2014", "*.csv", _named("user item rating time"), header=False,
           like={"user": AMAZON_USER, "item": ASIN}),
    Layout("Amazon ratings 2018", "*.csv", _named("item user rating time"), header=False,
           like={"user": AMAZON_USER, "item": ASIN}),
    Layout("Book-Crossing", "BX-Book-Ratings.csv", {"User-ID": "user", "ISBN": "item", "Book-Rating": "rating"}, ";",
           item_file="BX-Books.csv", unrated=0,
           item_columns={"ISBN": "item", "Book-Title": "title", "Year-Of-Publication": "year"}),
    Layout("Goodreads", "goodreads_interactions*.csv", {"user_id": "user", "book_id": "item", "rating": "rating"},
           unrated=0),
    Layout("Goodreads", "goodreads_*.json", {"user_id": "user", "book_id": "item", "rating": "rating",
           "date_added": "time"}, "json", unrated=0),
    Layout("Yelp", "*review.json", {"user_id": "user", "business_id": "item", "stars": "rating", "date": "time"},
           "json", item_file="*business.json", item_columns={"business_id": "item", "name": "title",
           "categories": "genres"}, genres_divided=", "),
    Layout("Steam 200k", "steam-200k.csv", _named("user item behaviour - -"), header=False,
           weights={"purchase": 0.5, "play": 1.0}),
    Layout("Steam recommendations", "recommendations.csv", {"user_id": "user", "app_id": "item",
           "is_recommended": "rating", "date": "time"}, item_file="games.csv",
           item_columns={"app_id": "item", "title": "title"}),
    Layout("Last.fm 1K", "userid-timestamp-artid-artname-traid-traname*.tsv",
           _named("user time item title - -"), "\t", False, quoted=False),
    Layout("Last.fm 360K", "usersha1-artmbid-artname-plays*.tsv", _named("user item title -"), "\t", False,
           quoted=False),
    Layout("MIND", "behaviors.tsv", _named("- user time history impressions"), "\t", False, "news.tsv",
           _named("item genres - title - - - -"), False, reshape=_impressions, quoted=False),
    Layout("Taobao UserBehavior", "UserBehavior*.csv", _named("user item genres behaviour time"), header=False,
           like={"behaviour": "pv|buy|cart|fav"}),
    Layout("KuaiRand", "log_*.csv", {"user_id": "user", "video_id": "item", "time_ms": "time", "is_click": "rating",
           "tab": "scenario"}, reshape=_clicks),
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Events and items as they were found, with our names.

    Attributes:
        name: of the layout, or of the file.
        rows: columns user and item (ids as they were), strength (0 to 1), seconds (float, missing where no time is
            told), order (of the file), and scenario if the source has one.
        catalogue: columns item, title, genres (lists); empty if the source has no table of items and no titles.
        has_time: whether the source tells times; else the order of the file stands for them.
        told: what was read in which way, or left out, a sentence each.
    """

    name: str
    rows: pd.DataFrame
    catalogue: pd.DataFrame
    has_time: bool
    told: tuple[str, ...]


@dataclass(frozen=True)
class Wishes:
    """What the caller of `load_log` said about the source; None is what is to be found out."""

    columns: Mapping[str, str] = field(default_factory=dict)
    divider: str | None = None
    rating_range: tuple[float, float] | None = None
    time_unit: str | None = None
    weights: Mapping[str, float] | None = None


def read(source: object, layout: str = "auto", wishes: Wishes | None = None) -> Source:
    """The events and items of a source.

    Args:
        source: a path to a file or folder, or a DataFrame.
        layout: "auto", the name of a layout, or "table" for a table with a column for each of ours.
        wishes: what the caller knows better.

    Raises:
        CourseError: what is broken, in which file, line and column, or what could not be found out, and what to say.
    """
    wishes = wishes or Wishes()
    if isinstance(source, pd.DataFrame):
        table = Table("the table", source, None)
        return _finish("a table", table, None, Layout("table", "", {}), wishes, [])
    if not isinstance(source, str | Path):
        raise CourseError(f"a log is read from a path or a DataFrame, not from a {type(source).__name__}")
    if re.match(r"[a-z]+://", str(source)):
        raise CourseError(f"{source} is an address: download the file, and give its path")
    path = Path(source).expanduser()
    if not path.exists():
        raise CourseError(f"{path} does not exist: check the path")
    known = sorted({one.name for one in LAYOUTS})
    if layout not in ("auto", "table", *known):
        raise CourseError(f"there is no layout {layout!r}; {did_you_mean(layout, ['auto', 'table', *known])}")
    inner = _members(path)
    for one in LAYOUTS if layout != "table" and not wishes.columns else ():
        if layout in ("auto", one.name) and (found := _fits(one, inner)):
            events = _read_as(one, found)
            items = next((name for name in inner if one.item_file and fnmatch(_plain(name), one.item_file)), None)
            return _finish(one.name, events, _items_of(one, items) if items else None, one, wishes, [])
    if layout not in ("auto", "table"):
        raise CourseError(f"{path} holds no {next(one.file for one in LAYOUTS if one.name == layout)} as in {layout}")
    if atomic := [member for member in inner if _plain(member).endswith(".inter")]:
        items = [member for member in inner if _plain(member).endswith(".item")]
        table = _divided(atomic[0], "\t", None, quoted=False)
        return _finish("RecBole", table, _recbole_items(items[0]) if items else None, Layout("", "", {}), wishes, [])
    tables = [name for name in inner if not fnmatch(_plain(name), "*readme*")]
    if len(tables) != 1:
        listed = ", ".join(sorted(_plain(name) for name in tables)[:6]) or "nothing"
        raise CourseError(f"{path} is in no layout that is known here (it holds {listed}): give the path of one table")
    return _finish(_plain(tables[0]), _guess(tables[0], wishes), None, Layout("table", "", {}), wishes, [])


# --- Files ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """A file, or one within a zip archive."""

    path: Path
    inside: str = ""

    @property
    def shown(self) -> str:
        return f"{self.path} ({self.inside})" if self.inside else str(self.path)


def _members(path: Path) -> list[Member]:
    """The files of a source: itself, those of the folder, or those of the archive."""
    files = sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != ".") if path.is_dir() else [path]
    found = []
    for file in files:
        if file.suffix.lower() == ".zip":
            try:
                with zipfile.ZipFile(file) as archive:
                    found += [Member(file, one) for one in archive.namelist() if not one.endswith("/")]
            except (zipfile.BadZipFile, OSError) as error:
                raise CourseError(f"{file} cannot be read as a zip archive ({error}): download it again") from None
        else:
            found.append(Member(file))
    return found


def _plain(member: Member) -> str:
    """The name of a file without folders and without the ending of its compression."""
    name = (member.inside or member.path.name).rsplit("/", 1)[-1]
    return re.sub(r"\.(gz|bz2|xz|zst)$", "", name, flags=re.IGNORECASE)


def _bytes(member: Member) -> bytes:
    """What a file holds, decompressed."""
    name = (member.inside or member.path.name).lower()
    try:
        if member.inside:
            with zipfile.ZipFile(member.path) as archive:
                content = archive.read(member.inside)
        else:
            content = member.path.read_bytes()
        if name.endswith(".zst"):
            import pyarrow

            return pyarrow.input_stream(io.BytesIO(content), compression="zstd").read()
        unpack = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}.get(name[name.rfind(".") :])
        return unpack(content) if unpack else content
    except (OSError, EOFError, zipfile.BadZipFile, lzma.LZMAError, RuntimeError, ValueError) as error:
        raise CourseError(f"{member.shown} cannot be read ({error}): it may be damaged; get it again") from None


def _text(member: Member) -> tuple[str, str]:
    """The text of a file with \\n as the only line end, and its encoding."""
    content = _bytes(member)
    if not content.strip():
        raise CourseError(f"{member.shown} is empty")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding, text = "UTF-16", content.decode("utf-16", errors="replace")
    else:
        try:
            encoding, text = "UTF-8", content.decode("utf-8-sig")
        except UnicodeDecodeError:
            encoding, text = "Latin-1", content.decode("latin-1")
    if "\0" in text:
        raise CourseError(f"{member.shown} is no text: give a table in CSV, JSON lines or Parquet")
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


class Table:
    """Rows as text, which can tell where in their file something is wrong."""

    def __init__(self, shown: str, cells: pd.DataFrame, first: int | None, theirs: Mapping[str, str] | None = None):
        """`first` is the line of the first row, None where there are no lines; `theirs` are the file's own names."""
        self.shown, self.cells, self.first, self.theirs = shown, cells, first, dict(theirs or {})

    def fault(self, column: str, bad: pd.Series, expected: str) -> CourseError:
        """The complaint about the first bad row."""
        row = int(np.argmax(bad.to_numpy()))
        found = str(self.cells[column].iloc[row])[:60]
        return CourseError(
            f"{self.shown}, {self._line(row)}, column {self.theirs.get(column, column)}: found {found!r}, "
            f"expected {expected}"
        )

    def _line(self, row: int) -> str:
        if self.first is None:
            return f"row {row}"
        above = self.cells.iloc[:row]  # a field in quotation marks may hold line ends
        within = sum(int(above[name].astype("str").str.count("\n").sum()) for name in above)
        return f"line {self.first + row + within}"


def _fits(layout: Layout, members: list[Member]) -> Member | None:
    """The file of events, if one is named and looks as in this layout."""
    for member in members:
        if fnmatch(_plain(member), layout.file) and not (
            layout.item_file and fnmatch(_plain(member), layout.item_file)
        ):
            start = _text(member)[0].split("\n", 3)[:3]
            if layout.divider == "json":
                if _first_object(start[0]).keys() >= set(layout.columns):
                    return member
                continue
            cells = [cell.strip().strip('"') for cell in start[0].split(layout.divider)]
            if layout.header and set(layout.columns) <= set(cells):
                return member
            if not layout.header and len(cells) == len(layout.columns) and _looks(layout, cells):
                return member
    return None


def _first_object(line: str) -> dict:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _looks(layout: Layout, cells: list[str]) -> bool:
    by_name = dict(zip(layout.columns.values(), cells, strict=True))
    return all(re.fullmatch(pattern, by_name[name]) for name, pattern in layout.like.items())


def _read_as(layout: Layout, member: Member) -> Table:
    """The file of events with our names."""
    if layout.divider == "json":
        table = _json(member)
        columns = layout.columns
    else:
        names = None if layout.header else list(layout.columns)
        table = _divided(member, layout.divider, names, layout.quoted)
        columns = layout.columns
    columns = {theirs: ours for theirs, ours in columns.items() if ours and theirs in table.cells}
    cells = table.cells[list(columns)].rename(columns=columns)
    if layout.reshape:
        cells = layout.reshape(cells)
    return Table(table.shown, cells, table.first, {ours: theirs for theirs, ours in columns.items()})


def _items_of(layout: Layout, member: Member) -> pd.DataFrame:
    """The file of items: item, and title and genres (lists) where it has them."""
    if layout.divider == "json" or _plain(member).endswith(("json", "jsonl")):
        table = _json(member)
    else:
        names = None if layout.item_header else list(layout.item_columns)
        table = _divided(member, layout.divider, names, layout.quoted)
    columns = {theirs: ours for theirs, ours in layout.item_columns.items() if ours and theirs in table.cells}
    cells = table.cells[list(columns)].rename(columns=columns)
    if "item" not in cells:
        raise CourseError(f"{table.shown} has no column of items, such as {next(iter(layout.item_columns))}")
    if "genres" in cells:
        cells["genres"] = _genres(cells["genres"], layout.genres_divided)
    return cells.drop_duplicates("item").reset_index(drop=True)


def _recbole_items(member: Member) -> pd.DataFrame:
    table = _divided(member, "\t", None, quoted=False)
    names = {name: _ours(name) for name in table.cells}
    cells = table.cells[[name for name, ours in names.items() if ours]].rename(columns=names)
    if "genres" in cells:  # sequences of words, divided by blanks
        cells["genres"] = _genres(cells["genres"], " ")
    return cells.drop_duplicates("item").reset_index(drop=True)


def _genres(cells: pd.Series, divided: str = "|") -> pd.Series:
    """Lists of genres: of a column of lists as they are, of text divided; what stands for none is none."""

    def listed(cell: object) -> list[str]:
        parts = cell if isinstance(cell, list | tuple | np.ndarray) else str(cell).split(divided)
        flat = [str(part).strip() for part in parts]
        return [part for part in flat if part.lower() not in NO_GENRE]

    return cells.map(listed)


def _divided(member: Member, divider: str, names: list[str] | None, quoted: bool = True) -> Table:
    """A text file of rows and columns; `names` for one without a header."""
    text, _ = _text(member)
    if len(divider) > 1:  # pandas' fast reader knows dividers of one character
        text, divider = text.replace(divider, "\x1f"), "\x1f"
    escape = "\\" if quoted and '\\"' in text else None
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    _check_fields(member, text, divider, len(names) if names else 0, quoting, escape)
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            sep=divider,
            header=None if names else 0,
            names=names,
            dtype="str",
            keep_default_na=False,
            index_col=False,
            quoting=quoting,
            escapechar=escape,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise CourseError(f"{member.shown} cannot be read as a table ({' '.join(str(error).split())})") from None
    if cells.empty:
        raise CourseError(f"{member.shown} has no row below its header")
    cells.columns = [re.sub(r":(token|float|token_seq|float_seq)$", "", str(name)) for name in cells.columns]
    return Table(member.shown, cells, 1 if names else 2)


def _check_fields(member: Member, text: str, divider: str, width: int, quoting: int, escape: str | None) -> None:
    """Complain about the first row with more or fewer fields than the others; `width` 0 takes that of the header."""
    lines = text.split("\n")
    plain = quoting == csv.QUOTE_NONE or '"' not in text
    if plain:
        rows = ((number, line.count(divider) + 1) for number, line in enumerate(lines, 1) if line)
    else:
        reader = csv.reader(lines, delimiter=divider, quoting=quoting, escapechar=escape)
        rows = ((reader.line_num, len(row)) for row in reader if row)
    for number, found in rows:
        width = width or found
        if found != width:
            shown = divider.replace("\x1f", "::")
            form = f"found {found} fields, expected {width}, divided by {shown!r}{_hint(text, divider)}"
            raise CourseError(f"{member.shown}, line {number}: {form}")


def _hint(text: str, divider: str) -> str:
    likely = _divider(text)
    return f" (this looks as if divided by {likely!r})" if likely != divider else ""


def _json(member: Member) -> Table:
    """A JSON object a line."""
    text, _ = _text(member)
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            found = _first_object(line)
            if not found:
                raise CourseError(f"{member.shown}, line {number}: found {line[:40]!r}, expected a JSON object")
            rows.append(found)
    cells = pd.DataFrame(rows)
    return Table(member.shown, cells, 1)


def _divider(text: str) -> str:
    """What divides most lines into equally many fields."""
    lines = [line for line in text[:100_000].split("\n")[:50] if line.strip()]
    lines = lines[:-1] or lines

    def regular(divider: str) -> tuple[float, int]:
        counts = [line.count(divider) for line in lines]
        usual = max(set(counts), key=counts.count)
        return (counts.count(usual) / len(counts) if usual else 0, usual)

    return max((",", "\t", ";", "|", "::"), key=regular)


def _guess(member: Member, wishes: Wishes) -> Table:
    """A table of one's own: Parquet, JSON lines, or text with divider and header found out."""
    name = _plain(member).lower()
    if name.endswith((".parquet", ".pq")):
        try:
            return Table(member.shown, pd.read_parquet(io.BytesIO(_bytes(member))), None)
        except (OSError, ValueError) as error:  # pyarrow's errors are kinds of these
            raise CourseError(f"{member.shown} cannot be read as Parquet ({str(error).splitlines()[0]})") from None
    text, _ = _text(member)
    if text.lstrip().startswith("{"):
        return _json(member)
    divider = wishes.divider or _divider(text)
    first = [cell.strip().strip('"') for cell in text.split("\n", 1)[0].split(divider)]
    named = {*wishes.columns.values(), *(name for name in first if _ours(name))}
    if not named & set(first):
        raise CourseError(
            f"{member.shown}, line 1: found {text.splitlines()[0][:60]!r}, expected a header that names user and item; "
            "give the file one, or name its layout"
        )
    return _divided(member, divider, None)


def _ours(theirs: str) -> str:
    """Our name of a column, or ""."""
    plain = re.sub(r"[^a-z0-9]", "", str(theirs).split(":")[0].lower())
    return OUR_NAME.get(plain, "")


# --- Meaning ----------------------------------------------------------------------------------------------------------


def _finish(
    name: str, table: Table, items: pd.DataFrame | None, layout: Layout, wishes: Wishes, told: list[str]
) -> Source:
    """Events and items with our names, types and units."""
    table = _with_our_names(table, wishes)
    cells = table.cells
    events = pd.DataFrame({"user": _ids(table, "user"), "item": _ids(table, "item")})
    events["strength"] = _strengths(table, layout, wishes, told)
    has_time = "time" in cells
    events["seconds"] = _seconds(table, wishes.time_unit, told) if has_time else np.nan
    if not has_time:
        told.append("no times are told: the order of the file stands for them")
    events["order"] = np.arange(len(events))
    if "scenario" in cells:
        events["scenario"] = cells["scenario"].astype("str").to_numpy()
    if items is None:
        shown = [column for column in ("title", "genres", "year") if column in cells]
        items = cells[["item", *shown]].drop_duplicates("item").reset_index(drop=True) if shown else pd.DataFrame()
        if "genres" in items:
            words = items["genres"].astype("str")
            divided = next((sign for sign in "|;," if words.str.contains(sign, regex=False).any()), "|")
            items = items.assign(genres=_genres(items["genres"], divided))
    if len(items):
        items = items.assign(item=_as_in(items["item"], events["item"]))
        if "title" in items:
            items["title"] = items["title"].map(_readable)
    return Source(name, events, items, has_time, tuple(told))


def _with_our_names(table: Table, wishes: Wishes) -> Table:
    """The table with our names: those that the caller gave, then those that are known."""
    theirs = [str(name) for name in table.cells.columns]
    for ours, name in wishes.columns.items():
        if ours not in OURS:
            raise CourseError(f"columns: {ours!r} is no column of ours; {did_you_mean(ours, OURS)}")
        if name not in theirs:
            raise CourseError(f"columns: {table.shown} has no column {name!r}; {did_you_mean(name, theirs)}")
    found = {ours: [name] for ours, name in wishes.columns.items()}
    for name in theirs:
        ours = name if name in OURS else _ours(name)
        if ours and ours not in wishes.columns and name not in wishes.columns.values():
            found.setdefault(ours, []).append(name)
    for ours, names in found.items():
        exact = [name for name in names if name.lower() in (ours, f"{ours}_id")]
        if len(names) > 1 and len(exact) != 1 and ours in ("user", "item", "rating", "time"):
            listed = " or ".join(map(repr, names))
            raise CourseError(f"{table.shown}: {listed} may be the {ours}; say columns={{{ours!r}: {names[0]!r}}}")
        found[ours] = exact if len(exact) == 1 else names[:1]
    for need in ("user", "item"):
        if need not in found:
            raise CourseError(
                f"{table.shown} has no column of {need}s that is known (it has {', '.join(theirs[:12])}); "
                f"say which: columns={{{need!r}: ...}}"
            )
    names = {name: ours for ours, (name,) in found.items()}
    cells = table.cells.set_axis(theirs, axis=1)[list(names)].rename(columns=names).reset_index(drop=True)
    if cells.empty:
        raise CourseError(f"{table.shown} has no row")
    shown = {ours: table.theirs.get(name, name) for name, ours in names.items()}
    return Table(table.shown, cells, table.first, shown)


def _ids(table: Table, column: str) -> pd.Series:
    """Ids as they were: whole numbers where all are written so, without leading zeros, else what they are."""
    cells = table.cells[column]
    missing = cells.isna() | (cells.astype("str").str.strip() == "")
    if missing.any():
        raise table.fault(column, missing, "an id")
    if pd.api.types.is_numeric_dtype(cells):
        return cells
    if not pd.api.types.is_string_dtype(cells):  # of objects, or categories
        kinds = {type(one) for one in cells}
        if len(kinds) > 1:
            bad = pd.Series([type(one) is not type(cells.iloc[0]) for one in cells])
            raise table.fault(column, bad, f"ids of one kind, as {cells.iloc[0]!r} above")
        return cells.astype("object").map(str) if kinds == {str} else cells.astype("object")
    text = cells.str.strip()
    return text.astype("int64") if text.str.fullmatch(r"0|-?[1-9][0-9]{0,17}").all() else text.astype("object")


def _as_in(items: pd.Series, events: pd.Series) -> pd.Series:
    """The ids of a table of items, of the kind that the events have."""
    if pd.api.types.is_integer_dtype(events) and not pd.api.types.is_numeric_dtype(items):
        numbers = pd.to_numeric(items, errors="coerce")
        return numbers.fillna(-1).astype("int64")  # one that is no number is in no event
    return items if pd.api.types.is_numeric_dtype(events) else items.astype("str").str.strip().astype("object")


def _readable(title: object) -> str:
    """Articles to the front, years aside: "Big Blue, The (1988)" -> "The Big Blue"."""
    plain = " ".join(YEAR.sub("", str(title)).split())
    return LATE_ARTICLE.sub(lambda match: f"{match[2]} {match[1]}".replace("L' ", "L'"), plain)


def _strengths(table: Table, layout: Layout, wishes: Wishes, told: list[str]) -> np.ndarray:
    """How much each event says, from 0 to 1: by its rating, else by its behaviour, else 1."""
    if "rating" in table.cells and "behaviour" not in table.cells:
        return _of_ratings(table, layout, wishes, told)
    if wishes.rating_range is not None:
        raise CourseError(f"rating_range: {table.shown} has no ratings")
    if "behaviour" in table.cells:
        cells = table.cells["behaviour"].astype("str").str.strip()
        weights = dict(wishes.weights or layout.weights or WEIGHTS)
        if any(not isinstance(weight, int | float) or not 0 <= weight <= 1 for weight in weights.values()):
            raise CourseError("weights: give each behaviour a number from 0 to 1")
        strength = cells.str.lower().map({key.lower(): value for key, value in weights.items()})
        if strength.isna().any():
            known = ", ".join(weights)
            raise table.fault("behaviour", strength.isna(), f"one of {known}, or weights={{...}} that names it")
        used = ", ".join(f"{one} {weights.get(one, weights.get(one.lower()))}" for one in sorted(cells.unique())[:8])
        told.append(f"behaviours count as {used}")
        return strength.to_numpy("float64")
    told.append("there are no ratings: each event counts as 1")
    return np.ones(len(table.cells))


def _of_ratings(table: Table, layout: Layout, wishes: Wishes, told: list[str]) -> np.ndarray:
    cells = table.cells["rating"]
    if not pd.api.types.is_numeric_dtype(cells):
        text = cells.astype("str").str.strip().str.lower().replace({"true": "1", "false": "0"})
        cells = pd.to_numeric(text.mask(text == ""), errors="coerce")
        broken = cells.isna() & (text != "")
        if broken.any():
            raise table.fault("rating", broken, "a number")
    ratings = cells.to_numpy("float64", na_value=np.nan)
    if np.isinf(ratings).any():
        raise table.fault("rating", pd.Series(np.isinf(ratings)), "a finite number")
    if layout.unrated is not None:
        ratings = np.where(ratings == layout.unrated, np.nan, ratings)
    given = ratings[~np.isnan(ratings)]
    if not len(given):
        told.append("no event has a rating: each counts as 1")
        return np.ones(len(ratings))
    low, high = _scale(table, ratings, wishes.rating_range)
    if given.min() == given.max() and wishes.rating_range is None:
        told.append(f"all ratings are {given[0]:g}, which tells nothing apart: each event counts as 1")
        return np.ones(len(ratings))
    told.append(f"ratings run from {low:g} to {high:g}")
    strength = (ratings - low) / (high - low)
    if len(given) < len(ratings):
        mean = float(np.nanmean(strength))
        told.append(
            f"{len(ratings) - len(given):,} events without a rating count as the mean of the others, {mean:.2f}"
        )
        strength = np.where(np.isnan(strength), mean, strength)
    return strength


def _scale(table: Table, ratings: np.ndarray, wished: object) -> tuple[float, float]:
    """From where to where ratings run: as the caller says, else the narrowest usual scale that holds them."""
    lowest, highest = np.nanmin(ratings), np.nanmax(ratings)
    if wished is None:
        fitting = [one for one in SCALES if one[0] <= lowest and highest <= one[1]]
        return min(fitting, key=lambda one: one[1] - one[0], default=(lowest, highest))
    pair = tuple(wished) if isinstance(wished, tuple | list) else ()
    if len(pair) != 2 or any(isinstance(end, bool) or not isinstance(end, int | float) for end in pair):
        raise CourseError(f"rating_range is {wished!r}; give two numbers, such as rating_range=(1, 5)")
    if not pair[0] < pair[1]:
        raise CourseError(f"rating_range is {wished!r}; the lowest comes first")
    outside = (ratings < pair[0]) | (ratings > pair[1])
    if outside.any():
        meant = _scale(table, ratings, None)
        form = f"a number from {pair[0]:g} to {pair[1]:g} (did you mean rating_range=({meant[0]:g}, {meant[1]:g})?)"
        raise table.fault("rating", pd.Series(outside), form)
    return pair


def _seconds(table: Table, unit: str | None, told: list[str]) -> np.ndarray:
    """Times in seconds since 1970, whatever they were: dates, or numbers in one of four units, told by their range."""
    if unit not in (None, "order", "date", *UNITS):
        raise CourseError(f"time_unit: {did_you_mean(unit, ['order', 'date', *UNITS])}")
    cells = table.cells["time"]
    if pd.api.types.is_datetime64_any_dtype(cells):
        moments = cells.dt.tz_localize("UTC") if cells.dt.tz is None else cells
        seconds = moments.dt.as_unit("us").astype("int64").to_numpy() / 1e6
        return _within(table, np.where(cells.isna(), np.nan, seconds))
    text = cells.astype("str").str.strip()
    numbers = pd.to_numeric(text, errors="coerce").to_numpy("float64")
    if unit == "date" or (unit is None and text.str.fullmatch(EIGHT_DIGITS).all()):
        if unit is None:
            told.append("times of eight digits are read as dates, YYYYMMDD")
        if text.str.fullmatch(r"\d{8}").all():
            return _within(table, _dates(text, "%Y%m%d"))
    if np.isnan(numbers).all() or unit == "date":
        return _within(table, _of_dates(table, text))
    if np.isnan(numbers).any():
        raise table.fault("time", pd.Series(np.isnan(numbers)), "a number, as above and below")
    if unit == "order":
        return numbers
    if unit is None:
        middle = np.median(numbers)
        unit = next((one for one, n in UNITS.items() if NEW <= middle / n < SECONDS[1]), "")
        if not unit:
            form = "seconds, milli-, micro- or nanoseconds since 1970; if they only count, say time_unit='order'"
            raise table.fault("time", pd.Series(np.ones(len(numbers), bool)), form)
        if unit != "s":
            told.append(f"times are read as {unit}")
    return _within(table, numbers / UNITS[unit])


def _within(table: Table, seconds: np.ndarray) -> np.ndarray:
    bad = ~((seconds >= SECONDS[0]) & (seconds < SECONDS[1]))
    if bad.any():
        raise table.fault("time", pd.Series(bad), "a time from 1970-01-02 to the end of 2100")
    return seconds


def _of_dates(table: Table, text: pd.Series) -> np.ndarray:
    """Written dates: ISO 8601, or one of the forms of public data sets."""
    for form in ("ISO8601", "%m/%d/%Y %I:%M:%S %p", "%a %b %d %H:%M:%S %z %Y", "%B %d, %Y", "%d %b %Y"):
        seconds = _dates(text, form)
        if not np.isnan(seconds).any():
            return seconds
        if form == "ISO8601" and np.isnan(seconds).mean() < 0.5:
            raise table.fault("time", pd.Series(np.isnan(seconds)), "a date in ISO 8601, as above and below")
    raise table.fault("time", pd.Series(np.ones(len(text), bool)), "a date such as 2024-03-01 12:30:00, or a number")


def _dates(text: pd.Series, form: str) -> np.ndarray:
    moments = pd.to_datetime(text, format=form, utc=True, errors="coerce")
    seconds = moments.dt.as_unit("us").astype("int64").to_numpy() / 1e6
    return np.where(moments.isna(), np.nan, seconds)
