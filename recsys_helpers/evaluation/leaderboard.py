"""Every model of the course under one protocol, on two data sets: `python -m recsys_helpers leaderboard`.

Leave one out in time, every item that the user has not taken is a candidate, tied scores share the middle rank. Each
model runs in a process of its own, and what came out is kept in build/leaderboard until what it depends on changes.
"""

import ast
import hashlib
import inspect
import json
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from importlib import import_module
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from recsys_helpers.data.event_log import EventLog, load_log, log_of
from recsys_helpers.data.interest_world import load_interest_world
from recsys_helpers.data.movielens import load_movielens
from recsys_helpers.errors import CourseError, did_you_mean
from recsys_helpers.evaluation.bootstrap import bootstrap_interval
from recsys_helpers.evaluation.ranks import hit, ndcg, target_ranks
from recsys_helpers.evaluation.results import as_text
from recsys_helpers.files import write_json
from recsys_helpers.models import (
    baselines,
    bert,
    cross_domain,
    multi_scenario,
    recurrent,
    self_attention,
    two_towers,
)
from recsys_helpers.models.base import MODELS as REGISTERED
from recsys_helpers.models.base import Model, make, requests_of, require_memory
from recsys_helpers.paths import MEASURED, ROOT
from recsys_helpers.recommender import recommender
from recsys_helpers.training.backend import keras, keras_nlp
from recsys_helpers.training.fit import _compute_capability, _peak_memory
from recsys_helpers.training.profiles import check_profile

DATA = {"movielens": load_movielens, "world": load_interest_world}
ROOMS = baselines, two_towers, bert, recurrent, self_attention, cross_domain, multi_scenario, recommender
MODELS = {name: m for room in ROOMS for name, m in REGISTERED.items() if m.__module__ == room.__name__}
COSTS = "seconds", "cpu", "parameters", "MB"
LARGEST = 2**28  # bytes of a file of outcomes
Outcomes = dict[str, dict[str, dict]]  # by data set and model: what `measure` gives


def read_logs(names: Iterable[str] = DATA) -> dict[str, EventLog]:
    """The logs of these data sets, by name; a path to data of your own is read by `load_log`.

    Raises:
        CourseError: a name that does not exist, or data that cannot be read.
    """
    return dict(_named_log(name) for name in names)


def _named_log(name: str) -> tuple[str, EventLog]:
    if name in DATA:
        return name, log_of(DATA[name]())
    if not Path(name).expanduser().exists():
        raise CourseError(f"data set {name!r} does not exist, and is no path; {did_you_mean(name, DATA)}")
    log = load_log(name)
    return re.sub(r"[^\w.-]", "_", log.name), log


def choose(names: Iterable[str]) -> dict[str, type[Model]]:
    """These models in the order of `MODELS`, all where none is named; CourseError for one that does not exist.

    What a script of yours has registered can be named, too.
    """
    known = MODELS | REGISTERED
    _check(names, known, "model")
    return {name: model for name, model in known.items() if name in (names or MODELS)}


def _check(names: Iterable[str], known: Iterable[str], what: str) -> None:
    for name in set(names) - set(known):
        raise CourseError(f"{what} {name!r} does not exist; {did_you_mean(name, known)}")


def run(
    logs: dict[str, EventLog], models: dict[str, type[Model]], profile: str, seed: int, build: Path = ROOT / "build"
) -> tuple[Outcomes, list[str]]:
    """Train and measure each model on each log, unless that was done before: (outcomes, what failed and why)."""
    check_profile(profile)
    outcomes, failed, console = {name: {} for name in logs}, [], Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(logs) * len(models))
        for data, log in logs.items():
            for name, model in models.items():
                bar.update(task, description=f"{data}: {name}")
                path = build / "leaderboard" / f"{profile}-{seed}" / f"{data}-{name.replace(' ', '-')}.json"
                try:
                    outcomes[data][name] = outcome = remembered(path, log, model, profile, seed)
                    found = f"NDCG@10 {ndcg(outcome['ranks']).mean():.3f}, {outcome['seconds']:.0f} s"
                except Exception as error:  # of whatever kind: the others go on, and the command fails in the end
                    found = f"failed: {type(error).__name__}: {error}"
                    failed.append(f"{data}, {name}: {type(error).__name__}: {error}")
                console.print(f"{data}: {name}: {found}", highlight=False, markup=False, soft_wrap=True)
                bar.advance(task)
    return outcomes, failed


def remembered(path: Path, log: EventLog, model: type[Model], profile: str, seed: int) -> dict:
    """The outcome kept at this path, if it is of this program and these data, else a new one."""
    key = fingerprint(log, make(model, profile=profile, seed=seed))
    kept = _kept(path)
    if kept and kept.get("fingerprint") == key and _is_outcome(kept, log):
        return kept
    outcome = in_child(measure, log, model, profile, seed) | {"fingerprint": key}
    with suppress(OSError):  # in a folder that cannot be written nothing is kept
        write_json(path, outcome)
    return outcome


