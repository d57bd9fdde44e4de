"""A saved recommender that is damaged, crafted or foreign is refused in one line, or gives the original's lists."""

import io
import json
import os
import resource
import tracemalloc

import numpy as np
import pytest
from damage import BYTES, archives, arrays_of, flipped, put
from hypothesis import given, settings
from hypothesis import strategies as st
from small_logs import ITEMS, USERS, made_up

from recsys_helpers.errors import CourseError
from recsys_helpers.models.base import MODELS, Model, register
from recsys_helpers.models.baselines import EASE, Popularity
from recsys_helpers.recommender import recommender
from recsys_helpers.recommender.recommender import Recommender

pytestmark = pytest.mark.usefixtures("words")


@pytest.fixture(scope="module")
def fitted():
    return Recommender("smoke").fit(made_up())


@pytest.fixture(scope="module")
def whole(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    fitted.save(folder)
    return (folder / recommender.FILE).read_bytes()


def lists(book):
    return [book.recommend(user).to_json() for user in range(0, USERS, 20)] + [book.recommend_for().to_json()]


def refused_or_the_same(folder, content, fitted) -> bool:
    """Whether it was refused, in one line that names the file; else it gives the same lists."""
    path = put(folder / recommender.FILE, content)
    try:
        book = Recommender.load(folder)
    except CourseError as error:
        assert str(path) in str(error) and "fit one again and `save` it" in str(error) and "\n" not in str(error)
        return True
    assert lists(book) == lists(fitted)
    return False


def sealed(arrays, card=..., **settings) -> bytes:
    """A file with these arrays whose checksum is right."""
    mine = json.loads(str(arrays["card"])) if card is ... else card
    if settings:
        mine["settings"] |= settings
    arrays = {name: np.asarray(array) for name, array in arrays.items() if array is not None and name != "checksum"}
    arrays["card"] = np.array(json.dumps(mine))
    file = io.BytesIO()
    np.savez(file, **arrays, checksum=recommender._checksum(arrays))
    return file.getvalue()


DAMAGE = archives("about")


@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_no_whole_file_is_refused(how, whole, fitted, tmp_path):
    assert refused_or_the_same(tmp_path, DAMAGE[how](whole), fitted)


def ids(name, value=-1, place=0):
    """The same array with one number another."""

    def changed(arrays):
        array = arrays[name].copy()
        array.flat[place] = value
        return {name: array}

    return changed


def other(name, make):
    return lambda arrays: {name: make(arrays[name])}


FUSION, ATTENTION, TEXT = "parts/fusion/", "parts/self-attention/", "parts/text profile/"
CRAFTED = {  # arrays that are not what they should be, in a file whose checksum is right
    "no items": lambda a: {"items/title": None},
    "fewer titles than texts": other("items/title", lambda x: x[:-1]),
    "an item less": lambda a: {name: a[name][:-1] for name in ("items/title", "items/text", "about")},
    "titles that are numbers": other("items/title", lambda x: np.arange(len(x))),
    "no people": lambda a: {n: a[n][:0] for n in a if n.startswith("people/")},
    "no scenarios": other("scenarios", lambda x: x[:0]),
    "one scenario more": other("scenarios", lambda x: np.append(x, "more")),
    "one subject less": other("subjects", lambda x: x[:-1]),
    "about is flat": other("about", np.ravel),
    "about is no number": ids("about", np.nan),
    "about is text": other("about", lambda x: x.astype(str)),
    "history of item 0": ids("people/history", 0),
    "history of an item below 0": ids("people/history", -3),
    "history past the end": ids("people/history", ITEMS + 1),
    "history of fractions": other("people/history", lambda x: x + 0.5),
    "lengths below 0": ids("people/lengths", -1),
    "lengths too long": ids("people/lengths", 10**15),
    "lengths that wrap around": other("people/lengths", lambda x: np.r_[np.full(2, 2**63, "u8"), x.astype("u8")]),
    "a person less": other("people/time", lambda x: x[:-1]),
    "strengths that are none": ids("people/strengths", np.inf),
    "a scenario that does not exist": ids("people/scenario", 7),
    "a scenario below 0": ids("people/scenario", -1),
    "a time that is none": ids("people/time", np.nan),
    "now is a list": other("now", lambda x: np.array([x, x])),
    "usual strength is none": other("usual_strength", lambda x: np.array(np.nan)),
    "the gate's scale is 0": ids("gate/scale", 0),
    "the gate's spread is below 0": ids("gate/spread", -1),
    "the gate's keys are turned": other("gate/keys", np.transpose),
    "the gate's bias is endless": ids("gate/bias", np.inf),
    "the gate's bias is huge": ids("gate/bias", 1e9),
    "the gate's parts are unknown": ids("gate/parts", "x"),
    "the gate's parts come twice": lambda a: {"gate/parts": np.repeat(a["gate/parts"][:1], len(a["gate/parts"]))},
    "the gate's parts are numbers": other("gate/parts", lambda x: np.arange(len(x))),
    "a part without its state": lambda a: {n: None for n in a if n.startswith("parts/EASE/")},
    "weights that are not square": other("parts/EASE/weights_", lambda x: x[:, :-1]),
    "weights of other items": other("parts/EASE/weights_", lambda x: x[:-1, :-1]),
    "weights that are one number": other("parts/EASE/weights_", lambda x: np.array(1.0)),
    "weights that are no numbers": ids("parts/EASE/weights_", np.nan),
    "weights without bound": ids("parts/SLIT/weights_", np.float32(3e38), place=slice(None)),
    "counts below 0": ids("parts/popularity/counts_", -5),
    "counts of fewer items": other("parts/popularity/counts_", lambda x: x[1:]),
    "events of no item": ids("parts/recency/items_", ITEMS),
    "events out of order": other("parts/recency/times_", lambda x: x[::-1]),
    "fewer times than events": other("parts/recency/times_", lambda x: x[1:]),
    "an encoder of numbers": other(f"{TEXT}encoder_", lambda x: np.array(3)),
    "text vectors of another width": other(f"{TEXT}mean_", lambda x: x[1:]),
    "more items than there are": other(f"{ATTENTION}n_items_", lambda x: np.array(10**12)),
    "a list of weights with a gap": lambda a: {f"{ATTENTION}weights_003": None},
    "a list of weights that is too long": lambda a: {f"{ATTENTION}weights_020": np.zeros(3)},
    "a list of weights that begins late": lambda a: {f"{ATTENTION}weights_999": a[f"{ATTENTION}weights_000"]},
    "weights of another shape": other(f"{ATTENTION}weights_002", lambda x: x[:-1]),
    "fewer places in the window": other(f"{ATTENTION}weights_001", lambda x: x[:3]),
    "half the vectors": other(f"{ATTENTION}weights_000", lambda x: x[: len(x) // 2]),
    "no usual state": lambda a: {f"{ATTENTION}usual_": None},
    "fewer experts": other(f"{FUSION}experts_", lambda x: x[:-1]),
    "an output of another width": other(f"{FUSION}output_", lambda x: x[:-1]),
    "fusion's spread is 0": ids(f"{FUSION}spread_", 0),
    "fusion knows one scenario": other(f"{FUSION}scenario_", lambda x: x[:1]),
    "one domain": other(f"{FUSION}contents_", lambda x: x[:, :1]),
    "a name that is a method": lambda a: {"parts/EASE/scores": np.zeros(3)},
    "a name of Python's own": lambda a: {"parts/EASE/__class__": np.zeros(3)},
    "a name with a dot": lambda a: {"parts/EASE/a.b_": np.zeros(3)},
    "an array too much": lambda a: {"more": np.zeros(3)},
    "a part too much": lambda a: {"parts/more/weights_": np.zeros(3)},
}


@pytest.mark.parametrize("how", CRAFTED)
def test_what_is_crafted_is_refused(how, whole, fitted, tmp_path):
    arrays = arrays_of(whole)
    assert not refused_or_the_same(tmp_path / "sealed", sealed(arrays), fitted)
    assert refused_or_the_same(tmp_path, sealed(arrays | CRAFTED[how](arrays)), fitted)


CARDS = {
    "null": None,
    "a list": [1],
    "a number": 5,
    "empty": {},
    "a kind that is a list": {"kind": [], "version": recommender.VERSION, "settings": {}},
    "without a version": {"kind": recommender.KIND, "settings": {}},
    "a version in words": {"kind": recommender.KIND, "version": "3", "settings": {}},
    "a version that is true": {"kind": recommender.KIND, "version": True, "settings": {}},
    "without settings": {"kind": recommender.KIND, "version": recommender.VERSION},
    "settings that are a list": {"kind": recommender.KIND, "version": recommender.VERSION, "settings": [1]},
    "settings left out": {"kind": recommender.KIND, "version": recommender.VERSION, "settings": {}},
}
SETTINGS = {
    "unknown": {"colour": "blue"},
    "another profile": {"profile": "fast"},
    "a profile that is a list": {"profile": ["smoke"]},
    "a seed in words": {"seed": "7"},
    "no seed": {"seed": None},
    "parts that are a word": {"parts": "EASE"},
    "parts that are lists": {"parts": [["EASE"]]},
    "no parts": {"parts": []},
    "a part that is unknown": {"parts": [*recommender.PARTS, "cake"]},
    "a part less": {"parts": list(recommender.PARTS)[:-1]},
    "a part twice": {"parts": [*recommender.PARTS, "EASE"]},
    "parts within parts": {"parts": [*recommender.PARTS, "capstone"]},
}


@pytest.mark.parametrize("how", [*CARDS, *SETTINGS])
def test_a_card_that_is_none_of_ours_is_refused(how, whole, fitted, tmp_path):
    arrays = arrays_of(whole)
    content = sealed(arrays, CARDS[how]) if how in CARDS else sealed(arrays, **SETTINGS[how])
    assert refused_or_the_same(tmp_path, content, fitted)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"kind": NaN}', "1" * 5000])
def test_a_card_that_is_no_json_is_refused(text, whole, fitted, tmp_path):
    file = io.BytesIO()
    np.savez(file, **arrays_of(whole) | {"card": np.array(text)})
    assert refused_or_the_same(tmp_path, file.getvalue(), fitted)


def test_the_card_is_in_the_checksum(whole, fitted, tmp_path):
    arrays = arrays_of(whole)
    card = json.loads(str(arrays["card"]))
    card["settings"]["seed"] += 1
    file = io.BytesIO()
    np.savez(file, **arrays | {"card": np.array(json.dumps(card))})
    assert refused_or_the_same(tmp_path, file.getvalue(), fitted)


def test_the_order_of_the_arrays_means_nothing(whole, fitted, tmp_path):
    arrays = arrays_of(whole)
    assert not refused_or_the_same(tmp_path, sealed(dict(reversed(arrays.items()))), fitted)
    turned = {name: np.asfortranarray(array) if array.ndim > 1 else array for name, array in arrays.items()}
    assert not refused_or_the_same(tmp_path, sealed(turned), fitted)


@pytest.mark.parametrize("how", ["a bomb", "a header of 3 TB", "a header past all numbers"])
def test_a_promise_takes_no_memory(how, whole, fitted, tmp_path):
    content = DAMAGE[how](whole)
    tracemalloc.start()
    assert refused_or_the_same(tmp_path, content, fitted)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(whole) + 5e6


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_a_file_longer_than_the_memory_is_refused(whole, fitted, tmp_path):
    path = put(tmp_path / recommender.FILE, whole)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os.truncate(path, 2**42)  # it takes no room on the disk
    with pytest.raises(CourseError, match="fit one again"):
        Recommender.load(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2e5  # KB


@settings(max_examples=30)
@given(data=st.data())
def test_random_damage_never_gives_other_lists(whole, fitted, tmp_path_factory, data):
    content = whole
    for _ in range(data.draw(st.integers(0, 3))):
        content = flipped(content, data.draw(st.integers(0, len(content) - 1)), 1 << data.draw(st.integers(0, 7)))
    content = content[: data.draw(st.sampled_from([len(content), data.draw(st.integers(0, len(content)))]))]
    refused_or_the_same(tmp_path_factory.mktemp("random"), content, fitted)


def test_a_folder_in_its_place_is_refused(tmp_path):
    (tmp_path / recommender.FILE).mkdir()
    with pytest.raises(CourseError, match="there is no recommender"):
        Recommender.load(tmp_path)


@pytest.fixture
def registered():
    """Parts of one's own may have any name."""
    before = dict(MODELS)
    yield
    MODELS.clear()
    MODELS.update(before)


def test_no_names_of_parts_collide(tmp_path, registered):
    @register
    class Gate(Popularity):
        name = "gate"

    @register
    class Within(EASE):
        name = "gate/people"

    @register
    class Items(Popularity):
        name = "items"

    parts = ("recent neighbours", "text profile", "gate", "gate/people", "items", "EASE")
    mine = Recommender("smoke", parts=parts).fit(made_up())
    mine.save(tmp_path)
    assert lists(Recommender.load(tmp_path)) == lists(mine)
    assert refused_or_the_same(tmp_path, BYTES["a flipped bit"]((tmp_path / recommender.FILE).read_bytes()), mine)


def test_what_only_pickle_could_save_is_named(tmp_path, registered):
    @register
    class Odd(Popularity):
        name = "odd"

        def learn(self, histories, n_items):
            self.notes_ = np.array([{"a": 1}], object)
            return super().learn(histories, n_items)

    mine = Recommender("smoke", parts=("recent neighbours", "text profile", "odd")).fit(made_up())
    with pytest.raises(CourseError, match="cannot be written without pickle: 'parts/odd/notes_'"):
        mine.save(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"capstone"}))
def test_every_model_says_what_it_is_held_to(name):
    model = MODELS[name]
    assert model.learned != Model.learned
    for state in ({}, {"scores": np.zeros(3)}, {f"{n}000": np.zeros(3) for n in model.learned}):
        with pytest.raises(CourseError, match=f"{model.name}"):
            model.from_state(state)
