"""What docs/your-own-data.md shows works as it stands there, on a small file of invented clicks."""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from recsys_helpers.paths import ROOT

PAGE = (ROOT / "docs" / "your-own-data.md").read_text(encoding="utf-8")
SHORT = {"leaderboard": "--profile smoke --model popularity --model item-kNN", "recommend": "--profile smoke"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("own")
    clicks = pd.DataFrame({"customer": rng.integers(1, 40, 800), "product": rng.integers(1, 30, 800)})
    clicks["when"] = pd.date_range("2024-03-01", periods=len(clicks), freq="h").astype(str)
    clicks.to_csv(folder / "clicks.csv", index=False)
    return folder


def run(command, folder):
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)


def test_its_programs_run(folder):
    blocks = re.findall(r"(?m)((?:^ {4}.+\n|^\n(?= {4}))+)", PAGE)
    program = "\n".join(line[4:] for block in blocks for line in block.splitlines() if ".venv" not in block)
    assert program.count("load_log(") == 2 and "ItemKNN" in program
    done = run([sys.executable, "-c", program], folder)
    assert done.returncode == 0, done.stderr
    assert "3 listeners, 5 songs" in done.stdout and "clicks.csv: there are no ratings" in done.stdout


@pytest.mark.parametrize("name", SHORT)
def test_its_commands_run(name, folder):
    (line,) = re.findall(rf"(?m)^ +\.venv/bin/python (-m recsys_helpers {name} .+)$", PAGE)
    done = run([sys.executable, *shlex.split(line), *SHORT[name].split()], folder)
    assert done.returncode == 0, done.stderr
    assert "clicks" in done.stdout and ("item-kNN" in done.stdout or "Item" in done.stdout)


def test_a_user_who_does_not_exist_is_told(folder):
    done = run([sys.executable, "-m", "recsys_helpers", "recommend", "--data", "clicks.csv", "--user", "4711"], folder)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "4711" in done.stderr
