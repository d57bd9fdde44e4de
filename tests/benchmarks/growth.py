"""Part two of `make bench`: what a larger world costs, and what a larger catalogue costs.

World: next-item training reads InterestWorlds of 2,400, 24,000 and 240,000 users from the disk; windows a CPU second
and peak memory have to stay within 20% of the smallest. Catalogue: a training step of 8 windows x 50 items at width 64
with the full softmax, with the sampled one, and with the sampled one and an optimiser that writes only the rows it was
given; then the ten best items by looking at all, and by an index. That optimiser is SGD, whose gradient of the table
stays sparse. Yet after a sparse write TensorFlow copies the whole table wherever Keras reads it.

Each measurement has a process of its own, and the worlds take turns. What is compared is CPU time, of all threads:
other work on the machine moves it less than the clock, which stands beside it. Worlds are kept in build/growth;
`make clean` removes them.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import pyarrow.parquet as pq
import typer
from recbole_speed import ROOT, use_two_cores

from course_tools.author.readme import write_region
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.leaderboard import in_child
from recsys_helpers.files import write_json, write_text
from recsys_helpers.models import next_item, self_attention
from recsys_helpers.paths import MEASURED
from recsys_helpers.recommender import retrieval
from recsys_helpers.scale import parquet_windows, sampled_softmax
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import EpochData, _peak_memory, fit

BOUND = 0.2  # windows a CPU second and memory may differ from the smallest world by this share
LENGTH, WIDTH, WINDOWS, DRAWS = 50, 64, 8, 512  # of the catalogue's steps
WAYS = ("full", "sampled", "SGD")
PROCESS, MOST = 1_400, 10_000  # MB: of Python, TensorFlow and the model without its table; and at most in all
QUERIES, TOP = 100, 10


def main(
    largest: Annotated[int, typer.Option(help="Largest world, as a multiple of 2,400 users; a power of ten.")] = 100,
    items: Annotated[int, typer.Option(help="Largest catalogue; 1,000 times a power of ten.")] = 1_000_000,
    steps: Annotated[int, typer.Option(help="Training steps of 64 windows in each of two passes.")] = 100,
    rounds: Annotated[int, typer.Option(help="How often each world is trained on; the best counts.")] = 3,
    smoke: Annotated[bool, typer.Option(help="Tiny sizes, to see that all runs; enforces nothing.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write everything into this folder instead.")] = None,
) -> None:
    """Measure, write docs/measured/bench_growth.json and the region of docs/performance.md; fails beyond the bound."""
    use_two_cores()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    users, smallest = 2_400, 1_000
    if smoke:
        users, smallest, largest, items, steps, rounds = 60, 300, 10, 300, 3, 1
    worlds = {size: size * users for size in powers(1, largest)}
    run = (lambda function, *arguments: function(*arguments)) if smoke else in_child
    store, page = MEASURED, ROOT / "docs" / "performance.md"
    if out:
        store, page = out, out / "performance.md"
        write_text(page, "<!-- growth: begin -->\n<!-- growth: end -->\n")
    world = world_rows(worlds, (out or ROOT / "build") / "growth", steps, rounds, run)
    catalogue = catalogue_rows(powers(smallest, items), run)
    settings = {"users at 1x": users, "steps": steps, "rounds": rounds, "windows a step": 64, "length": LENGTH}
    settings |= {"width": WIDTH, "catalogue: windows a step": WINDOWS, "draws": DRAWS, "CPU cores": 2}
    write_json(store / "bench_growth.json", {"world": world, "catalogue": catalogue, "settings": settings})
    write_region(page, "growth", markdown(world, catalogue))
    beyond = [
        f"{row['world']}: {name} {row[name]}"
        for row in world
        for name in ("windows/CPU s ratio", "peak MB ratio")
        if abs(row[name] - 1) > BOUND
    ]
    if beyond:
        message = f"more than {BOUND:.0%} away from the smallest world: {', '.join(beyond)}"
        if not smoke:
            raise CourseError(message)
        print(message)


def powers(first: int, last: int) -> list[int]:
    """first, 10 * first, ... up to last."""
    return [first * 10**power for power in range(20) if first * 10**power <= last]


def rounded(row: dict) -> dict:
    """Three digits, and all digits before the point."""

    def short(value):
        if not isinstance(value, float):
            return value
        return float(f"{value:.3g}") if abs(value) < 100 else round(value)

    return {name: short(value) for name, value in row.items()}


def with_ratios(rows: list[dict], names: list[str]) -> list[dict]:
    """Each of these figures also as a multiple of the one in the first row; what did not fit has none."""
    known = rows[0]
    return [
        rounded(row | {f"{name} ratio": row[name] / known[name] for name in names if row[name] and known[name]})
        for row in rows
    ]


# A larger world -------------------------------------------------------------------------------------------------------


class Steps(keras.utils.PyDataset):
    """So many batches as one epoch, passing through the data as often as that takes."""

    in_order = True

    def __init__(self, data: EpochData, steps: int):
        super().__init__()
        self.data, self.steps, self.busy = data, steps, []

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int):
        if index and index % len(self.data) == 0:
            self.data.on_epoch_end()
        return self.data[index % len(self.data)]

    def on_epoch_end(self) -> None:
        self.busy.append(time.process_time())
        self.data.on_epoch_end()


def world_rows(worlds: dict[int, int], folder: Path, steps: int, rounds: int, run: Callable) -> list[dict]:
    """One row a world: what it is, how fast and in how much memory it is trained on and was written."""
    paths = {size: folder / f"{users}.parquet" for size, users in worlds.items()}
    for size, users in worlds.items():
        if not (paths[size].exists() and paths[size].with_suffix(".json").exists()):
            print(f"writing {users:,} users", flush=True)
            write_json(paths[size].with_suffix(".json"), in_child(write, paths[size], users))
    trained = {size: [] for size in worlds}
    for number in range(rounds):
        for size, path in paths.items():
            trained[size].append(run(train, path, steps))
            print(f"round {number + 1}, {size}x: {rounded(trained[size][-1])}", flush=True)
    rows = []
    for size, path in paths.items():
        best = {name: max(run[name] for run in trained[size]) for name in ("windows/s", "windows/CPU s")}
        best |= {"peak MB": float(np.median([run["peak MB"] for run in trained[size]]))}
        told = {"users": worlds[size], "interactions": pq.read_metadata(path).num_rows}
        written = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        rows.append({"world": f"{size}x"} | told | {"disk MB": path.stat().st_size / 1e6} | best | written)
    return with_ratios(rows, ["windows/s", "windows/CPU s", "peak MB"])


def write(path: Path, users: int) -> dict:
    start = time.perf_counter()
    parquet_windows.write_interactions(path, users)
    return {"write s": time.perf_counter() - start, "write peak MB": _peak_memory()}


def train(path: Path, steps: int) -> dict:
    """Three passes of so many steps; the first compiles and does not count."""
    keras.utils.set_random_seed(7)
    model = self_attention.next_item_transformer(1200, LENGTH)
    model.compile(keras.optimizers.Adam(1e-3), next_item.next_item_loss())
    data = Steps(parquet_windows.ParquetWindows(path, LENGTH), steps)
    log = fit(model, data, epochs=3, lines=0)
    speed, memory = log["rows per second"].iloc[1:].max(), log["peak memory, MB"].iloc[-1]
    windows = steps * data.data.batch_size
    return {"windows/s": speed, "windows/CPU s": windows / np.diff(data.busy).min(), "peak MB": memory}


# A larger catalogue ---------------------------------------------------------------------------------------------------


def catalogue_rows(sizes: list[int], run: Callable) -> list[dict]:
    """One row a catalogue: CPU ms and peak MB of a training step each way, and what a search costs."""
    rows = []
    for items in sizes:
        row = {"items": items, "table MB": table_memory(items, 1), "with gradient and Adam MB": table_memory(items, 4)}
        for way in WAYS:
            free = min(MOST, 0.8 * psutil.virtual_memory().available / 1e6)
            fits = needed_memory(way, items) < free
            measured = run(step, way, items) if fits else {"CPU ms": None, "peak MB": None}
            row |= {f"{way} {name}": value for name, value in measured.items()}
        row |= run(search, items)
        rows.append(row)
        print(rounded(row), flush=True)
    return with_ratios(rows, [f"{way} CPU ms" for way in WAYS] + ["exact ms", "index ms"])


def table_memory(items: int, copies: int) -> float:
    """MB of so many copies of the item embedding in 32 bits."""
    return copies * 4 * WIDTH * (items + 1) / 1e6


def needed_memory(way: str, items: int) -> float:
    """MB that a training takes at most: Adam's copies of the table, and the logits with two more of their size."""
    logits = 4 * WINDOWS * LENGTH * items / 1e6
    return PROCESS + table_memory(items, 5) + (3 * logits if way == "full" else 0)


