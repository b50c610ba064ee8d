"""A `VolatileDisk` mounted with FUSE, in a process of its own::

    python -m adversity.mounted_disk FOLDER

It says what it has done in lines of JSON, and takes commands so: ``["settle"]`` makes everything durable, ``["cut",
kind, seed]`` forgets what is not and mounts what is left, the end of its input unmounts. Whoever used the folder must
be dead before a cut: the kernel forgets its copies with the mount.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from collections.abc import Sequence
from random import Random
from typing import Any

import pyfuse3
import trio

from adversity.volatile_disk import Cut, Node, VolatileDisk

BLOCK = 4096
ROOM = 1 << 24  # blocks that are said to be free: 64 GiB


class Operations(pyfuse3.Operations):
    """Answers the kernel's questions from a disk; a file handle is its inode."""

    def __init__(self, disk: VolatileDisk) -> None:
        super().__init__()
        self.disk = disk
        self.lists: dict[int, tuple[int, list[tuple[bytes, int]]]] = {}  # open directories
        self.opened = 0

    def _attributes(self, inode: int) -> pyfuse3.EntryAttributes:
        node = self.disk.nodes[inode]
        found = pyfuse3.EntryAttributes()
        found.st_ino, found.st_mode, found.st_nlink = inode, node.mode, node.links + node.is_folder
        found.st_uid, found.st_gid, found.st_rdev = node.uid, node.gid, node.rdev
        found.st_size, found.st_blksize, found.st_blocks = len(node.data), BLOCK, -(-len(node.data) // 512)
        found.st_atime_ns = found.st_mtime_ns = found.st_ctime_ns = node.modified_ns
        return found

    def _find(self, folder: int, name: bytes) -> int:
        inode = self.disk.nodes[folder].names.get(name)
        if inode is None:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return inode

    def _add(self, folder: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext, **more: Any) -> Any:
        if name in self.disk.nodes[folder].names:
            raise pyfuse3.FUSEError(errno.EEXIST)
        return self._attributes(self.disk.add(folder, name, Node(mode, ctx.uid, ctx.gid, **more)))

    async def lookup(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        return self._attributes(self._find(parent_inode, name))

    async def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        return self._attributes(inode)

    async def setattr(
        self,
        inode: int,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: int | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:
        node = self.disk.nodes[inode]
        if fields.update_size:
            self.disk.resize(inode, attr.st_size)
        if fields.update_mode:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(attr.st_mode)
        if fields.update_uid:
            node.uid = attr.st_uid
        if fields.update_gid:
            node.gid = attr.st_gid
        if fields.update_mtime:
            node.modified_ns = attr.st_mtime_ns
        return self._attributes(inode)

    async def mkdir(self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext) -> Any:
        return self._add(parent_inode, name, stat.S_IFDIR | stat.S_IMODE(mode), ctx)

    async def mknod(self, parent_inode: int, name: bytes, mode: int, rdev: int, ctx: pyfuse3.RequestContext) -> Any:
        return self._add(parent_inode, name, mode, ctx, rdev=rdev)

    async def symlink(self, parent_inode: int, name: bytes, target: bytes, ctx: pyfuse3.RequestContext) -> Any:
        return self._add(parent_inode, name, stat.S_IFLNK | 0o777, ctx, data=bytearray(target), kept=target)

    async def readlink(self, inode: int, ctx: pyfuse3.RequestContext) -> bytes:
        return bytes(self.disk.nodes[inode].data)

    async def link(self, inode: int, new_parent_inode: int, new_name: bytes, ctx: pyfuse3.RequestContext) -> Any:
        if new_name in self.disk.nodes[new_parent_inode].names:
            raise pyfuse3.FUSEError(errno.EEXIST)
        self.disk.change((new_parent_inode, new_name, inode))
        return self._attributes(inode)

    async def unlink(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        self._find(parent_inode, name)
        self.disk.change((parent_inode, name, None))

    async def rmdir(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        if self.disk.nodes[self._find(parent_inode, name)].names:
            raise pyfuse3.FUSEError(errno.ENOTEMPTY)
        self.disk.change((parent_inode, name, None))

    async def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> None:
        moved, replaced = self._find(parent_inode_old, name_old), self.disk.nodes[parent_inode_new].names.get(name_new)
        if flags & pyfuse3.RENAME_EXCHANGE:
            replaced = self._find(parent_inode_new, name_new)
            self.disk.change((parent_inode_old, name_old, replaced), (parent_inode_new, name_new, moved))
            return
        if replaced is not None:
            if flags & pyfuse3.RENAME_NOREPLACE:
                raise pyfuse3.FUSEError(errno.EEXIST)
            if self.disk.nodes[replaced].names:
                raise pyfuse3.FUSEError(errno.ENOTEMPTY)
            if replaced == moved:  # two names of one file: rename(2) does nothing
                return
        self.disk.change((parent_inode_old, name_old, None), (parent_inode_new, name_new, moved))

    async def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        self.opened += 1
        self.lists[self.opened] = inode, list(self.disk.nodes[inode].names.items())
        return self.opened

    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        entries = self.lists[fh][1]
        for number in range(start_id, len(entries)):
            name, inode = entries[number]
            if not pyfuse3.readdir_reply(token, name, self._attributes(inode), number + 1):
                return

    async def releasedir(self, fh: int) -> None:
        del self.lists[fh]

    async def fsyncdir(self, fh: int, datasync: bool) -> None:
        self.disk.fsync(self.lists[fh][0])

    async def create(self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: pyfuse3.RequestContext) -> Any:
        made = self._add(parent_inode, name, stat.S_IFREG | stat.S_IMODE(mode), ctx)
        return pyfuse3.FileInfo(fh=made.st_ino, keep_cache=True), made

    async def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        if flags & os.O_TRUNC:
            self.disk.resize(inode, 0)
        return pyfuse3.FileInfo(fh=inode, keep_cache=not flags & os.O_TRUNC)

    async def read(self, fh: int, off: int, size: int) -> bytes:
        return bytes(self.disk.nodes[fh].data[off : off + size])

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        self.disk.write(fh, off, buf)
        return len(buf)

    async def fsync(self, fh: int, datasync: bool) -> None:
        self.disk.fsync(fh)

    async def flush(self, fh: int) -> None:
        """Closing a file keeps nothing."""

    async def release(self, fh: int) -> None:
        """An inode is forgotten at the next cut."""

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """An inode is forgotten at the next cut."""

    async def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        found = pyfuse3.StatvfsData()
        found.f_bsize = found.f_frsize = BLOCK
        found.f_blocks = found.f_bfree = found.f_bavail = ROOM
        found.f_files = found.f_ffree = found.f_favail = ROOM
        found.f_namemax = 255
        return found


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def serve(disk: VolatileDisk) -> tuple[Cut, int] | None:
    """Answer the kernel until a cut is asked for; None: until the input has ended."""
    wanted: list[tuple[Cut, int]] = []

    async def obey() -> None:
        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            command, *more = json.loads(line)
            if command == "cut":
                wanted.append((more[0], more[1]))
                break
            disk.settle()
            say(settled=len(disk.nodes))
        pyfuse3.terminate()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(obey)
        await pyfuse3.main()
    return wanted[0] if wanted else None


def main() -> None:
    folder, disk = sys.argv[1], VolatileDisk()
    lost: dict[str, Any] = {}
    while True:
        try:
            pyfuse3.init(Operations(disk), folder, {*pyfuse3.default_options, "fsname=volatile"})
        except RuntimeError as error:
            say(refused=str(error))
            return
        say(mounted=round(time.time()), **lost)
        try:
            cut = trio.run(serve, disk)
        finally:
            pyfuse3.close(unmount=True)
        if cut is None:
            return
        changes, of = disk.cut(cut[0], Random(cut[1]))
        lost = {"lost": changes, "of": of}


if __name__ == "__main__":
    main()
