"""Logs in the layouts that people have: all events with their own ids, and one clear line for what is broken.

The rows are invented. Facts of the layouts are those of their authors' READMEs.
"""

import gzip
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from recsys_helpers.data.event_log import load_log
from recsys_helpers.data.layouts import LAYOUTS, Wishes, read
from recsys_helpers.errors import CourseError

START, USERS, ITEMS = 1_500_000_000, 5, 6
ROWS = [
    (user, item, 1 + (user * item) % 5, START + user * 86_400 + place * 3_600)
    for user in range(1, USERS + 1)
    for place, item in enumerate(1 + (user + step * 5) % ITEMS for step in range(5))
]  # each user takes five of the six items
TITLES = ["Lantern Bay (1991)", "Vie à deux, La (1988)", "Quiet, Please! (2001)", "No Year Here", 'He said "no" (1999)']
TITLES += ["Dust, Wind & Rain, The (1955)"]
READABLE = ["Lantern Bay", "La Vie à deux", "Quiet, Please!", "No Year Here", 'He said "no"', "The Dust, Wind & Rain"]
GENRES = ["Drama", "Comedy|Romance", "Children's|Animation", "(no genres listed)", "Drama|War", "Western"]


def lines(rows, divider=",", header=None, end="\n"):
    return end.join(divider.join(map(str, row)) for row in [*([header] if header else []), *rows]) + end


def quoted(rows, divider, escape='""'):
    return lines([[f'"{str(cell).replace(chr(34), escape)}"' for cell in row] for row in rows], divider)


def objects(rows, names):
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)


def asin(item):
    return f"B00000000{item}"


def reviewer(user):
    return f"A{user:013}"


FILMS = [(number, title, genres) for number, (title, genres) in enumerate(zip(TITLES, GENRES, strict=True), 1)]
NEWS = [f'N{i}\tsports\tgolf\t{TITLES[i - 1]}\tIt said "hi\tu\t[]\t[]' for i in range(1, ITEMS + 1)]
UNTIL = [(user, [row for row in ROWS if row[0] == user]) for user in range(1, USERS + 1)]


def written(seconds, form):
    return pd.Timestamp(seconds, unit="s").strftime(form)


def ms(row):
    return (*row[:3], row[3] * 1000 + 123)


