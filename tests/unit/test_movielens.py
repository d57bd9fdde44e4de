"""The loader: what MovieLens-100K looks like, that every source gives the same, that faults are named exactly."""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_helpers.data.assets import fetch
from recsys_helpers.data.movielens import GENRES, U_USER, MovieLens, _readable, load_movielens
from recsys_helpers.errors import CourseError

HEADER = ["user", "item", "rating", "time"]


@pytest.fixture(scope="module")
def movielens() -> MovieLens:
    return load_movielens()


@pytest.fixture
def grouplens(tmp_path) -> Path:
    """Three ratings in the files and the encoding of GroupLens."""
    (tmp_path / "u.data").write_text("7\t1\t5\t881250949\n8\t1\t1\t881250950\n8\t2\t3\t881250950\n")
    comedy, unknown = (
        "|".join("1" if flag == name else "0" for flag in ["unknown", *GENRES]) for name in ("Comedy", "unknown")
    )
    films = f"1|Big Blue, The (Grand bleu, Le) (1988)|01-Jan-1988||http://x|{comedy}\n2|unknown||||{unknown}\n"
    (tmp_path / "u.item").write_text(films, "latin-1")
    (tmp_path / "u.user").write_text("7|24|M|writer|T8H1N\n8|51|F|other|04043\n")
    return tmp_path


@pytest.fixture
def recbole(tmp_path) -> Path:
    (tmp_path / "my.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n7\t1\t5\t881250949\n8\t2\t3\t881250950\n"
    )
    (tmp_path / "my.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "1\tMépris, Le\t1963\tDrama\n2\tLand Before Time III (1995)\tV\tAnimation Children's\n",
        "utf-8",
    )
    return tmp_path


