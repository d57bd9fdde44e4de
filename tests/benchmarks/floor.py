"""Part one of `make bench`: how near the course's training steps and encoders come to the machine's own matrix rate.

The machine's rate is that of a large square float32 product in TensorFlow, measured between the rest. Each step runs as
`fit` runs it. Its matrix products are read off its graph and each is also run alone: the rate they reach so is
the ceiling of these shapes on this machine. TensorFlow's profiler tells where the rest of the step goes. MiniLM's
encoding takes turns with sentence-transformers, on the same weights, in an environment of its own.
"""

import json
import logging
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from recbole_speed import BUILD, ROOT, clocks, environment, use_two_cores

from course_tools.author.readme import write_region
from recsys_helpers.errors import CourseError
from recsys_helpers.files import write_json, write_text
from recsys_helpers.paths import MEASURED

PEER = "sentence-transformers==6.2.0"
REQUIREMENTS = [PEER, "transformers==5.23.0", "tokenizers==0.23.3", "torch==2.13.0", "numpy==2.4.6"]
BATCHES = (32, 128)  # of the peer: its default, and ours
CLOSE = 1e-3  # GELU by tanh (ours) and by erf (the peer's) differ by 5e-4 in a vector of length 1
GOAL = 0.5  # of the machine's rate
SQUARE, EXAMPLES = 2048, 6000
SMOKE_SQUARE, SMOKE_EXAMPLES = 256, 64
MULTIPLIES = ("MatMul", "BatchMatMulV2", "BatchMatMulV3")
ACCOUNT = {  # the first pattern that is found in "name of the op:its kind"
    "matrix products": r":\w*(MatMul|Einsum)\w*$",
    "loss": "compile_loss",
    "dropout": "dropout|Random",
    "optimiser": "adam",
    "recurrent gates and loop": "/(lstm|gru)_?\\d*/|while",
    "norms": "norm",
    "attention's softmax": "softmax",
    "other": "",
}


@dataclass(frozen=True)
class Product:
    """One matrix product of a graph: shapes of the factors, and which of them are transposed first, or an einsum."""

    a: tuple[int, ...]
    b: tuple[int, ...]
    transposed: tuple[bool, bool] = (False, False)
    equation: str = ""

    @property
    def multiply_adds(self) -> int:
        if self.equation:
            letters = zip(re.split(",|->", self.equation), (self.a, self.b), strict=False)
            return math.prod(dict(pair for term, shape in letters for pair in zip(term, shape, strict=True)).values())
        inner, rows = self.a[-2:] if self.transposed[0] else self.a[:-3:-1]
        return math.prod(np.broadcast_shapes(self.a[:-2], self.b[:-2])) * rows * inner * self.b[-1 - self.transposed[1]]

    def __str__(self) -> str:
        both = zip((self.a, self.b), self.transposed, strict=True)
        return " by ".join("x".join(map(str, shape)) + "ᵀ" * turned for shape, turned in both)


@dataclass
class Job:
    """Something to be timed: one training step, or the encoding of some texts."""

    name: str
    run: Callable
    products: Counter  # of `Product`, for its shapes
    operations: int  # floating-point, of the matrix products
    seconds: list[float] = field(default_factory=list)  # of every call