# By name of the layout: the files, and how ids are written there.
CASES = {
    "MovieLens 1M or 10M": (
        {"ratings.dat": lines(ROWS, "::"), "movies.dat": lines(FILMS, "::").encode("latin-1")},
        int,
        int,
    ),
    "MovieLens": (
        {
            "ratings.csv": lines(
                [(u, i, r - 0.5, t) for u, i, r, t in ROWS], header=["userId", "movieId", "rating", "timestamp"]
            ),
            "movies.csv": "movieId,title,genres\n" + quoted(FILMS, ","),
        },
        int,
        int,
    ),
    "Amazon ratings 2014": (
        {"ratings_Beauty.csv": lines([(reviewer(u), asin(i), float(r), t) for u, i, r, t in ROWS])},
        reviewer,
        asin,
    ),
    "Amazon ratings 2018": (
        {"All_Beauty.csv": lines([(asin(i), reviewer(u), float(r), t) for u, i, r, t in ROWS])},
        reviewer,
        asin,
    ),
    "Amazon reviews 2014 or 2018": (
        {
            "reviews_Beauty_5.json": objects(
                [(reviewer(u), asin(i), float(r), t, "fine") for u, i, r, t in ROWS],
                ["reviewerID", "asin", "overall", "unixReviewTime", "reviewText"],
            ),
            "meta_Beauty.json": objects(
                [(asin(i), t, ["Beauty", "Care"]) for i, t, _ in FILMS], ["asin", "title", "category"]
            ),
        },
        reviewer,
        asin,
    ),
    "Amazon reviews 2023": (
        {
            "All_Beauty.csv": lines(
                [(reviewer(u), asin(i), float(r), t) for u, i, r, t in map(ms, ROWS)],
                header=["user_id", "parent_asin", "rating", "timestamp"],
            )
        },
        reviewer,
        asin,
    ),
    "Amazon reviews 2023, JSON lines": (
        {
            "All_Beauty.jsonl": objects(
                [(reviewer(u), asin(i), float(r), t) for u, i, r, t in map(ms, ROWS)],
                ["user_id", "parent_asin", "rating", "timestamp"],
            ),
            "meta_All_Beauty.jsonl": objects(
                [(asin(i), t, ["Beauty"]) for i, t, _ in FILMS], ["parent_asin", "title", "categories"]
            ),
        },
        reviewer,
        asin,
    ),
    "Book-Crossing": (
        {
            "BX-Book-Ratings.csv": quoted(
                [
                    ("User-ID", "ISBN", "Book-Rating"),
                    *((u, f"00000000{i}X", 2 * r if i > 2 else 0) for u, i, r, _ in ROWS),
                ],
                ";",
            ).encode("latin-1"),
            "BX-Books.csv": quoted(
                [
                    ("ISBN", "Book-Title", "Book-Author", "Year-Of-Publication"),
                    *((f"00000000{i}X", t, "A", 1999) for i, t, _ in FILMS),
                ],
                ";",
                '\\"',
            ).encode("latin-1"),
        },
        int,
        lambda item: f"00000000{item}X",
    ),
    "Goodreads": (
        {
            "goodreads_interactions.csv": lines(
                [(u, i, 1, r, 0) for u, i, r, _ in ROWS],
                header=["user_id", "book_id", "is_read", "rating", "is_reviewed"],
            )
        },
        int,
        int,
    ),
    "Goodreads, JSON lines": (
        {
            "goodreads_interactions_poetry.json": objects(
                [(f"u{u}", str(i), r, written(t, "%a %b %d %H:%M:%S -0000 %Y")) for u, i, r, t in ROWS],
                ["user_id", "book_id", "rating", "date_added"],
            )
        },
        "u{}".format,
        int,
    ),
    "Yelp": (
        {
            "yelp_academic_dataset_review.json": objects(
                [(f"u{u}", f"b{i}", float(r), written(t, "%Y-%m-%d %H:%M:%S")) for u, i, r, t in ROWS],
                ["user_id", "business_id", "stars", "date"],
            ),
            "yelp_academic_dataset_business.json": objects(
                [(f"b{i}", t, "Food, Bars") for i, t, _ in FILMS], ["business_id", "name", "categories"]
            ),
        },
        "u{}".format,
        "b{}".format,
    ),
    "Steam 200k": (
        {
            "steam-200k.csv": lines(
                [(u, f'"Game {i}"', kind, 1.0, 0) for u, i, _, _ in ROWS for kind in ("purchase", "play")]
            )
        },
        int,
        "Game {}".format,
    ),
    "Steam recommendations": (
        {
            "recommendations.csv": lines(
                [(i, 0, written(t, "%Y-%m-%d"), str(r > 2).lower(), u) for u, i, r, t in ROWS],
                header=["app_id", "helpful", "date", "is_recommended", "user_id"],
            )
        },
        int,
        int,
    ),
    "Last.fm 1K": (
        {
            "userid-timestamp-artid-artname-traid-traname.tsv": lines(
                [
                    (f"user_{u:06}", written(t, "%Y-%m-%dT%H:%M:%SZ"), f"art{i}", f'A "q {i}', "", "x")
                    for u, i, _, t in ROWS
                ],
                "\t",
            )
        },
        "user_{:06}".format,
        "art{}".format,
    ),
    "Last.fm 360K": (
        {
            "usersha1-artmbid-artname-plays.tsv": lines(
                [(f"{u:040x}", f"mb{i}", f"Artist {i}", r) for u, i, r, _ in ROWS], "\t"
            )
        },
        "{:040x}".format,
        "mb{}".format,
    ),
    "MIND": (
        {
            "behaviors.tsv": lines(
                [
                    (
                        f"{u}{place}",
                        f"U{u}",
                        written(t, "%m/%d/%Y %I:%M:%S %p"),
                        " ".join(f"N{row[1]}" for row in rows[:1]),
                        f"N{i}-1 N{7 - i}-0",
                    )
                    for u, rows in UNTIL
                    for place, (_, i, _, t) in enumerate(rows[1:])
                ],
                "\t",
            ),
            "news.tsv": "\n".join(NEWS),
        },
        "U{}".format,
        "N{}".format,
    ),
    "Taobao UserBehavior": (
        {"UserBehavior.csv": lines([(u, i, 30, ["pv", "buy", "cart", "fav"][r % 4], t) for u, i, r, t in ROWS])},
        int,
        int,
    ),
    "KuaiRand": (
        {
            "log_standard_4_08_to_4_21_pure.csv": lines(
                [(u, i, 20220408, t * 1000, clicked, 1, 0) for u, i, _, t in ROWS for clicked in (1, 0)],
                header=["user_id", "video_id", "date", "time_ms", "is_click", "tab", "is_rand"],
            )
        },
        int,
        int,
    ),
    "RecBole": (
        {
            "x.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + lines(ROWS, "\t"),
            "x.item": "item_id:token\tmovie_title:token_seq\tclass:token_seq\n"
            + lines([(i, t, g.replace("|", " ")) for i, t, g in FILMS], "\t"),
        },
        int,
        int,
    ),
}