def popularities(items: int) -> np.ndarray:
    """Zipf's law, as of the items of an InterestWorld: chances of the items 1, 2, ..., shape (items,)."""
    weights = np.arange(1, items + 1) ** -0.8
    return weights / weights.sum()


def step(way: str, items: int, budget: float = 10.0) -> dict:
    """CPU ms of the cheapest of at least five training steps, and peak memory of the process."""
    keras.utils.set_random_seed(7)
    chances, rng, taken = popularities(items), np.random.default_rng(7), []
    model, loss = self_attention.next_item_transformer(items, LENGTH, width=WIDTH), next_item.next_item_loss()
    if way != "full":
        model, loss = sampled_softmax.SampledSoftmax(model, chances, draws=DRAWS), None
    model.compile((keras.optimizers.SGD if way == "SGD" else keras.optimizers.Adam)(1e-3), loss)
    ends = np.cumsum(chances)
    while len(taken) < 7 or (sum(taken) < budget and len(taken) < 100):
        drawn = np.minimum(1 + np.searchsorted(ends, rng.random((WINDOWS, LENGTH + 1))), items).astype("int32")
        busy = time.process_time()
        model.train_on_batch(drawn[:, :-1], drawn[:, 1:])
        taken.append(time.process_time() - busy)
    return {"CPU ms": 1000 * min(taken[2:]), "peak MB": _peak_memory()}