def fault(source: Path, **options) -> str:
    with pytest.raises(CourseError) as error:
        load_movielens(source, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- MovieLens-100K


def test_sizes_and_dtypes(movielens):
    assert (len(movielens.users), len(movielens.films), len(movielens.ratings)) == (943, 1682, 100_000)
    assert movielens.users.dtypes.astype("str").to_dict() == {
        "user_id": "int64", "age": "int64", "gender": "category", "occupation": "category", "zip_code": "str"
    }  # fmt: skip
    assert movielens.films.dtypes.astype("str").to_dict() == {
        "film_id": "int64", "title": "str", "year": "Int64", "genres": "object"
    }  # fmt: skip
    assert movielens.ratings.dtypes.astype("str").to_dict() == {
        "user_id": "int64", "film_id": "int64", "rating": "float32", "time": "datetime64[s, UTC]"
    }  # fmt: skip
    assert movielens.ratings.index.equals(pd.RangeIndex(100_000))


def test_known_figures(movielens):
    users, films, ratings = movielens.users, movielens.films, movielens.ratings
    assert films["title"].duplicated().sum() == 23
    assert ratings["rating"].value_counts().sort_index().tolist() == [6110, 11370, 27145, 34174, 21201]
    assert ratings["rating"].ge(4).mean() == pytest.approx(0.554, abs=5e-4)
    assert ratings.groupby("user_id").size().agg(["min", "median", "max"]).tolist() == [20, 65, 737]
    assert ratings["time"].min() == pd.Timestamp("1997-09-20 03:05:10", tz="UTC")
    assert ratings["time"].max() == pd.Timestamp("1998-04-22 23:10:38", tz="UTC")
    assert users["gender"].value_counts().to_dict() == {"M": 670, "F": 273}
    assert (users["age"].min(), users["age"].max()) == (7, 73)
    assert users["occupation"].nunique() == 21
    assert users.loc[users["zip_code"].str.startswith("0"), "zip_code"].str.len().eq(5).all()
    counts = films["genres"].explode().value_counts().to_dict()
    assert set(counts) == set(GENRES)
    assert (counts["Children's"], counts["Film-Noir"], counts["Sci-Fi"], counts["Drama"]) == (122, 24, 101, 725)


def test_ratings_keep_the_order_of_the_file(movielens):
    lines = (fetch("movielens") / "ml-100k.inter").read_text().splitlines()[1:]
    ratings = movielens.ratings
    ours = zip(ratings["user_id"], ratings["film_id"], ratings["rating"], ratings["time"].astype("int64"), strict=True)
    assert [f"{user}\t{film}\t{rating:.0f}\t{second}" for user, film, rating, second in ours] == lines


def test_careful_rows(movielens):
    films = movielens.films.set_index("film_id")
    assert films.loc[1].tolist() == ["Toy Story", 1995, ["Animation", "Children's", "Comedy"]]
    assert films.loc[267, "title"] == "Item 267"
    assert films.loc[267, "genres"] == []
    assert films.index[films["year"].isna()].tolist() == [267]
    assert films.loc[1373].tolist() == ["Good Morning", 1971, []]
    assert films.loc[1412, "title"] == "Land Before Time III: The Time of the Great Giving"
    assert films.loc[1412, "year"] == 1995
    assert films.loc[1633, "title"] == "Á köldum klaka (Cold Fever)"
    assert films["year"].agg(["min", "max"]).tolist() == [1922, 1998]


SPEED = """
import csv, os
from recsys_helpers.data.assets import fetch
from recsys_helpers.data.movielens import load_movielens

def seconds(read):
    start = os.times().user
    read()
    return os.times().user - start

(rows,) = fetch("movielens").glob("*.inter")
load_movielens()
turns = [(seconds(load_movielens), seconds(lambda: list(csv.reader(rows.open())))) for _ in range(5)]
print(min(load / plain for load, plain in turns))
"""


def test_the_load_is_fast():
    """Against csv's own reading of the same rows, in turns: 6 times its CPU time.

    In a process of its own, without what the system spends on fresh memory: neither is the load's doing.
    """
    told = subprocess.run([sys.executable, "-c", SPEED], capture_output=True, text=True, check=True)
    assert float(told.stdout) < 15


def test_tensorflow_stays_out():
    program = "import sys, recsys_helpers.data.movielens; raise SystemExit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize(
    ("raw", "readable"),
    [
        ("Goofy Movie, A", "A Goofy Movie"),
        ("Goofy Movie, A (1995)", "A Goofy Movie"),
        ("Horseman on the Roof, The (Hussard sur le toit, Le)", "The Horseman on the Roof (Le Hussard sur le toit)"),
        ("Star Maker, The (Uomo delle stelle, L')", "The Star Maker (L'Uomo delle stelle)"),
        ("Double vie, La (Double Life, The)", "La Double vie (The Double Life)"),
        ("Die xue shuang xiong (Killer, The)", "Die xue shuang xiong (The Killer)"),
        ("Postino, Il", "Il Postino"),
        ("Boot, Das", "Das Boot"),
        ("American in Paris, An", "An American in Paris"),
        ("Good, The Bad and The Ugly, The", "The Good, The Bad and The Ugly"),
        ("Paris, Texas", "Paris, Texas"),
        ("Mrs. Brown (Her Majesty, Mrs. Brown)", "Mrs. Brown (Her Majesty, Mrs. Brown)"),
        ("I, Worst of All (Yo, la peor de todas)", "I, Worst of All (Yo, la peor de todas)"),
        ("Land Before Time III: The Time (1995) (V)", "Land Before Time III: The Time"),
        ("1984", "1984"),
    ],
)  # fmt: skip
def test_readable_titles(raw, readable):
    assert _readable(raw) == readable
    assert _readable(readable) == readable


# --- every source gives the same


def test_the_files_of_grouplens_give_the_same_tables(movielens, tmp_path):
    folder = fetch("movielens")
    (tmp_path / "u.data").write_text((folder / "ml-100k.inter").read_text().split("\n", 1)[1])
    people = (folder / "ml-100k.user").read_text().split("\n", 1)[1]
    (tmp_path / "u.user").write_text(people.replace("\t", "|"))
    lines = []
    for line in (folder / "ml-100k.item").read_text("utf-8").splitlines()[1:]:
        film, title, year, genres = line.split("\t")
        name = {"unkonwn": "unknown", "V": f"{title} (V)"}.get(year, f"{title} ({year})")
        flags = ["1" if genre in genres.split() else "0" for genre in ["unknown", *GENRES]]
        lines.append("|".join([film, name, "", "", "", *flags]))
    for encoding in ("latin-1", "utf-8"):
        (tmp_path / "u.item").write_text("\n".join(lines) + "\n", encoding)
        ours = load_movielens(tmp_path)
        for table in ("users", "films", "ratings"):
            pd.testing.assert_frame_equal(getattr(ours, table), getattr(movielens, table))


