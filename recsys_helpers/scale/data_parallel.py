"""One training on one device, on two devices, in two processes, so that the losses can be compared.

The last two run `python -m recsys_helpers.scale.data_parallel`, since devices are chosen before a framework starts.
They divide the processor, also where there is a GPU.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile

import numpy as np

from recsys_helpers.data.interest_world import load_interest_world
from recsys_helpers.errors import CourseError
from recsys_helpers.models import next_item, self_attention
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import fit, on_device

LENGTH, USERS = 20, 512
SETTINGS = ("one device", "two devices", "two processes")


def losses(setting: str) -> list[float]:
    """Losses of the epochs.

    Args:
        setting: "one device" (in this process), "two devices" (a processor seen as two), or "two processes" (on JAX).

    Raises:
        CourseError: an unknown setting; a process that failed, with its last line.
    """
    if setting not in SETTINGS:
        raise CourseError(f"setting {setting!r} does not exist; choose one of {', '.join(SETTINGS)}")
    with tempfile.TemporaryDirectory() as folder:
        if setting == "one device":
            return train(folder)
        group = {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
        if setting == "two processes":
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                address = f"127.0.0.1:{free.getsockname()[1]}"
            group |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "KERAS_DISTRIBUTION_JOB_ADDRESSES": address}
            group |= {"KERAS_DISTRIBUTION_NUM_PROCESSES": "2", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
        command = [sys.executable, "-m", "recsys_helpers.scale.data_parallel", setting, folder]
        started = [
            subprocess.Popen(
                command,
                env=os.environ | group | {"KERAS_DISTRIBUTION_PROCESS_ID": str(number)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(2 if setting == "two processes" else 1)
        ]
        ended = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, ended, strict=True):
        if process.returncode:
            raise CourseError(f"{setting}: {(errors.strip().splitlines() or ['no message'])[-1]}")
    return json.loads(ended[0][0].splitlines()[-1])


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