def main(
    rounds: Annotated[int, typer.Option(help="Everything takes so many turns; the best one counts.")] = 7,
    encodings: Annotated[int, typer.Option(help="Turns of the encoders, ours and the peer's.")] = 2,
    smoke: Annotated[bool, typer.Option(help="Tiny sizes, few turns, no peer, to see that all runs.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write everything into this folder instead.")] = None,
) -> None:
    """Write docs/measured/bench_floor.json and a region of docs/performance.md; fails where the peer is faster."""
    use_two_cores()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    store, page = MEASURED, ROOT / "docs" / "performance.md"
    if out:
        store, page = out, out / "performance.md"
        write_text(page, "<!-- floor: begin -->\n<!-- floor: end -->\n")
    if smoke:
        rounds, encodings = 2, 1
    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns of many functions, which are meant here
    square = (SMOKE_SQUARE if smoke else SQUARE,) * 2
    big = Product(square, square)
    steps = [*training_steps(smoke)]
    alone = {product: Alone(product) for product in {big, *(p for job in steps for p in job.products)}}
    print(f"{len(steps)} steps, {len(alone)} matrix products, {rounds} turns", flush=True)
    take_turns(steps, alone, rounds)
    machine = alone[big].rate
    found = {
        "machine": {"product": str(big), "GFLOP/s": machine},
        "steps": [{"step": job.name} | figures(job, alone, machine) for job in steps],
        "account": [account(job) for job in steps],
        "products": [row for job in steps[:2] for row in product_rows(job, alone, machine)],
    }
    impossible = [row["step"] for row in found["steps"] if row["share of ceiling"] > 1.05]
    if impossible and not smoke:
        raise CourseError(f"{impossible} ran faster than their products alone: other work disturbed this; run it again")
    found["encoders"], found["peer"] = encoders(smoke, encodings, big)
    write_json(store / "bench_floor.json", found)
    write_region(page, "floor", markdown(found))
    print(page.read_text("utf-8").split("<!-- floor: begin -->")[1].split("<!-- floor: end -->")[0])
    slow = [f"{row['texts']} {row['ratio']:.2f}" for row in found["peer"] if row["ratio"] < 1]
    far = [f"{row['texts']} {row['difference']:.1e}" for row in found["peer"] if row["difference"] > CLOSE]
    if slow or far:
        raise CourseError(f"beside {PEER}: slower on {slow or 'nothing'}, other vectors on {far or 'nothing'}")