def _kept(path: Path) -> dict | None:
    """What stands in a file of ours, which may be missing, damaged, or somebody else's: then None."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return None
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) else None


def _is_outcome(kept: dict, log: EventLog) -> bool:
    """Whether this is what `measure` gives for this log."""
    ranks, costs = kept.get("ranks"), [kept.get(name) for name in COSTS]
    if not isinstance(ranks, list) or len(ranks) != log.split.n_users:
        return False
    numbers = all(type(number) in (int, float) for number in [*ranks, *costs])
    return numbers and all(1 <= rank <= log.split.n_items for rank in ranks) and all(0 <= c < np.inf for c in costs)


def in_child(function: Callable, *arguments):
    """Call it in a fresh process, so that memory is its own and a crash does not end the others."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        return pool.submit(function, *arguments).result()


def _end_with_parent() -> None:
    """In the child: who kills the parent does not want a network to train on."""
    threading.Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def measure(log: EventLog, model: type[Model], profile: str, seed: int) -> dict:
    """Ranks of the test items, seconds by the clock and of the CPU, parameters, and peak memory in MB.

    Memory is all that the process ever held, Python, TensorFlow and the data too; with a GPU, what it held of that.
    """
    users, items = log.split.n_users, log.split.n_items
    require_memory("scoring everybody at once", 2 * users * items, f"{users:,} users by {items:,} items")
    start, busy = time.perf_counter(), time.process_time()
    fitted = make(model, profile=profile, seed=seed).fit(log, "test")
    scores = fitted.scores(requests_of(log, "test"))
    took = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - busy}
    ranks = target_ranks(scores, log.split.history(), log.split.target())
    return {"ranks": ranks.tolist(), **took, "parameters": fitted.parameters, "MB": _peak_memory()}


def fingerprint(log: EventLog, model: Model) -> str:
    """Of all that an outcome depends on.

    The data, the model and its settings, the sources that it imports, what else it reads, how it is measured, the
    libraries, and what computes.
    """
    frames = [pd.util.hash_pandas_object(frame, index=False).to_numpy() for frame in (log.events, log.items)]
    arrays = [*frames, log.subjects, log.split.item_ids, np.concatenate(log.split.sequences)]
    parts = [np.ascontiguousarray(array).tobytes() for array in arrays]
    measures = [ROOT / "recsys_helpers" / name for name in ("evaluation/ranks.py", "models/base.py")]
    parts += [path.read_bytes() for path in sources(Path(inspect.getfile(type(model))), *measures)]
    parts += [inspect.getsource(function).encode() for function in (measure, _peak_memory)]
    named = type(model).__qualname__, model.settings(), model.surroundings(), versions(), device()
    parts.append(repr(named).encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def versions() -> list[str]:
    """Of the libraries that compute."""
    libraries = np, pd, scipy, keras, keras_nlp, import_module(keras.backend.backend())
    return [f"{library.__name__} {library.__version__}" for library in libraries]


@cache
def device() -> list[str]:
    """What computes: the kind of machine, Keras' backend, and the GPU's compute capability if there is one."""
    backend = keras.backend.backend()
    gpu = in_child(_compute_capability) if backend == "jax" else _compute_capability()  # JAX would keep the GPU for us
    return [platform.machine(), backend, str(gpu)]


def sources(*paths: Path) -> list[Path]:
    """Files and what they import of the helper package, and what this imports, and so on; sorted."""
    found, waiting = set(), list(paths)
    while waiting:
        found.add(path := waiting.pop())
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules = [ROOT / f"{name.replace('.', '/')}.py" for name in names if name.startswith("recsys_helpers.")]
            waiting += [module for module in modules if module.is_file() and module not in found]
    return sorted(found)


def rows(logs: dict[str, EventLog], outcomes: Outcomes) -> list[dict]:
    """One row a data set and model: figures as (value, low, high), and what they cost."""
    found = []
    for data, log in logs.items():
        history, target = log.split.history(), log.split.target()
        usual = ndcg(target_ranks(baselines.popularity(history, log.split.n_items), history, target))
        for model, outcome in outcomes[data].items():
            gain = ndcg(outcome["ranks"])
            figures = {"NDCG@10": gain, "HR@10": hit(outcome["ranks"]), "gain over popularity": gain - usual}
            row = {name: [round(x, 4) for x in bootstrap_interval(values)] for name, values in figures.items()}
            cost = {name: round(outcome[name], 1) for name in COSTS}
            found.append({"data": log.name, "model": model} | row | cost)
    return found


def write(rows: list[dict], seed: int, path: Path = MEASURED / "leaderboard.json") -> None:
    """Keep the rows of a whole run, from which README's section is made."""
    write_json(path, {"seed": seed, "rows": rows})


def show(rows: list[dict], console: Console | None = None) -> None:
    """Print a table for each data set."""
    for data in dict.fromkeys(row["data"] for row in rows):
        title = f"{data}: with 95% intervals over users, and the gain in NDCG@10 over popularity"
        table = Table(title=title, box=SIMPLE, collapse_padding=True, pad_edge=False)
        for name in ("model", "NDCG@10", "HR@10", "gain"):
            table.add_column(name, no_wrap=name == "model", min_width=7)  # an interval can fold between its ends
        for name in ("s", "CPU s", "parameters", "MB"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            if row["data"] == data:
                figures = as_text(row["NDCG@10"]), as_text(row["HR@10"]), as_text(row["gain over popularity"], "+")
                cost = f"{row['seconds']:.0f}", f"{row['cpu']:.0f}", f"{row['parameters']:,}", f"{row['MB']:.0f}"
                table.add_row(row["model"], *figures, *cost)
        (console or Console()).print(table)