def test_a_small_folder_of_grouplens(grouplens):
    data = load_movielens(grouplens)
    assert data.films["title"].tolist() == ["The Big Blue (Le Grand bleu)", "Item 2"]
    assert data.films["genres"].tolist() == [["Comedy"], []]
    assert data.users["zip_code"].tolist() == ["T8H1N", "04043"]


def test_users_are_optional(grouplens, movielens):
    (grouplens / "u.user").unlink()
    users = load_movielens(grouplens).users
    assert users["user_id"].tolist() == [7, 8]
    assert users.columns.tolist() == movielens.users.columns.tolist()
    assert users[U_USER[1:]].isna().all(axis=None)


def test_a_small_folder_of_recbole(recbole):
    films = load_movielens(recbole).films
    assert films["title"].tolist() == ["Le Mépris", "Land Before Time III"]
    assert films["year"].tolist() == [1963, 1995]
    assert films["genres"].tolist() == [["Drama"], ["Animation", "Children's"]]


ints = st.integers(-(10**6), 10**15).map(str)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)
seconds = st.integers(86_400, 4_102_444_800)


@st.composite
def tables(draw, smallest=1):
    """Rows of a good CSV as text, beside what the loader must make of them: (user, item, rating, second)."""
    ids = draw(st.sampled_from([ints, words]))
    pairs = draw(st.lists(st.tuples(ids, ids), min_size=smallest, max_size=12, unique=True))
    rows, truth = [], []
    for user, item in pairs:
        rating, second = draw(st.integers(1, 5)), draw(seconds)
        moment = pd.Timestamp(second, unit="s", tz=draw(st.sampled_from(["UTC", "Asia/Shanghai"])))
        rows.append([user, item, str(rating), draw(st.sampled_from([str(second), moment.isoformat()]))])
        truth.append((user, item, rating, second))
    return rows, truth


