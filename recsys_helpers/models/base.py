"""One protocol for every model: `fit` learns from a log, `scores` ranks for requests, `state` is what to save.

Leaderboard, recommender and lessons use the same objects. One more row, or one more part, is one class::

    @register
    class Newest(Model):
        name = "newest"

        def fit(self, log, part="test"):
            first = log.before(part).groupby("item")["time"].min()
            self.first_ = first.reindex(range(1, log.split.n_items + 1), fill_value=0).to_numpy()
            return self

        def scores(self, requests):
            return np.tile(self.first_, (len(requests), 1))
"""

import copy
import inspect
import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import psutil

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.errors import CourseError

STATE = re.compile(r"([A-Za-z]\w*_)(\d{3,6})?", re.ASCII)  # a learned attribute, and a place in its list
KINDS = {  # of arrays: NumPy's kinds, and the least value
    "number": ("iuf", -np.inf),
    "count": ("iuf", 0),
    "positive": ("iuf", np.finfo("float64").tiny),
    "whole": ("iu", 0),
    "total": ("iu", 1),
    "text": ("U", None),
}
MODELS: dict[str, type["Model"]] = {}  # by name: those of the modules that were imported


@dataclass(frozen=True)
class Request:
    """Someone asks for a list: what they took (item numbers, oldest first) and how much they liked it, where and when.

    Attributes:
        history, strengths: shape (events,). scenario: its number. time: in seconds; gap: since their last event.
        user: their number in the log; None for somebody unknown.
    """

    history: np.ndarray
    strengths: np.ndarray
    scenario: int
    time: float
    gap: float = 0.0
    user: int | None = None


def requests_of(log: EventLog, part: str = "test") -> list[Request]:
    """One request a user, in the order of their numbers, just before the target of `part`."""
    known = [
        (int(user), g["item"].to_numpy(), g["strength"].to_numpy(), g["time"].iloc[-1])
        for user, g in log.before(part).groupby("user")
    ]
    asked = log.requests(part)
    return [
        Request(items, strengths, scenario, time, time - last, user)
        for (user, items, strengths, last), scenario, time in zip(known, asked["scenario"], asked["time"], strict=True)
    ]


def histories_of(requests: list[Request]) -> list[np.ndarray]:
    """The item numbers that each has taken."""
    return [request.history for request in requests]


@dataclass(frozen=True)
class NewItem:
    """An item that nobody took yet.

    Attributes:
        vector: of its text, as long as `TextProfile.vectors_` is wide. subjects: shape (n_subjects,), sums to 1.
        domain: its number. near: positions of the items with the nearest texts, from which a model may borrow.
    """

    vector: np.ndarray
    subjects: np.ndarray
    domain: int
    near: np.ndarray


