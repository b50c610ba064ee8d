"""Confines the process of the local warehouse by the operating system, before the engine is loaded.

What a statement reaches cannot be read off its text, so the kernel decides: Landlock over files
(https://docs.kernel.org/userspace-api/landlock.html), a seccomp filter over sockets
(https://docs.kernel.org/userspace-api/seccomp_filter.html), limits of open files and of core dumps.
All of it binds the calling thread and what that starts from then on, and cannot be taken off again.
Threads that other libraries have started before run nothing of the engine.
"""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import platform
import resource
import site
import sys
import sysconfig
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Confinement", "confine", "limit_process", "wipe_environment"]


# Open files, connections and pipes of the process: a table of 120 partitions with its projections
# has some 1,500 files; the rest of the machine's stay for others.
OPEN_FILES: Final = 65_536

# Landlock before ABI 2 refuses each rename and hard link into another folder, and ATTACH PARTITION
# makes such links.
LEAST_LANDLOCK_ABI: Final = 2

# Read to load the engine, and by the engine to name the functions of a failure's stack. Where it cannot, it
# counts an error, as if it had found no room for a file.
_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")

# What the engine asks of the machine: number of cores, limits of a container, local time, its own
# threads. None of it holds anybody's data, once the environment is wiped, which is among the threads' files.
_MACHINE: Final = (
    *("/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup"),
    *("/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo", "/dev/urandom"),
    *("/proc/self/maps", "/proc/self/task"),
    *_LIBRARIES,
)
# What finding a host and trusting it takes besides, where something on the network is allowed.
_NETWORK: Final = (
    *("/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services"),
    *("/etc/ssl", "/etc/pki", "/usr/share/ca-certificates"),
)

# By machine: AUDIT_ARCH of linux/audit.h, and the numbers of seccomp(2) and socket(2).
_CALLS: Final = {"x86_64": (0xC000003E, 317, 41), "aarch64": (0xC00000B7, 277, 198)}
_IO_URING_SETUP: Final = 425  # the same everywhere; its rings could make sockets past the filter


@dataclass(frozen=True, slots=True)
class Confinement:
    """What the operating system keeps the process from: other ``files``, and the ``network``."""

    files: bool
    network: bool

    def __str__(self) -> str:
        named = {"files": self.files, "network": self.network}
        kept = [name for name, confined in named.items() if confined]
        open_to = [name for name, confined in named.items() if not confined]
        return "; ".join(
            [
                *([f"confined by the kernel: {' and '.join(kept)}"] if kept else []),
                *([f"not confined by the kernel: {' and '.join(open_to)}"] if open_to else []),
            ]
        )


def wipe_environment(allow: frozenset[str]) -> None:
    """Overwrite the values of the environment, which the kernel shows in ``/proc/self/task/*/environ``.

    The engine needs the time zone and the locale, and where something on the network is allowed
    whatever there is about proxies, certificates and credentials: all but this package's variables.
    """
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    for name in list(os.environ):
        needed = name in ("TZ", "LANG") or name.startswith("LC_")
        if needed or (allow - {"file"} and not name.startswith("SENTINEL_")):
            continue
        # The text itself: taking the name out of the environment only forgets where it stands.
        if value := libc.getenv(os.fsencode(name)):
            ctypes.memset(value, 0, len(os.fsencode(os.environ[name])))
        del os.environ[name]