def write(folder: str, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    path = Path(folder, "own.csv")
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@settings(max_examples=40)
@given(tables(), st.permutations(range(4)), st.sampled_from([HEADER, ["user_id", "film_id", "rating", "timestamp"]]))
def test_good_tables_come_back_whole(table, order, names):
    rows, truth = table
    with tempfile.TemporaryDirectory() as folder:
        path = write(folder, [[row[i] for i in order] for row in rows], [names[i] for i in order])
        data = load_movielens(path)
    ratings = data.ratings
    assert ratings["user_id"].astype("str").tolist() == [user for user, *_ in truth]
    assert ratings["film_id"].astype("str").tolist() == [item for _, item, *_ in truth]
    assert ratings["rating"].tolist() == [rating for *_, rating, _ in truth]
    assert ratings["time"].astype("int64").tolist() == [second for *_, second in truth]
    assert ratings.dtypes.astype("str")[["rating", "time"]].tolist() == ["float32", "datetime64[s, UTC]"]
    assert data.users["user_id"].tolist() == sorted(set(ratings["user_id"]))
    assert data.films["film_id"].tolist() == sorted(set(ratings["film_id"]))
    assert data.films["title"].tolist() == [f"Item {film}" for film in data.films["film_id"]]


def test_ids_are_int_or_str_for_a_whole_column(tmp_path):
    data = load_movielens(write(tmp_path, [["10", "007", "3", "1000000"], ["9", "8", "3", "1000000"]]))
    assert data.users["user_id"].tolist() == [9, 10]
    assert data.films["film_id"].tolist() == ["007", "8"]


def test_titles_and_other_columns_of_a_csv(tmp_path):
    path = tmp_path / "own.csv"
    path.write_bytes(
        b'\xef\xbb\xbf"Item","TITLE",note,"User",rating,time\r\n'
        b'1,"Big Blue, The (1988)",x, 7, 4.5 ,1000000\r\n\r\n1,,y,8,3,1970-02-01\r\n2,,,8,3,1970-02-01T10:00:00.75\r\n'
    )
    data = load_movielens(path)
    assert data.films["title"].tolist() == ["The Big Blue", "Item 2"]
    assert data.films["year"].tolist() == [1988, pd.NA]
    assert data.users["user_id"].tolist() == [7, 8]
    assert data.ratings["rating"].tolist() == [4.5, 3, 3]
    assert data.ratings["time"].astype("str").tolist()[1:] == ["1970-02-01 00:00:00+00:00", "1970-02-01 10:00:00+00:00"]


# --- faults

BAD_VALUES = {
    "user": ["", "  "],
    "item": [""],
    "rating": ["", "good", "nan", "inf", "0", "5.01", "-3", "0x3", "True", "4 5"],
    "time": ["", "soon", "0", "86399", "-5", "881250949000", "4133980800", "2101-01-01", "2024-02-30", "1969-12-31"],
}


@pytest.mark.parametrize(("column", "value"), [(column, value) for column in HEADER for value in BAD_VALUES[column]])
def test_every_bad_value(tmp_path, column, value):
    row = ["1", "2", "3", "1000000"]
    row[HEADER.index(column)] = value
    path = write(tmp_path, [["9", "8", "5", "86400"], row])
    assert fault(path).startswith(f"{path}, line 3, column {column}: found {value.strip()!r}, expected ")


@settings(max_examples=100)
@given(tables(smallest=2), st.data())
def test_a_fault_is_named_by_file_line_and_column(table, data):
    rows, _ = table
    row = data.draw(st.integers(1, len(rows) - 1), "row")
    kind = data.draw(st.sampled_from(["value", "short", "long", "again", "delimiter", "encoding", "quote"]), "kind")
    column = data.draw(st.sampled_from(HEADER), "column")
    place = HEADER.index(column)
    if kind == "value":
        rows[row][place] = data.draw(st.sampled_from(BAD_VALUES[column]))
    elif kind == "short":
        rows[row], column = rows[row][: max(place, 1)], HEADER[max(place, 1)]
    elif kind == "long":
        rows[row], column = [*rows[row], "more"], "5"
    elif kind == "again":
        rows[row][:2], column = rows[data.draw(st.integers(0, row - 1))][:2], "item"
    with tempfile.TemporaryDirectory() as folder:
        path = write(folder, rows)
        if kind in ("delimiter", "encoding", "quote"):
            user = "1" if kind == "delimiter" else '"1,1"'
            plain = [[user, f"{n}", "3", "1000000"] for n in range(len(rows))]
            lines = [",".join(fields).encode() for fields in [HEADER, *plain]]
            fields = plain[row]
            if kind == "delimiter":
                lines[row + 1], column = ";".join(fields).encode(), "item"
            elif kind == "encoding":
                fields[place] = fields[place].replace("1", "é", 1) + "é"
                lines[row + 1] = ",".join(fields).encode("latin-1")
            else:
                fields[place] = '"' + fields[place]
                lines[row + 1] = ",".join(fields).encode()
            path.write_bytes(b"\n".join(lines) + b"\n")
        assert fault(path).startswith(f"{path}, line {row + 2}, column {column}: found ")


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        (b"", "line 1, column user_id", "in a header that names user_id, film_id, rating, time"),
        (b"user,item,rating,time\n", "line 2, column user", "at least one row"),
        (b"user;item;rating;time\n1;2;3;1000000\n", "line 1, column user_id", "divided by ','"),
        (b"user,item,rating\n1,2,3\n", "line 1, column time", "'user,item,rating'"),
        (b"user,user_id,item,rating,time\n1,1,2,3,1000000\n", "line 1, column user_id", "one column user_id"),
        (b"196,242,3,881250949\n", "line 1, column user_id", "'196,242,3,881250949'"),
        ("user,item,rating,time\n1,2,3,1000000\n".encode("utf-16"), "line 1, column 1", "text in UTF-8"),
        (b"user,item,rating,time\n1,caf\xe9,3,1000000\n", "line 2, column item", "the byte 0xe9"),
        (b"user,item,rating,time\n1,2,3,1000000\n1,2,4,1000001\n", "line 3, column item", "not rated further up"),
        (b'user,item,rating,time\n1,"2\n3",3,1000000\n', "line 2, column item", "closed on the same line"),
    ],
)
def test_faults_of_a_csv(tmp_path, content, place, words):
    path = tmp_path / "own.csv"
    path.write_bytes(content)
    message = fault(path)
    assert message.startswith(f"{path}, {place}: ")
    assert words in message


