"""`make bench-recbole`: how long RecBole and the course's models train for the same validation NDCG@10.

RecBole trains each model for a budget of seconds; its best NDCG@10 is the target. The course's model then trains until
it reaches that, with three seeds, of which the one in the middle counts. Shape, dropout, learning rate, data, split,
metric and two CPU cores are the same. Seconds count training without evaluation; the course's begin before its model
is built, so compilation is in. CPU seconds, of all threads, are measured too: other work moves them less.

RecBole has an environment of its own, build/recbole-env, which pip fills: 1.6 GB with PyTorch's CPU build. On Linux
with x86-64, PyPI has PyTorch with CUDA only, some 3 GB more to download: let pip's own settings, such as
PIP_FIND_LINKS, name a place that has the CPU build.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from course_tools.author.readme import write_readme
from recsys_helpers.data.movielens import load_movielens
from recsys_helpers.data.splits import NextItemSplit, leave_one_out
from recsys_helpers.errors import CourseError
from recsys_helpers.files import replacing, write_json
from recsys_helpers.paths import MEASURED, ROOT

BUILD = ROOT / "build"
RECBOLE = "recbole==1.2.1"
REQUIREMENTS = [RECBOLE, "torch==2.13.0", "numpy<2", "pandas<2.3", "scipy<1.14", "setuptools<80"]  # newest it takes
PEER = {"self-attention": "SASRec", "GRU": "GRU4Rec"}
NDCG = "NDCG@10"
LENGTH, SEEDS = 50, (7, 8, 9)
TIMES_FASTER = 5  # at least


class Done(Exception):
    """Ends `fit` from within its validation."""


def main(
    budget: Annotated[float, typer.Option(help="Seconds that RecBole may train each model.")] = 600,
    model: Annotated[list[str] | None, typer.Option(help="self-attention or GRU; both by default.")] = None,
) -> None:
    """Measure, show a table, write it into datasets and README; fails unless the course is five times faster."""
    use_two_cores()
    python = recbole_environment()
    data = load_movielens()
    split = leave_one_out(data.ratings, data.films["film_id"])
    rows = []
    for name in model or PEER:
        print(f"RecBole's {PEER[name]} trains for {budget:.0f} s", flush=True)
        theirs = best([row for row in recbole_epochs(python, name, split, budget) if row["seconds"] <= budget])
        if not theirs:
            raise CourseError(f"RecBole's {PEER[name]} trained no epoch in {budget:.0f} s; give a larger --budget")
        print(f"the course's {name} trains until {NDCG} is {theirs[NDCG]:.4f}", flush=True)
        runs = [best(our_epochs(name, split, theirs[NDCG], budget, seed)) for seed in SEEDS]
        ours = sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
        reached = all(run[NDCG] >= theirs[NDCG] for run in runs)  # a ratio of 0 says that a seed never did
        ratios = {key: theirs[of] / ours[of] * reached for key, of in (("ratio", "seconds"), ("CPU ratio", "cpu"))}
        rows.append({"model": name, "library": RECBOLE, **theirs, "ratio": 1.0, "CPU ratio": 1.0})
        rows.append({"model": name, "library": "this course", **ours, **ratios})
    table = pd.DataFrame(rows).rename(columns={NDCG: f"{NDCG} validation", "epoch": "epochs"})
    table = table.round({f"{NDCG} validation": 4, "seconds": 1, "cpu": 1, "ratio": 1, "CPU ratio": 1})
    write_json(MEASURED / "recbole_speed.json", table.to_dict("records"))
    write_readme()
    print(table.to_string(index=False))
    slow = [f"{row['model']} {row['ratio']:.1f}" for row in rows[1::2] if row["ratio"] < TIMES_FASTER]
    if slow:
        raise CourseError(f"less than {TIMES_FASTER} times faster than RecBole: {', '.join(slow)}")


def best(epochs: list[dict]) -> dict | None:
    return max(epochs, key=lambda epoch: epoch[NDCG], default=None)


def use_two_cores() -> None:
    """For this process and those that it starts; TensorFlow must not have started yet."""
    os.environ |= dict.fromkeys(["OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"], "2")
    # OpenMP's threads, RecBole's, spin while they wait, which makes them far slower where another program wants a core
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "OMP_WAIT_POLICY": "PASSIVE"}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


def recbole_environment() -> Path:
    """The Python of build/recbole-env, installed first if it is not there."""
    if sys.version_info[:2] != (3, 11):
        raise CourseError(
            "RecBole 1.2.1 installs on Python 3.11 only; make .venv with it: make clean, make doctor PYTHON=python3.11"
        )
    return environment("recbole-env", REQUIREMENTS)


def environment(name: str, requirements: list[str]) -> Path:
    """The Python of a peer's own environment build/`name`, which pip fills first if it does not hold just these."""
    folder = BUILD / name
    python, stamp = folder / "bin" / "python", folder / "ready.json"
    if stamp.exists() and json.loads(stamp.read_text()) == requirements:
        return python
    print(f"installing {requirements[0]} and PyTorch into {folder}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    log = folder / "pip.log"
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--log", log, *requirements]
    if subprocess.run(pip, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        raise CourseError(f"pip could not install {requirements[0]}: see {log}")
    write_json(stamp, requirements)
    return python


def write_films(split: NextItemSplit) -> Path:
    """The split in RecBole's format; returns its data folder."""
    folder = BUILD / "recbole"
    places = [(user, item, place) for user, items in enumerate(split.sequences) for place, item in enumerate(items)]
    # the place stands for the time: RecBole's has 32 bits, and would not keep ties in the order of the file
    header = ["user_id:token", "item_id:token", "time:float"]
    with replacing(folder / "films" / "films.inter") as file:
        pd.DataFrame(places, columns=header).to_csv(file, sep="\t", index=False)
    return folder


def recbole_epochs(python: Path, name: str, split: NextItemSplit, budget: float) -> list[dict]:
    """One row an epoch: epoch, seconds, NDCG@10."""
    folder = write_films(split)
    command = [python, "-W", "ignore", Path(__file__).with_name("recbole_side.py"), PEER[name], folder, str(budget)]
    log = folder / f"{PEER[name]}.log"
    with open(log, "w") as errors:
        done = subprocess.run(
            command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=errors
        )
    if done.returncode:
        raise CourseError(f"RecBole's {PEER[name]} stopped: see {log}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


def clocks() -> np.ndarray:
    """Seconds by the clock, and seconds of CPU in all threads of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def our_epochs(name: str, split: NextItemSplit, target: float, budget: float, seed: int) -> list[dict]:
    """One row an epoch, until the target is reached or the budget spent."""
    from recsys_helpers.models import next_item
    from recsys_helpers.models.recurrent import next_item_rnn
    from recsys_helpers.models.self_attention import next_item_transformer
    from recsys_helpers.training.backend import keras
    from recsys_helpers.training.fit import fit

    keras.utils.set_random_seed(seed)
    rows, evaluation, start = [], np.zeros(2), clocks()

    def validate() -> dict[str, float]:
        nonlocal evaluation
        begin = clocks()
        figures = next_item.validation_metrics(model, split, LENGTH)
        seconds, cpu = map(float, begin - start - evaluation)
        rows.append({"epoch": len(rows) + 1, "seconds": seconds, "cpu": cpu, NDCG: figures[NDCG]})
        evaluation += clocks() - begin
        if figures[NDCG] >= target or rows[-1]["seconds"] >= budget:
            raise Done
        return figures

    if name == "GRU":
        model = next_item_rnn(split.n_items, "GRU", width=64, units=128)
    else:
        model = next_item_transformer(split.n_items, LENGTH, width=64, blocks=1, heads=2)
    model.compile(keras.optimizers.Adam(3e-3), next_item.next_item_loss())
    windows = next_item.Windows(split.history("validation"), LENGTH, seed=seed)
    with contextlib.suppress(Done):
        fit(model, windows, epochs=10_000, validate=validate, lines=0)
    return rows


if __name__ == "__main__":
    try:
        typer.run(main)
    except CourseError as error:
        sys.exit(str(error))
