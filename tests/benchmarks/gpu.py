"""`make bench-gpu`: the course on a GPU. Every model in full, training steps beside PyTorch's, the card's own rates.

Each measurement has a process of its own, so that one that runs out of memory does not end the others, and is kept in
the folder --out, so that a killed run goes on where it was. KERAS_BACKEND says on what Keras runs; without it, the
first of TensorFlow, JAX and PyTorch that is installed and sees a GPU. `--smoke` tries the command, on a CPU too.
"""

import hashlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from course_tools.author.readme import write_region
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.bootstrap import bootstrap_interval
from recsys_helpers.evaluation.ranks import ndcg
from recsys_helpers.evaluation.results import as_text
from recsys_helpers.files import write_json, write_text
from recsys_helpers.paths import MEASURED, ROOT

HERE = Path(__file__).parent
PARTS = ("models", "throughput", "limits", "report")
COURSE = {"items": 1682, "length": 50, "width": 64, "heads": 2, "blocks": 1, "units": 128}
LARGE = {"items": 50_000, "length": 200, "width": 512, "heads": 8, "blocks": 4, "units": 512}
MINILM = {"items": 30_522, "width": 384, "heads": 12, "blocks": 6, "inner": 1536, "classes": 8}
TINY = {"items": 30, "length": 6, "width": 8, "heads": 2, "blocks": 1, "units": 8, "inner": 16, "classes": 3}
CASES = [  # (model, size's name, size, windows in a batch, steps in a round)
    *[(case, "course", COURSE, 64, 256) for case in ("self-attention", "GRU", "LSTM")],
    ("BERT", "course", MINILM | {"length": 32}, 32, 64),
    *[(case, "large", LARGE, 1024, 16) for case in ("self-attention", "GRU", "LSTM")],
    ("BERT", "large", MINILM | {"length": 128}, 256, 16),
]
SMOKE_CASES = [(case, "tiny", TINY, 8, 4) for case in ("self-attention", "BERT")]
TURNS, ROUNDS = 2, 5  # the programs take turns; rounds in a turn, after the one that compiles
NOT_THERE = "PyTorch is not installed: compared with nothing."


class Bench:
    """Where results are kept, and on which machine and sources they were measured: with others, they are not used."""

    def __init__(self, folder: Path, smoke: bool, seeds: list[int], machine: dict):
        self.folder, self.smoke, self.seeds, self.machine = folder, smoke, seeds, machine
        sources = sorted([*(ROOT / "recsys_helpers").rglob("*.py"), *HERE.glob("*_side.py")])
        self.sources = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()

    def kept(self, name: str, side: str, function: str, **arguments) -> dict:
        """What this function of a side gives, called in a fresh process unless that was done before."""
        path = self.folder / "kept" / f"{name}.json"
        key = [side, function, arguments, self.machine, self.sources]
        if path.exists() and (before := json.loads(path.read_text("utf-8")))["key"] == key:
            return before["found"]
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"{name} ...", flush=True)
        found = call(side, function, path.with_suffix(".log"), **arguments)
        write_json(path, {"key": key, "found": found})
        return found