def limit_process() -> None:
    """Limit the process's open files, and let it leave no core dump, which would hold passwords."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = OPEN_FILES if most == resource.RLIM_INFINITY else min(most, OPEN_FILES)
    # The engine raises its soft limit to the hard one.
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def confine(own: list[Path], read: list[Path], allow: frozenset[str]) -> Confinement:
    """Confine the calling thread and its future ones to ``own`` folders and to reading ``read``.

    Both must be there. The first of ``own`` is for temporary files. ``allow`` are the names of
    :mod:`sentinel_etl.local.clickhouse.rights`: ``file`` leaves files open, each other one the
    network. Where the kernel cannot, it stays as it was, and the answer says so.
    """
    # The engine would make its temporary folder under /tmp.
    os.environ["TMPDIR"] = tempfile.tempdir = str(own[0])
    network = allow <= {"file"}
    files = "file" not in allow
    if sys.platform != "linux":
        return Confinement(files=False, network=False)
    confined_files = _restrict(own, read, files, network)
    return Confinement(files=files and confined_files, network=network and _forbid_sockets())


def _restrict(own: list[Path], read: list[Path], files: bool, network: bool) -> bool:
    """Put the Landlock ruleset on the thread; False where the kernel has none that serves."""
    from landlockpy import AccessFS, AccessNet, LandlockError, Ruleset, Scope, abi_version
    from landlockpy.flags import LATEST_ABI, fs_for_abi

    reading = AccessFS.READ_FILE | AccessFS.READ_DIR
    everything = fs_for_abi(LATEST_ABI)
    # Nothing may be executed anywhere.
    own_rights = everything & ~AccessFS.EXECUTE
    try:
        if abi_version() < LEAST_LANDLOCK_ABI:
            return False
        with Ruleset(
            handled_fs=everything if files else AccessFS.NONE,
            handled_net=AccessNet.BIND_TCP | AccessNet.CONNECT_TCP if network else AccessNet.NONE,
            scoped=Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL,
        ) as ruleset:
            for folder in own:
                ruleset.allow_path(folder, own_rights)
            machine = map(Path, _MACHINE if network else _MACHINE + _NETWORK)
            for path in {*read, *_import_folders(), *_mapped_files(), *machine}:
                with suppress(OSError):  # what is not there, or not ours to read, is not read
                    _keep_open(path)
                    ruleset.allow_path(path, reading if path.is_dir() else AccessFS.READ_FILE)
            ruleset.restrict()
    except LandlockError:  # not built in, switched off, or forbidden by a container
        return False
    return True


def _keep_open(path: Path) -> None:
    # A rule holds for an inode. Under /proc the kernel makes a new one for the same name once nobody
    # has it open, so it stays open as long as the process lives.
    if path.is_relative_to("/proc"):
        os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _import_folders() -> set[Path]:
    """Find the folders from which Python imports: its own, the environment's, chdb's, this package's.

    Not the whole of sys.path: the working directory and a checkout hold passwords.
    """
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders = {Path(path) for path in [*installed, *site.getsitepackages()]}
    for name, up in (("chdb", 1), ("sentinel_etl", 0)):
        spec = importlib.util.find_spec(name)
        folders |= {Path(spec.origin).parents[up]} if spec and spec.origin else set()
    return {folder for folder in folders if folder.is_dir()}


def _mapped_files() -> set[Path]:
    """Find the libraries and the interpreter that the process runs from, wherever they are installed."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return {Path(fields[5]) for line in lines if len(fields := line.split(maxsplit=5)) == 6 and fields[5][0] == "/"}


class _Instruction(ctypes.Structure):
    """struct sock_filter of linux/filter.h."""

    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def _forbid_sockets() -> bool:
    """Refuse socket(2) in each thread of the process; False where the kernel cannot.

    Landlock knows TCP only from ABI 4 and UDP from ABI 10, and a name looked up in the DNS carries
    data out. The endpoint accepts connections on the socket that it has.
    """
    if platform.machine() not in _CALLS:
        return False
    architecture, seccomp, socket = _CALLS[platform.machine()]
    load, jump_if_equal, jump_if_greater_or_equal, answer = 0x20, 0x15, 0x35, 0x06
    refuse, permit = 0x0005_0000 | errno.EACCES, 0x7FFF_0000
    # Over struct seccomp_data: the call's number at 0, its architecture at 4. Numbers from 0x40000000 are x32's.
    code = (
        (load, 0, 0, 4),
        (jump_if_equal, 0, 5, architecture),
        (load, 0, 0, 0),
        (jump_if_greater_or_equal, 3, 0, 0x4000_0000),
        (jump_if_equal, 2, 0, socket),
        (jump_if_equal, 1, 0, _IO_URING_SETUP),
        (answer, 0, 0, permit),
        (answer, 0, 0, refuse),
    )
    instructions = (_Instruction * len(code))(*(_Instruction(*fields) for fields in code))
    program = _Program(len(code), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privileges, set_filter, all_threads = 38, 1, 1
    if libc.prctl(set_no_new_privileges, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.syscall(seccomp, set_filter, all_threads, ctypes.byref(program)) == 0)
