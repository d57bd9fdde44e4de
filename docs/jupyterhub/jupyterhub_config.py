"""A JupyterHub for a class on one machine. README.md beside this file says how to use it.

Every student has an account of the operating system and an own copy of the notebooks; packages, data and weights are
shared and read-only. With the environment variable RECSYS_HUB_TRIAL set to a folder it is a TRIAL instead: anybody may
log in under any name WITHOUT A PASSWORD, and all servers run as you. Keep a trial on this machine's own address.
"""

import os
import shutil
import sys
from pathlib import Path

from recsys_helpers.data import assets
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import home

c = get_config()  # noqa: F821
trial = os.environ.get("RECSYS_HUB_TRIAL")

# a class cannot read your own cache
os.environ.setdefault("RECSYS_HOME", str(home()) if trial else "/srv/recsys-data")
for asset in assets.registry():
    assets.verify(asset)  # before the class comes, not in its first minute

c.JupyterHub.bind_url = "http://127.0.0.1:8000"  # a class: behind a web server that speaks TLS
load_subconfig(str(Path(__file__).with_name("student_config.py")))  # noqa: F821
c.JupyterHub.services = [
    {"name": "idle-culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]}
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
]

if trial:
    c.JupyterHub.authenticator_class = "dummy"
    c.Authenticator.username_pattern = "[a-z0-9-]+"
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(Path(trial).resolve() / "{username}")
    # of the course's own packages; with ten slow requests at once it makes others wait, so it is none for a class
    c.ConfigurableHTTPProxy.command = [str(Path(sys.executable).with_name("configurable-http-proxy"))]
    if os.geteuid() == 0:
        c.Spawner.args = [*c.Spawner.args, "--allow-root"]
else:
    proxy = shutil.which("configurable-http-proxy", path="/usr/local/bin:/usr/bin")
    if proxy is None:
        raise CourseError("A class needs the proxy that npm has: run `npm install -g configurable-http-proxy`.")
    c.ConfigurableHTTPProxy.command = [proxy]
    c.PAMAuthenticator.allowed_groups = {"students", "teachers"}
    c.PAMAuthenticator.admin_groups = {"teachers"}
