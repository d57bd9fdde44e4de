"""What a student's server is given, whichever hub starts it: jupyterhub_config.py here or The Littlest JupyterHub."""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821
course = Path(__file__).resolve().parents[2]
own = course / ".venv" / "bin" / "python"

c.Spawner.cmd = [str(own if own.exists() else sys.executable), str(course / "docs" / "jupyterhub" / "start.py")]
# A kernel holds nearly all of the memory: one that nobody looks at goes after half an hour.
c.Spawner.args = ["--MappingKernelManager.cull_idle_timeout=1800", "--MappingKernelManager.cull_interval=300"]
c.Spawner.default_url = "/lab/tree/notebooks/00_orientation.ipynb"
c.Spawner.http_timeout = 120  # seconds; thirty servers that start at once are slow
c.Spawner.environment = {
    "RECSYS_HOME": os.environ.get("RECSYS_HOME", "/srv/recsys-data"),
    "RECSYS_PROGRESS": "~/.recsys-progress",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # each kernel would otherwise start as many threads as the machine has cores
    "OMP_NUM_THREADS": "2",
    "TF_NUM_INTRAOP_THREADS": "2",
    "TF_NUM_INTEROP_THREADS": "2",
}