def call(side: str, function: str, log: Path, **arguments) -> dict:
    """Run one function of a side in a fresh process; {"out of memory": True} where the GPU is too small."""
    command = [sys.executable, HERE / f"{side}_side.py", function, json.dumps(arguments)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with open(log, "w") as errors:
        environment = os.environ | {"PYTHONPATH": paths}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8")
    if done.returncode:
        reason = (log.read_text("utf-8", "replace").strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise CourseError(f"{side}_side.py {function} stopped: {reason}; see {log}")
    return json.loads(done.stdout.splitlines()[-1])


def find_machine(folder: Path, smoke: bool) -> dict:
    """The GPU and the backend to measure with; of several backends the first that sees a GPU."""
    wanted = os.environ.get("KERAS_BACKEND")
    backends = (
        [wanted] if wanted else [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for os.environ["KERAS_BACKEND"] in backends:
        found.append(call("keras", "machine", folder / "machine.log"))
        if found[-1]["card"]:
            return found[-1]
    if not smoke or not found:
        raise CourseError(f"no GPU is seen by {' or '.join(backends) or 'any backend'}; to try the command: --smoke")
    os.environ["KERAS_BACKEND"] = backends[0]
    return found[0]


def models(bench: Bench) -> dict:
    """The leaderboard's protocol, with every seed: rows by data set and model, and what failed."""
    from recsys_helpers.evaluation import leaderboard  # imports Keras, whose backend is chosen by now

    logs, chosen, profile = leaderboard.read_logs(), leaderboard.choose([]), "full"
    if bench.smoke:
        world = leaderboard.load_interest_world()
        few = world.interactions[world.interactions["user_id"] <= 40]
        logs = {"world": leaderboard.log_of(replace(world, interactions=few))}
        chosen, profile = leaderboard.choose(["popularity", "matrix factorisation"]), "smoke"
    place = bench.folder / "_".join(str(value).replace(" ", "-") for value in bench.machine.values())
    runs, failed = [], []
    for seed in bench.seeds:
        outcomes, bad = leaderboard.run(logs, chosen, profile, seed, place)
        runs.append(outcomes)
        failed += [f"seed {seed}, {text}" for text in bad]
    rows = []
    for data, log in logs.items():
        for model in chosen:
            done = [run[data][model] for run in runs if model in run[data]]
            if not done:
                continue
            gain = np.mean([ndcg(outcome["ranks"]) for outcome in done], axis=0)
            row = {"data": log.name, "model": model, "seeds": len(done)}
            row["NDCG@10"] = [round(x, 4) for x in bootstrap_interval(gain)]
            row |= {name: round(statistics.mean(outcome[name] for outcome in done), 1) for name in ("seconds", "MB")}
            rows.append(row)
    return {"rows": rows, "failed": failed}


def throughput(bench: Bench) -> dict:
    """Windows per second of the course's training and of PyTorch's; the batch is halved until both fit."""
    rows, failed = [], []
    peer = importlib.util.find_spec("torch") is not None
    for case in SMOKE_CASES if bench.smoke else CASES:
        try:
            rows.append(beside(bench, peer, *case))
        except CourseError as error:
            failed.append(f"{case[0]}, {case[1]}: {error}")
    return {"rows": rows, "failed": failed, "peer": peer}


def beside(bench: Bench, peer: bool, case: str, name: str, size: dict, batch: int, steps: int) -> dict:
    rounds = 1 if bench.smoke else ROUNDS
    sides = ["keras", "torch"] if peer else ["keras"]
    while batch:
        run = {side: [] for side in sides}
        for turn in range(1 if bench.smoke else TURNS):
            for side in sides:
                extra = {"compile": not bench.smoke} if side == "torch" else {}
                label = f"throughput-{case}-{name}-{batch}-{side}-{turn + 1}"
                work = {"case": case, "size": size, "batch": batch, "steps": steps, "rounds": rounds}
                run[side].append(bench.kept(label, side, "speed", **work, **extra))
                if "out of memory" in run[side][-1]:
                    break
            if any("out of memory" in found for done in run.values() for found in done):
                break
        else:
            return compared(case, name, size, batch, run)
        batch //= 2
    raise CourseError("not even a batch of one window fits")


def compared(case: str, name: str, size: dict, batch: int, run: dict[str, list[dict]]) -> dict:
    """One row of the table, from what each side found at each turn."""
    parameters = {side: done[0]["parameters"] for side, done in run.items()}
    if len(set(parameters.values())) > 1:
        raise CourseError(f"the models differ, their numbers of parameters are {parameters}")
    speeds = {
        side: statistics.median(np.ravel([found["windows per second"] for found in done])) for side, done in run.items()
    }
    work = {"FLOP": 6 * run["keras"][0]["multiply_adds"], "bytes": least_bytes(case, size, batch, parameters["keras"])}
    row = {"model": case, "size": name, "batch": batch, "length": size["length"], "parameters": parameters["keras"]}
    row |= {"windows/s": speeds["keras"], "TFLOP/s": work["FLOP"] * speeds["keras"] / batch / 1e12}
    row |= {"GB/s": work["bytes"] * speeds["keras"] / batch / 1e9, "MB": max(found["MB"] for found in run["keras"])}
    if "torch" in run:
        row |= {"PyTorch windows/s": speeds["torch"], "PyTorch MB": max(found["MB"] for found in run["torch"])}
        row |= {"ratio": speeds["keras"] / speeds["torch"], "PyTorch": run["torch"][0]["version"]}
    return row


def least_bytes(case: str, size: dict, batch: int, parameters: int) -> int:
    """What a step has to move at least: Adam's part, and the logits, which do not stay in a cache.

    The gradient is written; it, the weights and both moments are read; weights and moments are written, all in 32
    bits. Logits of 16 bits are written and read, their gradient is written, and read for each of two products.
    """
    logits = 0 if case == "BERT" else batch * size["length"] * (size["items"] + 1)
    return 8 * 4 * parameters + 5 * 2 * logits


def limits(bench: Bench) -> dict:
    """The card's own rates, and the largest batch of the large model."""
    work = {"edge": 256, "numbers": 2**20} if bench.smoke else {"edge": 8192, "numbers": 2**28}
    rates = bench.kept("limits-rates", "keras", "rates", **work)
    case, _, size, start, _ = (SMOKE_CASES if bench.smoke else CASES[4:])[0]

    def fits(batch: int) -> bool:
        work = {"case": case, "size": size, "batch": batch, "steps": 2, "rounds": 1}
        return "out of memory" not in bench.kept(f"limits-batch-{batch}", "keras", "speed", **work)

    cap = start if bench.smoke else 64 * start  # no run is sent into what a processor's memory does not hold
    return rates | {"largest batch": largest(fits, start, cap), "cap": cap, "model": case, "size": size, "failed": []}


def largest(fits: Callable[[int], bool], start: int, cap: int) -> int:
    """The largest batch that fits, to an eighth, by doubling and bisecting; at most `cap`, 0 where none fits."""
    good, bad = 0, start
    while bad <= cap and fits(bad):
        good, bad = bad, 2 * bad
    while bad <= cap and bad - good > max(1, good // 8):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def report(folder: Path) -> tuple[dict, str]:
    """All parts that were measured into this folder, and the same as Markdown."""
    parts = {name: json.loads(path.read_text("utf-8")) for name in PARTS if (path := folder / f"{name}.json").exists()}
    if not parts:
        raise CourseError(f"nothing is measured in {folder}; run the command without --part first")
    lines = []
    for machine in {json.dumps(part["machine"]): part["machine"] for part in parts.values()}.values():
        lines += [machine_text(machine), ""]
    for name, text in {"models": models_text, "throughput": throughput_text, "limits": limits_text}.items():
        if name not in parts:
            lines += [f"Not measured yet: {name}.", ""]
            continue
        if len(parts[name]) > 2:  # more than the machine and what failed
            lines += text(parts)
        lines += [f"Failed: {name}: {reason}" for reason in parts[name]["failed"]] + [""] * bool(parts[name]["failed"])
    return parts, "\n".join(lines).rstrip()


def machine_text(machine: dict) -> str:
    return "Measured on {} with Keras {keras} on {backend} {version}.".format(machine["card"] or "a CPU", **machine)


def models_text(parts: dict) -> list[str]:
    lines = [
        "Every model in the leaderboard's protocol; NDCG@10 is the mean of the seeds, with its 95% interval over users."
    ]
    lines += ["", "| Data | Model | Seeds | NDCG@10 | Seconds | Peak MB |", "|---|---|---|---|---|---|"]
    for row in parts["models"]["rows"]:
        figures = as_text(row["NDCG@10"]), f"{row['seconds']:.1f}", f"{row['MB']:,.0f}"
        lines.append(f"| {row['data']} | {row['model']} | {row['seeds']} | {' | '.join(figures)} |")
    return [*lines, ""]


def throughput_text(parts: dict) -> list[str]:
    rates, peer = parts.get("limits", {}), parts["throughput"]["peer"]
    columns = ["Model", "Size", "Batch", "Windows/s", "TFLOP/s", "Share of the matrix rate", "GB/s at least"]
    columns += ["Share of the memory rate", "Peak MB"] + [
        "PyTorch windows/s",
        "PyTorch peak MB",
        "Times as fast",
    ] * peer
    lines = ["Training, with data from Python in each step; median of rounds.", ""]
    lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in parts["throughput"]["rows"]:
        shares = [f"{row[unit] / rates[unit]:.1%}" if unit in rates else "" for unit in ("TFLOP/s", "GB/s")]
        cells = [row["model"], row["size"], f"{row['batch']} x {row['length']}", f"{row['windows/s']:,.0f}"]
        cells += [f"{row['TFLOP/s']:.4g}", shares[0], f"{row['GB/s']:.4g}", shares[1], f"{row['MB']:,.0f}"]
        if peer:
            cells += [f"{row['PyTorch windows/s']:,.0f}", f"{row['PyTorch MB']:,.0f}", f"{row['ratio']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    versions = sorted({row["PyTorch"] for row in parts["throughput"]["rows"] if peer})
    against = (
        f"PyTorch {', '.join(versions)}: torch.compile, the same shapes, precision and Adam." if peer else NOT_THERE
    )
    return [*lines, "", against, ""]


def limits_text(parts: dict) -> list[str]:
    found = parts["limits"]
    bound = "at least " if found["largest batch"] == found["cap"] else ""
    rates = f"The machine's own rates: {found['TFLOP/s']:.4g} TFLOP/s in matrices of {found['matrices']}, "
    rates += f"{found['GB/s']:.4g} GB/s in reading and writing memory."
    return [rates, f"Largest batch of the large {found['model']}: {bound}{found['largest batch']} windows.", ""]


def main(
    part: Annotated[list[str] | None, typer.Option(help=f"{', '.join(PARTS)}; all by default.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of the models, with commas between.")] = "7,8,9",
    out: Annotated[Path | None, typer.Option(help="Folder of results, where a killed run goes on.")] = None,
    smoke: Annotated[bool, typer.Option(help="Tiny sizes, a CPU will do; writes into --out alone.")] = False,
) -> None:
    """Measure, keep part by part, write the report; fails in the end if a part did."""
    wrong = set(part or PARTS) - set(PARTS)
    if wrong or not all(seed.strip().isdigit() for seed in seeds.split(",")):
        raise CourseError(f"parts are {', '.join(PARTS)}; seeds are whole numbers such as 7,8,9")
    folder = out or ROOT / "build" / ("bench-gpu-smoke" if smoke else "bench-gpu")
    measured = [name for name in PARTS[:-1] if not part or name in part]
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.92")  # of the card; JAX takes 0.75 by itself
    failed = []
    if measured:
        machine = find_machine(folder, smoke)
        bench = Bench(folder, smoke, [int(seed) for seed in seeds.split(",")], machine)
        print(machine_text(machine), flush=True)
    for name in measured:
        try:
            found = globals()[name](bench)
        except Exception as error:  # of whatever kind: the others go on, and the command fails in the end
            found = {"failed": [f"{type(error).__name__}: {error}"]}
        write_json(folder / f"{name}.json", {"machine": machine, **found})
        failed += [f"{name}: {reason}" for reason in found["failed"]]
    parts, text = report(folder)
    write_json(folder / "bench_gpu.json", parts)
    write_text(folder / "bench_gpu.md", text + "\n")
    if not smoke:
        write_json(MEASURED / "bench_gpu.json", parts)
        write_region(ROOT / "docs" / "performance.md", "gpu", text)
    print(text)
    if failed:
        raise CourseError(f"{len(failed)} failed: {'; '.join(failed)}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except CourseError as error:
        sys.exit(str(error))