def test_the_rating_range_can_be_widened(tmp_path):
    path = write(tmp_path, [["1", "2", "0.5", "1000000"], ["1", "3", "10", "1000000"]])
    assert "line 2, column rating: found '0.5', expected a number from 1 to 5" in fault(path)
    assert "line 3, column rating: found '10', expected a number from 0.5 to 5" in fault(path, rating_range=(0.5, 5))
    assert load_movielens(path, rating_range=(0, 10)).ratings["rating"].tolist() == [0.5, 10]


@pytest.mark.parametrize(
    ("file", "old", "new", "place"),
    [
        ("u.data", "8\t2\t3", "8\t2\tthree", "line 3, column rating: found 'three'"),
        ("u.data", "8\t1\t1", "8x\t1\t1", "line 2, column user_id: found '8x', expected a whole number"),
        ("u.data", "8\t2", "8\t9", "line 3, column film_id: found '9', expected a film listed in u.item"),
        ("u.data", "8\t2", "9\t2", "line 3, column user_id: found '9', expected a user listed in u.user"),
        ("u.data", "\t", ",", r"line 1, column film_id: found 1 fields, expected 4 fields divided by '\t'"),
        ("u.data", "8\t2", "8\t1", "line 3, column film_id: found '1', expected an item that this user has not"),
        ("u.item", "2|unknown", "1|unknown", "line 2, column film_id: found '1', expected an id that no line above"),
        ("u.item", "|0|1|", "|0|yes|", "column Comedy: found 'yes', expected 0 or 1"),
        ("u.item", "|http://x", "", "line 1, column Western: found 23 fields, expected 24"),
        ("u.user", "24", "young", "line 1, column age: found 'young', expected a whole number"),
        ("u.user", "8|51", "7|51", "line 2, column user_id: found '7', expected an id that no line above has"),
    ],
)
def test_faults_of_a_folder(grouplens, file, old, new, place):
    path = grouplens / file
    text = path.read_text("latin-1")
    assert old in text
    path.write_text(text.replace(old, new), "latin-1")
    message = fault(grouplens)
    assert message.startswith(str(path))
    assert place in message


def test_faults_of_a_folder_of_recbole(recbole):
    (recbole / "my.inter").write_text("user_id:token\titem_id:token\trating:float\n7\t1\t5\n")
    assert fault(recbole).startswith(f"{recbole / 'my.inter'}, line 1, column time: ")
    (recbole / "other.inter").touch()
    assert "one *.inter file" in fault(recbole)


def test_missing_files(tmp_path, grouplens):
    assert "expected a CSV file" in fault(tmp_path / "nowhere")
    (grouplens / "u.item").unlink()
    assert f"{grouplens / 'u.item'} cannot be read" in fault(grouplens)


def test_a_long_value_is_shortened(tmp_path):
    assert len(fault(write(tmp_path, [["1", "2", "x" * 10_000, "1000000"]]))) < 400


def test_a_fault_deep_in_a_large_file(movielens, tmp_path):
    path = tmp_path / "large.csv"
    ratings = movielens.ratings.assign(time=movielens.ratings["time"].astype("int64"))
    ratings.columns = HEADER
    ratings.to_csv(path, index=False)
    assert np.array_equal(load_movielens(path).ratings["time"], movielens.ratings["time"])
    lines = path.read_text().splitlines()
    lines[98_764] = lines[98_764].rsplit(",", 1)[0] + ",soon"
    path.write_text("\n".join(lines))
    assert "line 98765, column time: found 'soon'" in fault(path)