def search(items: int) -> dict:
    """Ms a query for the ten largest dot products, by looking at all vectors and by the course's index.

    The vectors are drawn around one centre to a hundred items, as far from it as the centres are from 0, and have
    length 1: real items lie in groups, and where there are none no index can leave anything out.
    """
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((max(1, items // 100), WIDTH), dtype="float32")

    def points(number: int) -> np.ndarray:
        near = centres[rng.integers(len(centres), size=number)] + rng.standard_normal((number, WIDTH), dtype="float32")
        return near / np.linalg.norm(near, axis=1, keepdims=True)

    vectors, queries = points(items), points(QUERIES)
    start = time.perf_counter()
    index = retrieval.approximate_index(vectors)
    build = time.perf_counter() - start
    ways = {
        "exact": lambda query: np.argpartition(vectors @ query, -TOP)[-TOP:],
        "index": lambda query: index.search(query[None], TOP)[1][0],
    }
    found, seconds = {}, {name: [] for name in ways}
    for _ in range(3):
        for name, way in ways.items():
            start = time.perf_counter()
            found[name] = [way(query) for query in queries]
            seconds[name].append(time.perf_counter() - start)
    recall = np.mean([np.isin(*pair).mean() for pair in zip(found["exact"], found["index"], strict=True)])
    costs = {f"{name} ms": 1000 * min(taken) / QUERIES for name, taken in seconds.items()}
    return costs | {"recall@10": float(recall), "build s": build, "index MB": index_size(index)}


def index_size(index) -> float:
    import faiss

    return faiss.serialize_index(index).nbytes / 1e6


# The page -------------------------------------------------------------------------------------------------------------


def markdown(world: list[dict], catalogue: list[dict]) -> str:
    """Three tables, each with a line that reads it, made from the figures."""
    last, size = world[-1], catalogue[-1]
    growth = last["interactions"] / world[0]["interactions"]
    lines = [
        "Next-item training from the disk, the same number of steps on each world (in brackets: times the first row).",
        "",
        *table(
            world,
            {"world": "World", "users": "Users", "interactions": "Interactions", "disk MB": "MB on disk"}
            | {
                "windows/s": "Windows a second",
                "windows/CPU s": "Windows a CPU second",
                "peak MB": "Peak MB",
                "write s": "Writing, s",
            }
            | {"write peak MB": "Writing, peak MB"},
        ),
        "",
        f"With {growth:.0f} times the interactions, training does {last['windows/CPU s ratio']:.2f} times as "
        f"many windows a CPU second ({last['windows/s ratio']:.2f} times by the clock), in "
        f"{last['peak MB ratio']:.2f} times the memory.",
        "",
        f"One training step of {WINDOWS} windows of {LENGTH} items, width {WIDTH}: full softmax, {DRAWS} drawn items "
        "instead, and these with an optimiser that writes only the rows it was given. Memory of the table is "
        "arithmetic; the peak is of the whole process, and its first gigabyte is Python and TensorFlow.",
        "",
        *table(
            catalogue,
            {"items": "Items", "full CPU ms": "Full softmax, Adam: CPU ms", "sampled CPU ms": "Sampled, Adam: CPU ms"}
            | {"SGD CPU ms": "Sampled, SGD: CPU ms", "table MB": "Table, MB"}
            | {"with gradient and Adam MB": "With gradient and Adam, MB"}
            | {
                f"{way} peak MB": f"Peak MB, {name}" for way, name in zip(WAYS, ("full", "sampled", "SGD"), strict=True)
            },
        ),
        "",
        f"From {catalogue[0]['items']:,} to {size['items']:,} items a step takes "
        + ", ".join(
            f"{ratio:,g} times the CPU {name}"
            if (ratio := size.get(f"{way} CPU ms ratio"))
            else f"(no memory for it) {name}"
            for way, name in zip(WAYS, ("with the full softmax", "sampled with Adam", "sampled with SGD"), strict=True)
        )
        + ".",
        "",
        "The ten items with the largest dot products, one query at a time: all vectors, and the index of lesson 08. "
        "The vectors lie in groups of about a hundred.",
        "",
        *table(
            catalogue,
            {"items": "Items", "exact ms": "All vectors, ms", "index ms": "Index, ms", "recall@10": "Recall@10"}
            | {"build s": "Building, s", "index MB": "Index, MB"},
        ),
        "",
        f"At {size['items']:,} items the index takes {size['index ms'] / size['exact ms']:.2f} times as long as "
        f"looking at all, and finds {size['recall@10']:.0%} of the ten.",
    ]
    return "\n".join(lines)


def table(rows: list[dict], columns: dict[str, str]) -> list[str]:
    """A Markdown table of these columns; a ratio stands in brackets after its figure."""

    def cell(row: dict, name: str) -> str:
        value = row[name]
        if value is None:
            return "did not fit"
        text = value if isinstance(value, str) else f"{value:,}"
        return f"{text} ({row[f'{name} ratio']:,g}x)" if f"{name} ratio" in row else text

    head = [f"| {' | '.join(columns.values())} |", "|---" * len(columns) + "|"]
    return head + [f"| {' | '.join(cell(row, name) for name in columns)} |" for row in rows]


if __name__ == "__main__":
    try:
        typer.run(main)
    except CourseError as error:
        sys.exit(str(error))
