"""The interpreter that a model worker runs in: the server's own, or the model's.

The server's own gets the server's ``sys.path``. Another one keeps its own, so that user code sees the environment it
was written for; of the server's environment only this package is visible there: it is loaded by its file name, and its
folder is on no path.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import drum_litestar

_PACKAGE_ROOT = str(Path(drum_litestar.__file__).parent.parent)

_OWN = "import sys; sys.path[0] = {root!r}"

_FOREIGN = """\
import sys
from importlib import machinery, util
if sys.path[:1] == [""]: del sys.path[0]
spec = machinery.PathFinder.find_spec("drum_litestar", [{root!r}])
sys.modules[spec.name] = util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
from drum_litestar.pip_command import use_own_interpreter
use_own_interpreter()
del machinery, util, spec, use_own_interpreter"""

_SERVERS_OWN = ("PYTHONHOME", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "__PYVENV_LAUNCHER__")
"""Variables that say where the *server's* Python is."""


def command(python: str | None, code: str, *arguments: str) -> list[str]:
    """The command line that runs ``code`` in ``python`` (None: the server's) with this package importable."""
    boot = (_OWN if python is None else _FOREIGN).format(root=_PACKAGE_ROOT)
    return bare_command(python, f"{boot}\n{code}", *arguments)


def bare_command(python: str | None, code: str, *arguments: str) -> list[str]:
    """The same without this package, for an interpreter that may be too old for it."""
    return [python or sys.executable, *_flags(python), "-c", code, *arguments]


def identity(python: str | None, user: str | None) -> dict[str, Any]:
    """Popen's arguments for the process's environment and user. Raises KeyError for an unknown ``user``.

    Another interpreter is not told where the server's is, and finds its own environment's commands instead of the
    server's. ``PYTHONPATH`` stays: with it the operator decides what the model may import.
    """
    # The environment as Python sees it: C libraries (readline) may have added to the process's own.
    found = {"env": {**os.environ}} if user is None else _run_as(user)
    if python is not None:
        environ: dict[str, str] = found["env"]
        for name in _SERVERS_OWN:
            environ.pop(name, None)
        if sys.prefix != sys.base_prefix and "PATH" in environ:  # a virtual environment that may have been activated
            commands = {str(Path(sys.executable).parent): str(Path(python).parent)}
            environ["PATH"] = os.pathsep.join(commands.get(each, each) for each in environ["PATH"].split(os.pathsep))
    return found


def _run_as(user: str) -> dict[str, Any]:
    """Popen's arguments for ``user``, with that user's home. Raises KeyError for an unknown user."""
    from pwd import getpwnam

    account = getpwnam(user)
    environ = {**os.environ, "HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    if account.pw_uid == os.geteuid():  # setting the same user would need root too
        return {"env": environ}
    groups = os.getgrouplist(account.pw_name, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups, "env": environ}


def _flags(python: str | None) -> list[str]:
    """The options of the server's interpreter that change how user code runs; ``-X`` differs between versions."""
    flags = sys.flags
    wanted = {
        "-s": flags.no_user_site,
        "-E": flags.ignore_environment,
        "-O": flags.optimize,
        "-B": flags.dont_write_bytecode,
    }
    options = [option for option, given in wanted.items() if given]
    options += [f"-W{option}" for option in sys.warnoptions]
    if python is None:
        options += [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]
    return options