def lay(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_public_layout_is_read_as_it_is(name, tmp_path):
    files, user, item = CASES[name]
    found = read(lay(tmp_path, files))
    assert found.name == name.partition(",")[0]
    pairs = {(user(u), item(i)) for u, i, _, _ in ROWS}
    assert set(zip(found.rows["user"], found.rows["item"], strict=True)) == pairs
    assert found.rows["strength"].between(0, 1).all()
    if found.has_time:
        assert found.rows["seconds"].between(START, START + 6 * 86_400).all() or name == "Steam recommendations"
    titles = (
        dict(zip(found.catalogue["item"], found.catalogue["title"], strict=True)) if "title" in found.catalogue else {}
    )
    if len(files) > 1:
        assert [titles[item(number)] for number in range(1, ITEMS + 1)] == READABLE
    log = load_log(tmp_path, quiet=True, repeats="keep")
    assert log.split.n_users == USERS and log.split.n_items == ITEMS and log.name == tmp_path.stem
    assert len(log.items) == ITEMS == len(log.subjects) and np.allclose(log.subjects.sum(axis=1), 1)


def test_every_layout_is_tried():
    assert {layout.name for layout in LAYOUTS} <= {name.partition(",")[0] for name in CASES}


def test_genres_are_words_not_letters_and_none_is_none(tmp_path):
    files, _, _ = CASES["MovieLens"]
    log = load_log(lay(tmp_path, files), quiet=True)
    assert log.subject_names == ("Animation", "Children's", "Comedy", "Drama", "Romance", "War", "Western")
    assert np.allclose(log.subjects[3], 1 / 7) and log.subjects[5, 6] > 0.9
    table = pd.DataFrame(ROWS, columns=["user", "item", "rating", "time"]).assign(genres="Drama|War")
    assert load_log(table, quiet=True).subject_names == ("Drama", "War")


def packed(text, kind):
    content = text.encode()
    if kind == "gz":
        return gzip.compress(content)
    if kind == "zip":
        with zipfile.ZipFile(made := io.BytesIO(), "w") as archive:
            archive.writestr("inside/log.csv", content)
        return made.getvalue()
    if kind == "zst":
        import pyarrow

        with pyarrow.CompressedOutputStream(made := pyarrow.BufferOutputStream(), "zstd") as stream:
            stream.write(content)
        return made.getvalue().to_pybytes()
    encoding = {"bom": "utf-8-sig", "utf16": "utf-16", "latin": "latin-1"}.get(kind, "utf-8")
    return {"crlf": text.replace("\n", "\r\n"), "cut": text.rstrip("\n")}.get(kind, text).encode(encoding)


PACKED = [(kind, divider) for kind in ("bom", "utf16", "latin", "crlf", "cut") for divider in ",\t;|"]


@pytest.mark.parametrize(("kind", "divider"), [("gz", ","), ("zip", ","), ("zst", ","), *PACKED])
def test_a_table_is_read_in_whatever_it_is_packed(kind, divider, tmp_path):
    rows = [(f"ü{u}", f"00{i}", r, t) for u, i, r, t in ROWS]
    path = tmp_path / f"log.csv{f'.{kind}' if kind in ('gz', 'zst') else ''}"
    path = path.with_name("log.zip") if kind == "zip" else path
    path.write_bytes(packed(lines(rows, divider, ["Customer_ID", "SKU", "Stars", "Timestamp"]), kind))
    found = read(path)
    assert list(zip(found.rows["user"], found.rows["item"], strict=True)) == [(u, i) for u, i, _, _ in rows]
    assert np.allclose(found.rows["strength"], [(r - 1) / 4 for _, _, r, _ in rows])
    assert list(found.rows["seconds"]) == [t for *_, t in rows]


def test_parquet_json_lines_and_a_table_in_memory_say_the_same(tmp_path):
    table = pd.DataFrame(ROWS, columns=["user", "item", "rating", "time"])
    table["time"] = pd.to_datetime(table["time"], unit="s")
    table.to_parquet(tmp_path / "log.parquet")
    table.assign(time=table["time"].astype(str)).to_json(tmp_path / "log.jsonl", orient="records", lines=True)
    for source in (table, tmp_path / "log.parquet", tmp_path / "log.jsonl"):
        assert list(read(source).rows["seconds"]) == [row[3] for row in ROWS]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_are_told_apart_by_their_range(unit):
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    table = pd.DataFrame(ROWS, columns=["user", "item", "rating", "time"])
    table["time"] *= scale
    assert np.allclose(read(table).rows["seconds"], [row[3] for row in ROWS])
    typed = table.assign(time=(pd.to_datetime(table["time"], unit=unit)).dt.as_unit(unit))
    assert np.allclose(read(typed).rows["seconds"], [row[3] for row in ROWS])


def test_eight_digits_are_dates_and_counters_are_asked_for():
    table = pd.DataFrame(ROWS, columns=["user", "item", "rating", "time"])
    found = read(table.assign(time=20240301 + np.arange(len(table)) % 28))
    assert pd.to_datetime(found.rows["seconds"], unit="s").dt.strftime("%Y-%m").eq("2024-03").all()
    with pytest.raises(CourseError, match="time_unit='order'"):
        read(table.assign(time=range(len(table))))
    assert read(table.assign(time=range(len(table))), wishes=Wishes(time_unit="order")).rows["seconds"].iloc[-1] == 24


@pytest.mark.parametrize(
    ("ratings", "ends"), [((1, 5), (0, 1)), ((2, 10), (1 / 9, 1)), ((0, 1), (0, 1)), ((-9, 9), (0.05, 0.95))]
)
def test_strengths_lie_between_0_and_1_on_any_scale(ratings, ends):
    table = pd.DataFrame(ROWS, columns=["user", "item", "rating", "time"])
    table["rating"] = [ratings[place % 2] for place in range(len(table))]
    strength = read(table).rows["strength"]
    assert np.allclose([strength.min(), strength.max()], ends)


def test_ratings_that_are_all_alike_say_that_all_was_taken_not_that_nobody_liked_it():
    table = pd.DataFrame(ROWS, columns=["user", "item", "rating", "time"]).assign(rating=1)
    assert (read(table).rows["strength"] == 1).all()
    assert (read(table.drop(columns=["rating", "time"])).rows["strength"] == 1).all()


@pytest.mark.parametrize("repeats", ["first", "last", "keep"])
def test_repeats_are_what_the_caller_says(repeats):
    plays = [("ann", item) for item in "abacadabe"] + [("bob", item) for item in "ccccab"]
    log = load_log(pd.DataFrame(plays, columns=["user", "item"]), repeats=repeats, quiet=True)
    letters = ["".join(log.split.item_ids[sequence - 1]) for sequence in log.split.sequences]
    assert letters == {"first": ["abcde", "cab"], "last": ["cdabe", "cab"], "keep": ["abacade", "ccccab"]}[repeats]
    for history, target in zip(log.split.history(), log.split.target(), strict=True):
        assert target not in history, "the target is new to the user"
    assert [len(log.before("test")), len(log.before("validation"))] == [sum(map(len, letters)) - n for n in (2, 4)]


IDS = ["007", "a9f2c1d4-0000-4000-8000-000000000001", 7, 7.5, np.int64(7)]


@pytest.mark.parametrize("identity", IDS, ids=lambda one: f"{type(one).__name__} {one}")
def test_ids_stay_what_they_were(identity):
    table = pd.DataFrame({"user": [identity] * 4, "item": [1, 2, 3, 4]})
    found = load_log(table, quiet=True).split.user_ids
    assert found.tolist() == [identity] and type(found.tolist()[0]) is type(pd.Series([identity]).tolist()[0])


def test_what_is_left_out_is_counted_and_can_be_refused(capsys):
    table = pd.DataFrame([("u", 1), ("u", 2), ("u", 3), ("v", 1), ("v", 9), ("u", 9)], columns=["user", "item"])
    items = pd.DataFrame({"item": [1, 2, 3]})
    log = load_log(table, items=items)
    assert log.split.user_ids.tolist() == ["u"] and log.split.n_items == 3
    said = capsys.readouterr().out
    assert "left out: 2 events with items outside the catalogue" in said and "1 user with fewer than three" in said
    with pytest.raises(CourseError, match="2 events with items outside the catalogue"):
        load_log(table, items=items, refuse=True)
    with pytest.raises(CourseError, match="no user took three different items"):
        load_log(table.head(2))


GOOD = lines(ROWS, header=["user", "item", "rating", "time"])
BROKEN = {
    "a rating": (GOOD.replace("1,2,3,", "1,2,good,", 1), r"line 2, column rating: found 'good', expected a number"),
    "a time": (GOOD.replace("1500086400", "yesterday", 1), r"line 2, column time: found 'yesterday'"),
    "no user": (GOOD.replace("\n1,", "\n,", 1), r"line 2, column user: found '', expected an id"),
    "too many fields": (GOOD.replace("\n1,", "\n1,1,", 1), "line 2: found 5 fields, expected 4"),
    "too few fields": (GOOD + "1,2,3\n", r"line 27: found 3 fields, expected 4, divided by ','"),
    "no header": (lines(ROWS), r"line 1: found '1,2,3,1500086400', expected a header that names user and item"),
    "no item": (GOOD.replace("item", "colour", 1), r"no column of items that is known .*say which: columns=\{'item'"),
    "empty": ("", "is empty"),
    "header only": ("user,item\n", "no row"),
    "binary": ("user,item\0\n", "no text"),
    "two users": ("user_name,customer,item\na,b,1\n", r"may be the user|'customer'"),
    "JSON": ('{"user": 1, "item": 2}\n{"user": 1,\n', r"line 2: found '\{\"user\": 1,', expected a JSON object"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_told_in_one_line(kind, tmp_path):
    text, told = BROKEN[kind]
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(CourseError, match=told) as caught:
        load_log(tmp_path / "log.csv")
    assert str(tmp_path / "log.csv") in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_line_is_counted_as_an_editor_does(tmp_path):
    rows = [f'{u},{i},{r},{t},"a\nb"' for u, i, r, t in ROWS]
    rows[3] = rows[3].replace(",150", ",x50")
    (tmp_path / "log.csv").write_text("user,item,rating,time,title\n" + "\n".join(rows))
    with pytest.raises(CourseError, match="line 8, column time"):
        load_log(tmp_path / "log.csv")


@pytest.mark.parametrize(
    ("source", "options", "told"),
    [
        ([1, 2], {}, "not from a list"),
        (b"log.csv", {}, "not from a bytes"),
        ("https://example.org/log.csv", {}, "is an address"),
        ("nowhere.csv", {}, "does not exist"),
        ("log.csv", {"layout": "MovieLense"}, "did you mean 'MovieLens'"),
        ("log.csv", {"layout": "MIND"}, r"holds no behaviors.tsv"),
        ("log.csv", {"rating_range": "1-5"}, r"give two numbers, such as rating_range=\(1, 5\)"),
        ("log.csv", {"rating_range": (5, 1)}, "the lowest comes first"),
        ("log.csv", {"rating_range": (1, 3)}, r"did you mean rating_range=\(1, 5\)"),
        ("log.csv", {"repeats": "frist"}, "did you mean 'first'"),
        ("log.csv", {"time_unit": "hours"}, "known are|did you mean"),
        ("log.csv", {"columns": {"user": "usr"}}, "did you mean 'user'"),
        ("log.csv", {"columns": {"who": "user"}}, "no column of ours"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_told_in_one_line(source, options, told, tmp_path, monkeypatch):
    (tmp_path / "log.csv").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError, match=told):
        load_log(source, **options)


def test_a_damaged_archive_is_told(tmp_path):
    for name, content in {
        "log.csv.gz": gzip.compress(GOOD.encode())[:-9],
        "log.zip": b"PK\3\4",
        "x.parquet": b"PAR1",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CourseError, match=name):
            load_log(tmp_path / name)
