"""One training on one device, on two devices, in two processes, so that the losses can be compared.

The last two run `python -m recsys_helpers.scale.data_parallel`, since devices are chosen before a framework starts.
They divide the processor, also where there is a GPU.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from typing import TextIO

import numpy as np

from recsys_helpers import sets
from recsys_helpers.data.interest_world import load_interest_world
from recsys_helpers.errors import CourseError
from recsys_helpers.models import next_item, self_attention
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import fit, on_device

LENGTH, USERS = 20, 512
LIMIT = 900  # seconds, many times what a slow machine needs
TRIES = 3  # with another port each
PORT_TAKEN = ("Failed to start RPC server", "ddress already in use")  # as JAX and the system say it
SETTINGS = ("one device", "two devices", "two processes")


def possible(settings: tuple[str, ...] = SETTINGS) -> tuple[str, ...]:
    """Those of the settings that this environment can train, with a line that says how to add what is missing."""
    if importlib.util.find_spec("jax") or "two processes" not in settings:
        return settings
    command = f"{sets.EXTRAS['scale'].command}   (or: {sets.install('scale')})"
    print(f"two processes are left out, since they need JAX: {command}")
    return tuple(setting for setting in settings if setting != "two processes")


def losses(setting: str, limit: float = LIMIT) -> list[float]:
    """Losses of the epochs.

    Args:
        setting: "one device" (in this process), "two devices" (a processor seen as two), or "two processes" (on JAX).
        limit: seconds that started processes may take.

    Raises:
        CourseError: an unknown setting; a process that failed, with its last line; processes beyond the limit.
    """
    if setting not in SETTINGS:
        raise CourseError(f"setting {setting!r} does not exist; choose one of {', '.join(SETTINGS)}")
    with tempfile.TemporaryDirectory() as folder:
        if setting == "one device":
            return train(folder)
        command = [sys.executable, "-m", "recsys_helpers.scale.data_parallel", setting, folder]
        for tries_left in reversed(range(TRIES)):
            try:
                printed = run_together(setting, command, _environments(setting), limit)
                return json.loads(printed[0].splitlines()[-1])
            except PortTaken:
                if not tries_left:
                    raise


class PortTaken(CourseError):
    """Another program took the port between its choice and its use; another port may be free."""


def run_together(what: str, command: list[str], environments: list[dict[str, str]], limit: float) -> list[str]:
    """Start a command once for each environment, all at the same time; none outlives this call, however it ends.

    Output goes into files: a process that others wait for is never held up by a full pipe.

    Args:
        what: a name for messages.
        command: program and arguments.
        environments: variables that a process has beyond those of this one.
        limit: seconds that all together may take.

    Returns:
        What each process printed.

    Raises:
        PortTaken: a process could not listen at its port.
        CourseError: a process failed, with the last line of its errors; it took longer than the limit.
    """
    started, end = [], time.monotonic() + limit
    with ExitStack() as stack:
        printed, errors = (
            [
                stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace"))
                for _ in environments
            ]
            for _ in range(2)
        )
        try:
            for number, more in enumerate(environments):
                started.append(
                    subprocess.Popen(command, env=os.environ | more, stdout=printed[number], stderr=errors[number])
                )
            while None in (codes := [process.poll() for process in started]) and not any(codes):
                if time.monotonic() > end:
                    raise CourseError(
                        f"{what}: not done after {limit:.0f} seconds, and ended; call it again when the machine has "
                        "less to do, or with a higher limit"
                    )
                time.sleep(0.05)
        finally:
            for process in started:
                process.kill()
                process.wait()
        for number, code in enumerate(codes):
            if code:
                said = _content(errors[number]).strip().splitlines() or ["no message"]
                taken = any(sign in _content(errors[number]) for sign in PORT_TAKEN)
                raise (PortTaken if taken else CourseError)(f"{what}: {said[-1]}")
        return [_content(file) for file in printed]


def _content(file: TextIO) -> str:
    file.seek(0)
    return file.read()


def _environments(setting: str) -> list[dict[str, str]]:
    """Of the processes of a setting; the two processes meet at a port that was free a moment ago."""
    group = {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
    if setting == "two devices":
        return [group]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    group |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "KERAS_DISTRIBUTION_JOB_ADDRESSES": address}
    group |= {"KERAS_DISTRIBUTION_NUM_PROCESSES": "2", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    return [group | {"KERAS_DISTRIBUTION_PROCESS_ID": str(number)} for number in range(2)]


def train(folder: str) -> list[float]:
    """Three epochs of a small next-item model on the devices of this process; any backend starts with its weights."""
    world, random = load_interest_world(), np.random.default_rng(5)
    # Windows that are all full: the mean over two halves is the mean over the whole only where both count alike.
    histories = [items.to_numpy()[: LENGTH + 1] for _, items in world.interactions.groupby("user_id")["item_id"]]
    with on_device():
        model = self_attention.next_item_transformer(len(world.items), LENGTH, width=32, dropout=0)
        model.set_weights([w if w.ndim == 1 else random.normal(size=w.shape) / 8 for w in model.get_weights()])
        model.compile(keras.optimizers.Adam(3e-3), next_item.next_item_loss())
    windows = next_item.Windows(histories[:USERS], LENGTH, batch_size=64, seed=5)
    return fit(model, windows, epochs=3, lines=0, checkpoint=folder)["loss"].tolist()


def main(setting: str, folder: str) -> None:
    """Inside the started program."""
    if setting == "two devices":
        import tensorflow as tf

        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    print(json.dumps(train(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
