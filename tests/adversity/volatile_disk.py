"""A disk that forgets in a power cut what nobody asked it to keep: the model, in memory and without a mount.

Durable are a file's contents as of its latest fsync, and the changes of directories (names made, moved, linked and
removed) that an fsync covers. File systems differ in what else they keep, so a cut is one of three kinds:

``asked``
    An fsync keeps the changes of the directory it is called on, or those that gave the file its name, and what must
    have come before: earlier changes of the same directories, and the names of the directories above. All else is
    lost. POSIX asks for less still (a file's fsync need not keep its name); ext4, XFS and btrfs keep this much.
``journal``
    Directories change in the order of a journal, as on ext4 and XFS: an fsync of anything keeps every change of a
    directory made before it, and the journal may have been written further on its own, up to any later change.
    File contents are kept as of their latest fsync only, so a name may stand for an empty file (delayed allocation).
``writeback``
    Some seconds later: the journal has been written to its end (ext4 does so every 5 seconds), and the kernel is
    writing contents on its own (it does so after 30 seconds), in an order of its own. Of the files that changed since
    their latest fsync every second one is kept as it is, or all but one in ten, or all but one in a hundred.

Attributes such as modes count as kept at once; a file is kept whole as of one instant, never torn within.
ext4's habit of writing a file's contents when it is renamed over another (``auto_da_alloc``) is left out.

Sources: Pillai et al., All File Systems Are Not Created Equal, OSDI 2014,
https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai; Ramos et al., When Amnesia Strikes,
VLDB 2024 (LazyFS), https://doi.org/10.14778/3681954.3681980; https://docs.kernel.org/filesystems/ext4/journal.html
"""

from __future__ import annotations

import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

__all__ = ["ROOT", "Cut", "Node", "VolatileDisk"]

Cut = Literal["asked", "journal", "writeback"]
Names = dict[int, dict[bytes, int]]  # directory → name → inode
Entry = tuple[int, bytes, int | None]  # directory, name, the inode that it now stands for

ROOT = 1


@dataclass
class Node:
    """An inode. ``data`` is what processes see, ``kept`` what is on the disk; a directory has ``names`` instead."""

    mode: int
    uid: int = 0
    gid: int = 0
    rdev: int = 0
    links: int = 0
    data: bytearray = field(default_factory=bytearray)
    kept: bytes = b""
    names: dict[bytes, int] = field(default_factory=dict)
    modified_ns: int = field(default_factory=time.time_ns)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


@dataclass
class Change:
    """One call that changed directories, in one step for all its entries. ``asked``: an fsync covers it."""

    entries: tuple[Entry, ...]
    asked: bool = False

    def concerns(self, folders: set[int], inode: int) -> bool:
        """Tell whether it changed one of the folders, or gave a name to one of them or to the inode."""
        return any(
            folder in folders or (named is not None and (named in folders or named == inode))
            for folder, _, named in self.entries
        )


class VolatileDisk:
    """Inodes and names as processes see them, and what of them is durable."""

    def __init__(self) -> None:
        self.nodes = {ROOT: Node(stat.S_IFDIR | 0o755, links=1)}
        self.settled: Names = {ROOT: {}}  # durable names before the log begins
        self.log: list[Change] = []
        self.journalled = 0  # changes in the log when the latest fsync came
        self._last = ROOT

    def add(self, folder: int, name: bytes, node: Node) -> int:
        self._last += 1
        self.nodes[self._last] = node
        self.change((folder, name, self._last))
        return self._last

    def change(self, *entries: Entry) -> None:
        """Let names stand for other inodes, or for none, in one step."""
        for folder, name, inode in entries:
            names = self.nodes[folder].names
            if name in names:
                self.nodes[names[name]].links -= 1
            set_name(names, name, inode)
            if inode is not None:
                self.nodes[inode].links += 1
            self.nodes[folder].modified_ns = time.time_ns()
        self.log.append(Change(entries))

    def write(self, inode: int, offset: int, piece: bytes) -> None:
        node = self.nodes[inode]
        if offset > len(node.data):
            self.resize(inode, offset)
        node.data[offset : offset + len(piece)] = piece
        node.modified_ns = time.time_ns()

    def resize(self, inode: int, size: int) -> None:
        node = self.nodes[inode]
        del node.data[size:]
        node.data.extend(bytes(size - len(node.data)))
        node.modified_ns = time.time_ns()

    def fsync(self, inode: int) -> None:
        """Make durable what the inode holds, its name, and what must have come before."""
        node = self.nodes[inode]
        node.kept = bytes(node.data)
        folders = {inode} if node.is_folder else set()
        for change in reversed(self.log):
            if change.concerns(folders, inode):
                change.asked = True
                folders.update(folder for folder, _, _ in change.entries)
        self.journalled = len(self.log)

    def settle(self) -> None:
        """Make all of it durable, as the kernel does within a minute when left alone."""
        for node in self.nodes.values():
            node.kept = bytes(node.data)
        self.settled = {inode: dict(node.names) for inode, node in self.nodes.items() if node.is_folder}
        self.log.clear()
        self.journalled = 0

    def cut(self, kind: Cut, chance: Random) -> tuple[int, int]:
        """Forget what is not durable; return how many changes of directories were lost, out of how many."""
        kept = self.log
        if kind == "asked":
            kept = [change for change in self.log if change.asked]
        elif kind == "journal":
            kept = self.log[: chance.randint(self.journalled, len(self.log))]
        else:
            share = chance.choice((0.5, 0.9, 0.99))
            for node in self.nodes.values():
                node.kept = bytes(node.data) if chance.random() < share else node.kept
        lost = len(self.log) - len(kept), len(self.log)
        names = replay(self.settled, kept)
        reached = reachable(names)
        links = dict.fromkeys(reached, 0)
        for inode in (inode for folder in reached & names.keys() for inode in names[folder].values()):
            links[inode] += 1
        links[ROOT] = 1
        self.nodes = {inode: self.nodes[inode] for inode in reached}
        for inode, node in self.nodes.items():
            node.names, node.data, node.links = names.get(inode, {}), bytearray(node.kept), links[inode]
        self.settle()
        return lost


def set_name(names: dict[bytes, int], name: bytes, inode: int | None) -> None:
    if inode is None:
        names.pop(name, None)
    else:
        names[name] = inode


def replay(settled: Names, changes: Iterable[Change]) -> Names:
    names = {folder: dict(entries) for folder, entries in settled.items()}
    for change in changes:
        for folder, name, inode in change.entries:
            set_name(names.setdefault(folder, {}), name, inode)
    return names


def reachable(names: Names) -> set[int]:
    found, left = {ROOT}, [ROOT]
    while left:
        below = set(names.get(left.pop(), {}).values()) - found
        found |= below
        left += below
    return found