def training_steps(smoke: bool):
    """The steps of the lessons, with their batches and optimizers."""
    from recsys_helpers.data.interest_world import LONGEST
    from recsys_helpers.models import multi_scenario, two_towers
    from recsys_helpers.models.bert import TextBatches, fine_tuning_model, load_encoder
    from recsys_helpers.models.next_item import next_item_loss
    from recsys_helpers.models.recurrent import next_interest_model, next_item_rnn
    from recsys_helpers.models.self_attention import next_item_transformer
    from recsys_helpers.training.backend import keras

    adam, rng = keras.optimizers.Adam, np.random.default_rng(0)
    batch, length, films, users, longest = (4, 8, 30, 20, 8) if smoke else (64, 50, 1682, 943, LONGEST)
    classes = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    window = [rng.integers(1, films + 1, (batch, length), dtype="int32") for _ in range(2)]
    for name, model in {
        "self-attention, next item": next_item_transformer(films, length),
        "LSTM, next item": next_item_rnn(films, "LSTM"),
        "GRU, next item": next_item_rnn(films, "GRU"),
    }.items():
        yield training_step(name, model, adam(3e-3), next_item_loss(), *window)
    events = tuple(rng.integers(1, top, (batch // 2, longest), dtype="int32") for top in (129, 9))
    interests = rng.integers(0, 8, (batch // 2, longest), dtype="int32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    yield training_step("LSTM, next interest", next_interest_model(), adam(5e-3), loss, events, interests)
    known, rows = rng.normal(size=(users, films)) * (rng.random((users, films)) < 0.06), 16 * batch
    towers = two_towers.two_towers(known, rng.normal(size=(users, 24)), rng.normal(size=(films, 19)))
    pairs = tuple(rng.integers(0, n, rows, dtype="int32") for n in (users, films))
    stars = rng.normal(size=rows).astype("float32")
    yield training_step("two towers", towers, adam(2e-3), "mse", (*pairs, stars), stars)
    fused = multi_scenario.scenario_model("attention over experts", 70, 8, 2)
    inputs = (*(rng.normal(size=(rows, n)).astype("float32") for n in (70, 8, 2)), rng.integers(0, 4, rows))
    taken = keras.losses.BinaryCrossentropy(from_logits=True)
    yield training_step("scenario fusion", fused, adam(4e-3), taken, inputs, (stars > 0).astype("float32")[:, None])
    texts, labels = world_comments(batch // 2), rng.integers(0, 8, batch // 2)
    for name in ("tiny",) if smoke else ("minilm", "tiny"):
        encoder = load_encoder(name)
        model = fine_tuning_model(encoder, 8, frozen_blocks=encoder.backbone.num_layers // 2 if name == "minilm" else 0)
        tokens, labels = TextBatches(encoder, texts, labels, batch_size=len(texts))[0]
        yield training_step(f"fine-tuning {name}", model, keras.optimizers.AdamW(1e-4), classes, tokens, labels)


def world_comments(number: int) -> list[str]:
    from recsys_helpers.data.interest_world import load_interest_world

    return [*load_interest_world().comments["text"][:number]]


def training_step(name: str, model, optimizer, loss, inputs, targets) -> Job:
    """Compiled by Keras for `fit`, fed with the same batch again and again."""
    import tensorflow as tf

    model.compile(optimizer, loss)
    batches = iter(tf.data.Dataset.from_tensors((inputs, targets)).repeat())
    model.make_train_function()
    spec = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), (inputs, targets))
    step = tf.function(model.train_step).get_concrete_function(spec)
    products = graph_products(step.graph, time_steps(inputs))
    operations = 2 * sum(product.multiply_adds * times for product, times in products.items())
    return Job(name, lambda: model.train_function(batches), products, operations)


def forward_products(model, inputs) -> Counter:
    """The matrix products of one forward pass, and how often each is done."""
    import tensorflow as tf

    spec = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), inputs)
    call = tf.function(lambda x: model(x, training=True)).get_concrete_function(spec)
    return graph_products(call.graph, time_steps(inputs))


def time_steps(inputs) -> int:
    import tensorflow as tf

    first = tf.nest.flatten(inputs)[0]
    return first.shape[1] if first.ndim > 1 else 1


def graph_products(graph, loop: int) -> Counter:
    """Of all ops that the outputs of the graph need; what stands in a loop is done `loop` times."""
    todo, needed, products = [*(x.op for x in graph.outputs), *graph.control_outputs], set(), Counter()
    while todo:
        op = todo.pop()
        if op not in needed:
            needed.add(op)
            todo += [*(x.op for x in op.inputs), *op.control_inputs]
    for op in needed:
        called = {"While": "body", "StatelessWhile": "body", "PartitionedCall": "f", "StatefulPartitionedCall": "f"}
        if op.type in MULTIPLIES:
            names = ("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y")
            products[Product(*(tuple(x.shape) for x in op.inputs), tuple(map(op.get_attr, names)))] += 1
        elif op.type in called:
            inner = graph._get_function(op.get_attr(called[op.type]).name).graph
            for product, times in graph_products(inner, loop).items():
                products[product] += times * (loop if "While" in op.type else 1)
        elif op.type == "Einsum" and len(op.inputs) == 2:
            products[Product(*(tuple(x.shape) for x in op.inputs), equation=op.get_attr("equation").decode())] += 1
    return products


@cache
def repeat(ranks: tuple[int, int], transposed: tuple[bool, bool], equation: str):
    """A compiled (a, b, times) that multiplies again and again; one for all shapes, since compiling takes longest."""
    import tensorflow as tf

    def multiply(a, b):
        if equation:
            return tf.einsum(equation, a, b)
        return tf.matmul(a, b, transpose_a=transposed[0], transpose_b=transposed[1])

    def run(a, b, times):
        out = multiply(a, b)
        for _ in tf.range(times - 1):
            tf.autograph.experimental.set_loop_options(parallel_iterations=1)
            out = multiply(a, b)
        return out

    factors = [tf.TensorSpec([None] * rank) for rank in ranks]
    return tf.function(run, input_signature=[*factors, tf.TensorSpec((), "int32")])


class Alone:
    """A product run alone, often enough for the clock, with nothing else in the graph."""

    def __init__(self, product: Product):
        import tensorflow as tf

        self.operations, self.best = 2 * product.multiply_adds, math.inf
        self.times = min(300, max(1, int(1e9 / self.operations)))  # some 10 ms
        self.arguments = [*(tf.random.normal(shape) for shape in (product.a, product.b)), tf.constant(self.times)]
        self.run = repeat((len(product.a), len(product.b)), product.transposed, product.equation)
        self.run(*self.arguments)

    def measure(self) -> None:
        start = time.perf_counter()
        self.run(*self.arguments)
        self.best = min(self.best, (time.perf_counter() - start) / self.times)

    @property
    def rate(self) -> float:
        """GFLOP/s"""
        return self.operations / self.best / 1e9


def take_turns(jobs: list[Job], alone: dict[Product, Alone], rounds: int) -> None:
    """Time everything once a round, so that other work on the machine hits all of it."""
    calls = {}
    for job in jobs:
        job.run()
        start = time.perf_counter()
        job.run()
        calls[job.name] = max(1, min(50, int(0.3 / (time.perf_counter() - start))))
    for _ in range(rounds):
        for product in alone.values():
            product.measure()
        for job in jobs:
            for _ in range(calls[job.name]):
                start = time.perf_counter()
                job.run()
                job.seconds.append(time.perf_counter() - start)


def figures(job: Job, alone: dict[Product, Alone], machine: float) -> dict:
    """Of the best turn: rates in GFLOP/s, and their shares of the machine's and of what the job's own shapes reach."""
    replayed = sum(alone[product].best * times for product, times in job.products.items())
    shapes = 2 * sum(product.multiply_adds * times for product, times in job.products.items())
    ceiling = shapes / replayed / 1e9
    rate = job.operations / min(job.seconds) / 1e9
    return {
        "GFLOP": job.operations / 1e9,
        "ms": 1000 * min(job.seconds),
        "median ms": 1000 * float(np.median(job.seconds)),
        "alone ms": 1000 * replayed * job.operations / shapes,
        "GFLOP/s": rate,
        "machine": machine,
        "share": rate / machine,
        "ceiling": ceiling,
        "share of ceiling": rate / ceiling,
    }


def product_rows(job: Job, alone: dict[Product, Alone], machine: float) -> list[dict]:
    """The products of a step that are at least a twentieth of its operations, alone."""
    return [
        {
            "step": job.name,
            "product": str(product),
            "times": times,
            "operations": 2 * product.multiply_adds * times / job.operations,
            "GFLOP/s": alone[product].rate,
            "share": alone[product].rate / machine,
        }
        for product, times in job.products.most_common()
        if 40 * product.multiply_adds * times >= job.operations
    ]


def account(job: Job, calls: int = 5) -> dict[str, float]:
    """Milliseconds of one step by what they go into, as TensorFlow's profiler sees its ops; ops may overlap."""
    from recsys_helpers.scale.cost import traced_ops

    took, spent = [], dict.fromkeys(ACCOUNT, 0.0)

    def timed():
        start = time.perf_counter()
        job.run()
        took.append(1000 * (time.perf_counter() - start))

    for name, ms in traced_ops(timed, calls):
        spent[next(part for part, pattern in ACCOUNT.items() if re.search(pattern, name))] += ms
    return {"step": job.name, **spent, "sum": sum(spent.values()), "step, ms": sum(took) / calls}


def encoders(smoke: bool, rounds: int, square: Product) -> tuple[list[dict], list[dict]]:
    """Rates of the encoders, and MiniLM beside the peer; each turn starts with the machine's own rate."""
    from recsys_helpers.data.movielens import film_texts, load_movielens
    from recsys_helpers.models.bert import load_encoder

    texts = {"comments": world_comments(SMOKE_EXAMPLES if smoke else EXAMPLES)}
    if not smoke:
        texts = {"film titles": film_texts(load_movielens().films)} | texts
    readers = {name: load_encoder(name) for name in (["tiny"] if smoke else ["minilm", "tiny"])}
    jobs = {(name, what): encoding(readers[name], what, texts[what]) for name in readers for what in texts}
    alone = {product: Alone(product) for product in {square, *(p for job in jobs.values() for p in job.products)}}
    rivals = []
    with nullcontext() if smoke else peer(texts) as ask:
        for _ in range(rounds):
            for product in alone.values():
                product.measure()
            for (name, what), job in jobs.items():
                start = clocks()
                job.run()
                seconds, cpu = clocks() - start
                job.seconds.append(seconds)
                if name == "minilm":
                    rivals.append({"texts": what, "batch": None, "seconds": seconds, "cpu": cpu})
                    rivals += [{"texts": what, "batch": size} | ask(what, size) for size in BATCHES]
        machine = alone[square].rate
        rows = [{"encoder": name, "texts": what} | figures(job, alone, machine) for (name, what), job in jobs.items()]
        if smoke:
            return rows, []
        return rows, [beside(what, pd.DataFrame(rivals), readers["minilm"], texts[what], ask) for what in texts]


def encoding(encoder, what: str, texts: list[str]) -> Job:
    """All batches' operations, padding included; the shapes are those of the batch in the middle."""
    from recsys_helpers.scale.cost import multiply_adds

    ids = sorted(encoder.token_ids(texts), key=len)
    batches = [ids[start : start + 128] for start in range(0, len(ids), 128)]
    operations = 2 * sum(multiply_adds(encoder.backbone, len(rows), len(rows[-1])) for rows in batches)
    products = forward_products(encoder.backbone, encoder.batch(batches[len(batches) // 2]))
    job = Job(f"{encoder.name}, {what}", lambda: encoder.encode(texts, cache=False), products, operations)
    encoder.encode(texts[:256], cache=False)
    return job


@contextmanager
def peer(texts: dict[str, list[str]]):
    """A function that lets the peer encode once: (texts, batch size, file for the vectors) -> its answer."""
    from recsys_helpers.data.assets import fetch

    python, log = environment("sentence-transformers-env", REQUIREMENTS), BUILD / "sentence-transformers.log"
    command = [python, "-W", "ignore", Path(__file__).with_name("sentence_transformers_side.py"), fetch("minilm")]
    with tempfile.TemporaryDirectory() as folder, open(log, "w") as errors:
        files = {what: Path(folder) / f"{number}.json" for number, what in enumerate(texts)}
        for what, file in files.items():
            file.write_text(json.dumps(texts[what]), encoding="utf-8")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors, "text": True}
        defaults = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}  # faster for PyTorch
        with subprocess.Popen(command, env=defaults | {"HF_HUB_OFFLINE": "1"}, **pipes) as process:

            def ask(what: str, size: int, vectors: bool = False) -> dict:
                request = {"texts": str(files[what]), "batch": size}
                kept = Path(folder) / "vectors.npy"
                print(json.dumps(request | ({"vectors": str(kept)} if vectors else {})), file=process.stdin, flush=True)
                if not (answer := process.stdout.readline()):
                    raise CourseError(f"{PEER} stopped: see {log}")
                return json.loads(answer) | ({"vectors": np.load(kept)} if vectors else {})

            ask(min(texts, key=lambda what: len(texts[what])), BATCHES[-1])  # warm
            yield ask
            process.stdin.close()


def beside(what: str, turns: pd.DataFrame, encoder, texts: list[str], ask) -> dict:
    """Best seconds of both, the peer's with its best batch size, and how far apart the vectors are.

    Vectors are compared where both tokenizers cut the text into the same pieces; the others are counted.
    """
    turns = turns[turns["texts"] == what]
    ours = turns[turns["batch"].isna()].min()
    theirs = turns[turns["batch"].notna()].sort_values("seconds").iloc[0]
    answer = ask(what, int(theirs["batch"]), vectors=True)
    apart = np.abs(encoder.encode(texts, cache=False) - answer["vectors"]).max(axis=1)
    same = np.array([a == b for a, b in zip(encoder.token_ids(texts), answer["ids"], strict=True)])
    return {
        "texts": what,
        "library": PEER,
        "seconds": ours["seconds"],
        "cpu": ours["cpu"],
        "their seconds": theirs["seconds"],
        "their cpu": theirs["cpu"],
        "their batch": int(theirs["batch"]),
        "ratio": theirs["seconds"] / ours["seconds"],
        "CPU ratio": theirs["cpu"] / ours["cpu"],
        "difference": float(apart[same].max()),
        "cut otherwise": int((~same).sum()),
    }


def table(rows: list[dict], columns: dict[str, str]) -> list[str]:
    """Markdown; a column is its heading and how a row fills it."""
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return lines + [f"| {' | '.join(form.format(**row) for form in columns.values())} |" for row in rows]


def markdown(found: dict) -> str:
    """The region of docs/performance.md, all from what was measured."""
    machine, steps = found["machine"], found["steps"]
    rates = {"GFLOP/s": "{GFLOP/s:.0f}", "Of the machine's": "{share:.0%}"}
    rates |= {"Ceiling of its shapes": "{ceiling:.0f}", "Of the ceiling": "{share of ceiling:.0%}"}
    lines = [
        f"The machine's own rate: {machine['GFLOP/s']:.0f} GFLOP/s, {machine['product']} in float32, two cores. Times "
        "are the best of many; the ceiling is the rate of the same products, each run alone.",
        "",
        "### Training steps",
        "",
        *table(
            steps, {"Step": "{step}", "GFLOP": "{GFLOP:.2f}", "ms": "{ms:.1f}", "Median": "{median ms:.1f}"} | rates
        ),
        "",
        "Where a step's milliseconds go, by TensorFlow's profiler. Ops overlap on two cores: their sum may exceed it.",
        "",
        *table(
            found["account"],
            {"Step": "{step}"} | {part: f"{{{part}:.1f}}" for part in [*ACCOUNT, "sum", "step, ms"]},
        ),
        "",
        *map(reading, steps, found["account"]),
        "",
        "<details><summary>The larger matrix products of the next-item steps, alone</summary>",
        "",
        *table(
            found["products"],
            {
                "Step": "{step}",
                "Product": "{product}",
                "Times": "{times}",
                "Of the step's operations": "{operations:.0%}",
                "GFLOP/s": "{GFLOP/s:.0f}",
                "Of the machine's": "{share:.0%}",
            },
        ),
        "",
        "</details>",
        "",
        "### Encoders",
        "",
        *table(
            found["encoders"],
            {"Encoder": "{encoder}", "Texts": "{texts}", "GFLOP": "{GFLOP:.0f}", "ms": "{ms:.0f}"} | rates,
        ),
    ]
    if found["peer"]:
        lines += [
            "",
            f"MiniLM beside {PEER}, the same weights, in turns; the peer's batch is the better one of {BATCHES}:",
            "",
            *table(
                found["peer"],
                {
                    "Texts": "{texts}",
                    "Ours, s": "{seconds:.1f}",
                    "CPU s": "{cpu:.1f}",
                    "Peer, s": "{their seconds:.1f}",
                    "Peer, CPU s": "{their cpu:.1f}",
                    "Its batch": "{their batch}",
                    "Times as fast": "{ratio:.2f}",
                    "In CPU": "{CPU ratio:.2f}",
                    "Largest difference": "{difference:.0e}",
                    "Texts cut into other pieces": "{cut otherwise}",
                },
            ),
        ]
    return "\n".join(lines)


def reading(step: dict, parts: dict) -> str:
    """What stands between the step and the machine's rate."""
    goal = "reaches" if step["share"] >= GOAL else "stays below"
    others = sorted([part for part in ACCOUNT if part != "matrix products"], key=parts.get, reverse=True)[:3]
    shares = [f"{part} {parts[part] / parts['sum']:.0%}" for part in ["matrix products", *others]]
    return (
        f"- {step['step']} {goal} {GOAL:.0%} of the machine's rate. Its products alone take {step['alone ms']:.1f} of "
        f"{step['ms']:.1f} ms, and with nothing else it would be at {step['ceiling'] / step['machine']:.0%}. "
        f"Of the ops' time: {', '.join(shares)}."
    )


if __name__ == "__main__":
    try:
        typer.run(main)
    except CourseError as error:
        sys.exit(str(error))
