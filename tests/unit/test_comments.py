"""The comment grammar: labels, balance, and splits that do not leak."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from recsys_helpers.data.comments import (
    FRAMES,
    INTERESTS,
    SPLIT_SIZES,
    TOPICS,
    TRAPS,
    frames,
    generate_comments,
    pretraining_corpus,
    topics,
)
from recsys_helpers.errors import CourseError

SPLITS = ("train", "validation", "test")
LANGUAGES = ("en", "zh")


def some_tastes(users=300):
    rng = np.random.default_rng(1)
    return np.stack([rng.permutation(len(INTERESTS))[:3] for _ in range(users)])


@pytest.fixture(scope="module")
def tastes():
    return some_tastes()


@pytest.fixture(scope="module")
def comments(tastes):
    return generate_comments(tastes, seed=7)


def named_topics(text, language, split):
    """{topic: interest} of the topics that stand in a text, longest first so that none hides in another."""
    found, rest = {}, text.lower()
    known = [(topic, interest) for interest in INTERESTS for topic in topics(language, interest, split)]
    for topic, interest in sorted(known, key=lambda pair: -len(pair[0])):
        if topic.lower() in rest:
            found[topic] = interest
            rest = rest.replace(topic.lower(), "#")
    return found


def nearest(left, right):
    """The largest Jaccard similarity of character 3-grams between any text of `left` and any of `right`."""
    grams = CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True, dtype=np.int32)
    grams.fit([*left, *right])
    left, right = grams.transform(left), grams.transform(right)
    shared = (left @ right.T).tocoo()
    sizes = (np.asarray(m.sum(axis=1)).ravel() for m in (left, right))
    n_left, n_right = sizes
    return (shared.data / (n_left[shared.row] + n_right[shared.col] - shared.data)).max()


def test_table_is_as_promised(comments, tastes):
    assert list(comments) == ["comment_id", "user_id", "language", "text", "interest", "trap", "split"]
    assert comments.comment_id.tolist() == list(range(1, 6401))
    assert comments.text.is_unique and not comments.isna().any().any()
    assert comments.groupby(["language", "split"]).size().to_dict() == {
        (language, split): size for language, sizes in SPLIT_SIZES.items() for split, size in sizes.items()
    }
    wanted = comments.interest.map(INTERESTS.index).to_numpy()
    assert (tastes[comments.user_id - 1, :2] == wanted[:, None]).any(axis=1).all()
    assert comments.user_id.nunique() == len(tastes)


def test_labels_and_traps_are_balanced(comments):
    counts = comments.groupby(["language", "split", "interest"]).size().unstack()
    assert set(counts.columns) == set(INTERESTS)
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1
    shares = comments.groupby(["language", "split"]).trap.value_counts(normalize=True).unstack()
    assert set(shares.columns) == set(TRAPS)
    assert shares.plain.between(0.24, 0.36).all()
    assert shares.drop(columns="plain").stack().between(0.17, 0.30).all()


def test_the_grammar_is_rich():
    for language, trap in itertools.product(LANGUAGES, TRAPS):
        assert sum(len(frames(language, trap, split)) for split in SPLITS) >= 25
    for language, interest in itertools.product(LANGUAGES, INTERESTS):
        every, known = topics(language, interest, "test"), topics(language, interest, "train")
        assert len(every) == len(set(every)) >= 28
        assert 0.25 <= 1 - len(known) / len(every) <= 0.35
        assert topics(language, interest, "validation") == known


def test_no_topic_has_two_interests_and_no_frame_two_splits():
    for language in LANGUAGES:
        every = [topic.lower() for interest in INTERESTS for topic in topics(language, interest, "test")]
        assert len(every) == len(set(every))
        recipes = [(trap, split) for lang, trap in FRAMES if lang == language for split in FRAMES[lang, trap]]
        lines = [line for trap, split in recipes for line in frames(language, trap, split)]
        assert len(lines) == len(set(lines))


def test_frames_name_what_their_trap_needs():
    for (language, trap), splits in FRAMES.items():
        for split in splits:
            lines = frames(language, trap, split)
            if trap == "plain":
                assert all(line.count("{a}") == 1 and "{b}" not in line for line in lines)
            else:
                assert all(line.count("{a}") == line.count("{b}") == 1 for line in lines)
            if trap not in ("plain", "pair"):
                assert sum(line.index("{b}") < line.index("{a}") for line in lines) * 2 == len(lines)


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_name_label_and_distractor(comments, language):
    rows = comments[comments.language == language]
    for row in rows.itertuples():
        named = named_topics(row.text, language, row.split)
        assert len(named) == (1 if row.trap == "plain" else 2), row.text
        assert list(named.values()).count(row.interest) == 1, row.text
        assert not set("{}[]|") & set(row.text)


def test_order_does_not_tell_the_label(comments):
    for (_, split), rows in comments[comments.trap != "plain"].groupby(["language", "split"]):
        first = 0
        for row in rows.itertuples():
            named = named_topics(row.text, row.language, split)
            first += named[min(named, key=lambda topic: row.text.lower().index(topic.lower()))] == row.interest
        assert 0.42 < first / len(rows) < 0.58


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_nearly_the_same_crosses_a_split(comments, language):
    texts = comments[comments.language == language].groupby("split").text.apply(list)
    for one, other in itertools.combinations(SPLITS, 2):
        assert nearest(texts[one], texts[other]) < 0.8
    corpus = pretraining_corpus(2000, seed=7)[LANGUAGES.index(language) :: 2]
    assert nearest(corpus, [text for split in SPLITS for text in texts[split]]) < 0.8


def test_length(comments):
    english = comments[comments.language == "en"].text.str.split().str.len()
    assert 12 <= english.median() <= 16 and english.max() <= 30
    chinese = comments[comments.language == "zh"].text.str.len()
    assert 15 <= chinese.median() <= 28 and chinese.max() <= 50


def test_words_alone_do_not_solve_the_traps(comments):
    english = comments[comments.language == "en"]
    train, test = english[english.split == "train"], english[english.split == "test"]
    words = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, max_iter=500))
    right = words.fit(train.text, train.interest).predict(test.text) == test.interest
    assert 0.5 < right[test.trap == "plain"].mean() < 0.85
    assert 0.35 < right[test.trap != "plain"].mean() < 0.6


def test_seed_and_users(comments, tastes):
    assert generate_comments(tastes, seed=7).equals(comments)
    other = generate_comments(tastes, seed=8)
    assert not other.text.equals(comments.text)
    assert generate_comments(tastes[:100], seed=7).text.equals(comments.text)


def test_an_interest_nobody_has_is_refused(tastes):
    with pytest.raises(CourseError, match="'sport'"):
        generate_comments(np.where(tastes == INTERESTS.index("sport"), 0, tastes), seed=7)


def test_sentences_begin_with_a_capital(comments):
    english = comments[comments.language == "en"].text
    assert not english.str.contains(r"(?:^|[.!?] )[a-z]").any()
    assert not english.str.contains(r"[.!?,]{2}|  ").any()
    assert not comments.text[comments.language == "zh"].str.contains("[。！，？]{2}").any()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), n=st.integers(0, 60))
def test_corpus_is_unique_bilingual_and_repeatable(seed, n):
    corpus = pretraining_corpus(n, seed)
    assert len(corpus) == len(set(corpus)) == n
    assert pretraining_corpus(n, seed) == corpus
    for i, text in enumerate(corpus):
        assert any("\u4e00" <= sign <= "\u9fff" for sign in text) == bool(i % 2)
        assert named_topics(text, LANGUAGES[i % 2], "pretraining")


def test_corpus_speaks_of_every_topic():
    text = " ".join(pretraining_corpus(8000, seed=3)).lower()
    every = [
        topic for language in LANGUAGES for interest in TOPICS[language] for topic in topics(language, interest, "test")
    ]
    assert not [topic for topic in every if topic.lower() not in text]