class Model:
    """What every model can do. Settings stand in `__init__`; what is learned, in attributes that end with `_`.

    Learned attributes are arrays, or lists of arrays. Column j of an array over items is item number j + 1.

    Attributes:
        learned: what a saved model is held to: by attribute a form as in `fits`, or for a list of arrays a tuple of
            forms. What it does not name may be anything.
    """

    name: ClassVar[str]
    learned: ClassVar[dict[str, str | tuple[str, ...]]] = {}

    def fit(self, log: EventLog, part: str = "test") -> Self:
        """Learn from what is known before the target of `part`, "validation" or "test", and from nothing else.

        It may read `log.before(part)`, `log.split.history(part)`, and what the items are. A model fitted for the test
        may also tune itself on the validation items, which lie before.
        """
        raise NotImplementedError

    def scores(self, requests: list[Request]) -> np.ndarray:
        """How much each item is worth to each request, shape (requests, items); finite, and for anybody.

        It may read all of a request. Items that were taken have scores, too; who ranks leaves them out.
        """
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        """How many numbers were trained or solved for; what is only counted is none of them."""
        return int(getattr(self, "parameters_", 0))

    def settings(self) -> dict:
        """The arguments of `__init__`."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def surroundings(self) -> list[str]:
        """What else an outcome depends on, besides data, settings and code: which pretrained weights are here."""
        return []

    def state(self) -> dict[str, np.ndarray]:
        """All that was learned, as plain arrays by name, to be saved without pickle."""
        arrays = {}
        for name, learned in vars(self).items():
            if name.endswith("_") and isinstance(learned, list):
                arrays |= {f"{name}{place:03}": array for place, array in enumerate(learned)}
            elif name.endswith("_"):
                arrays[name] = np.asarray(learned)
        return arrays

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray], **settings) -> Self:
        """The model that has this `state()` and these `settings()`.

        Raises:
            CourseError: it is no state of such a model.
        """
        model, lists = cls(**settings), {}
        for name, array in state.items():
            known = STATE.fullmatch(name)
            if not known:
                raise CourseError(f"{cls.name!r} learns nothing that is called {name!r}")
            if known[2]:
                lists.setdefault(known[1], {})[int(known[2])] = array
            else:
                setattr(model, name, array)
        for name, arrays in lists.items():
            if sorted(arrays) != list(range(len(arrays))) or name in state:
                raise CourseError(f"the list {name!r} of {cls.name!r} has gaps")
            setattr(model, name, [arrays[place] for place in range(len(arrays))])  # in whatever order they came
        model.check({})
        return model

    def check(self, sizes: dict[str, int]) -> None:
        """Hold what was learned against `learned`.

        Args:
            sizes: those that are known, such as {"items": 1682}; the others only have to agree with each other.

        Raises:
            CourseError: an attribute is missing, or not of its form.
        """
        sizes = dict(sizes)
        for name, form in self.learned.items():
            found, forms = getattr(self, name, None), form
            if isinstance(form, str):
                found, forms = [found], [form]
            as_many = isinstance(found, list) and len(found) == len(forms)
            if not as_many or not all(fits(array, form, sizes) for array, form in zip(found, forms, strict=True)):
                raise CourseError(f"{name!r} of {self.name!r} is not what it should be")

    def with_item(self, item: NewItem) -> Self:
        """A model that knows one item more, the last of all; this one stays as it is.

        Raises:
            CourseError: for a model that cannot.
        """
        raise CourseError(f"{self.name!r} cannot take in an item that nobody took; fit it anew, or do without it")

    def _with(self, **learned) -> Self:
        """A copy with other learned arrays, of the types that they had."""
        other = copy.copy(self)
        for name, array in learned.items():
            setattr(other, name, np.asarray(array, np.asarray(getattr(self, name)).dtype))
        return other


def register(model: type[Model]) -> type[Model]:
    """Make a class known by its name, to the leaderboard and the recommender.

    Raises:
        CourseError: another class has the name; the same one again, as when a cell runs twice, takes its own place.
    """
    other = MODELS.get(model.name, model)
    if (other.__module__, other.__qualname__) != (model.__module__, model.__qualname__):
        raise CourseError(f"{model.name!r} is the name of {other.__module__}.{other.__qualname__}; choose another")
    MODELS[model.name] = model
    return model


def make(model: type[Model], **settings) -> Model:
    """A model with those of the settings that it has; one that draws nothing has no `seed`, for instance."""
    known = inspect.signature(model).parameters
    return model(**{name: value for name, value in settings.items() if name in known})


def fits(array, form: str, sizes: dict[str, int]) -> bool:
    """Whether an array has a form: "count items 2" is two numbers from 0 on for each item.

    Args:
        form: a kind (one of `KINDS`), then the size of each axis: a number, or a name such as "items" or "items+1".
        sizes: by name; one that is not known yet is noted. An array of kind "total" is the number of the items itself.
    """
    (kind, *axes), array = form.split(), np.asarray(array)
    kinds, least = KINDS[kind]
    if array.dtype.kind not in kinds or array.ndim != len(axes):
        return False
    for axis, n in zip(axes, array.shape, strict=True):
        name, _, more = axis.partition("+")
        n -= int(more or 0)
        if n != (int(name) if name.isdigit() else sizes.setdefault(name, n)):
            return False
    if kind == "total":
        return sizes.setdefault("items", int(array)) == array
    return kind == "text" or bool((np.isfinite(array) & (array >= least)).all())


def require_memory(what: str, numbers: int, why: str) -> None:
    """Raise CourseError before more memory is asked for than is free, which would end the kernel.

    Args:
        what: who asks. numbers: of 8 bytes each, at the peak. why: the sizes they come from, "59,000 items by items".
    """
    free = psutil.virtual_memory().available
    if 8 * numbers > free:
        raise CourseError(
            f"{what} needs about {8 * numbers / 2**30:.0f} GiB for {why}, and {free / 2**30:.0f} are free: take fewer "
            "items (such as those with most events) or users, or a machine with more memory"
        )


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors with length 1; a zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def with_row(rows: np.ndarray, row) -> np.ndarray:
    """Rows and one more below them, of the same type; shape (n + 1, ...)."""
    return np.concatenate([rows, np.asarray(row, rows.dtype)[None]])
