"""The disk of the power-cut tests forgets what it should, and nothing else."""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path
from random import Random

import pytest

from adversity.power_bench import mounted_disk
from adversity.volatile_disk import ROOT, Cut, Node, VolatileDisk

FILE, FOLDER = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755
RENAME_EXCHANGE = 2  # renameat2(2)


def add_file(disk: VolatileDisk, name: str, text: str, folder: int = ROOT) -> int:
    inode = disk.add(folder, name.encode(), Node(FILE))
    disk.write(inode, 0, text.encode())
    return inode


def tree(disk: VolatileDisk, folder: int = ROOT) -> dict[str, object]:
    """Read names and contents, folders within folders."""
    return {
        name.decode(): tree(disk, inode) if disk.nodes[inode].is_folder else disk.nodes[inode].data.decode()
        for name, inode in disk.nodes[folder].names.items()
    }


class Last(Random):
    """The journal has been written up to its end."""

    def randint(self, a: int, b: int) -> int:
        return b


class First(Random):
    """The journal has not been written further than an fsync demands."""

    def randint(self, a: int, b: int) -> int:
        return a


@pytest.mark.parametrize("kind", ["asked", "journal"])
def test_what_was_not_synced_is_forgotten(kind: Cut) -> None:
    disk = VolatileDisk()
    old = add_file(disk, "old", "before")
    disk.settle()
    disk.write(old, 0, b"after!")
    add_file(disk, "new", "text")
    disk.cut(kind, First())
    assert tree(disk) == {"old": "before"}


@pytest.mark.parametrize("kind", ["asked", "journal"])
def test_a_synced_file_keeps_contents_and_name_and_the_folders_above(kind: Cut) -> None:
    disk = VolatileDisk()
    folder = disk.add(ROOT, b"folder", Node(FOLDER))
    inode = add_file(disk, "file", "synced", folder)
    disk.fsync(inode)
    disk.write(inode, 0, b"LATER!")
    disk.cut(kind, First())
    assert tree(disk) == {"folder": {"file": "synced"}}


@pytest.mark.parametrize(("kind", "kept"), [("asked", False), ("journal", True)])
def test_an_fsync_keeps_earlier_changes_of_other_folders_in_a_journal_only(kind: Cut, kept: bool) -> None:
    disk = VolatileDisk()
    folder = disk.add(ROOT, b"folder", Node(FOLDER))
    disk.settle()
    add_file(disk, "before", "", folder)
    disk.fsync(add_file(disk, "synced", "text"))
    add_file(disk, "after", "", folder)
    disk.cut(kind, First())
    assert tree(disk) == {"folder": {"before": ""} if kept else {}, "synced": "text"}


def test_a_journal_that_was_written_on_its_own_has_names_without_contents() -> None:
    disk = VolatileDisk()
    add_file(disk, "file", "text")
    disk.cut("journal", Last())
    assert tree(disk) == {"file": ""}


def test_writeback_keeps_all_names_and_some_contents() -> None:
    disk = VolatileDisk()
    for number in range(100):
        add_file(disk, f"{number}", "text")
    disk.cut("writeback", Random(1))
    assert len(tree(disk)) == 100
    assert set(tree(disk).values()) == {"", "text"}


def test_a_folder_s_fsync_keeps_its_names_and_not_its_files_contents() -> None:
    disk = VolatileDisk()
    add_file(disk, "file", "text")
    disk.fsync(ROOT)
    disk.cut("asked", First())
    assert tree(disk) == {"file": ""}


@pytest.mark.parametrize("asked", [True, False])
def test_a_move_between_folders_is_kept_whole_or_not_at_all(asked: bool) -> None:
    disk = VolatileDisk()
    one, other = (disk.add(ROOT, name, Node(FOLDER)) for name in (b"one", b"other"))
    inode = add_file(disk, "file", "text", one)
    disk.settle()
    disk.change((one, b"file", None), (other, b"moved", inode))
    if asked:
        disk.fsync(other)
    disk.cut("asked", First())
    moved, unmoved = {"one": {}, "other": {"moved": "text"}}, {"one": {"file": "text"}, "other": {}}
    assert tree(disk) == (moved if asked else unmoved)


@pytest.mark.parametrize("asked", [True, False])
def test_a_removed_file_comes_back_unless_its_folder_was_synced(asked: bool) -> None:
    disk = VolatileDisk()
    add_file(disk, "file", "text")
    disk.settle()
    disk.change((ROOT, b"file", None))
    if asked:
        disk.fsync(ROOT)
    disk.cut("asked", First())
    assert tree(disk) == ({} if asked else {"file": "text"})


def test_a_file_of_two_names_keeps_those_that_are_durable() -> None:
    disk = VolatileDisk()
    folder = disk.add(ROOT, b"folder", Node(FOLDER))
    inode = add_file(disk, "first", "text")
    disk.settle()
    disk.change((folder, b"second", inode))
    disk.change((ROOT, b"first", None))
    assert disk.nodes[inode].links == 1
    disk.cut("asked", First())
    assert tree(disk) == {"folder": {}, "first": "text"}
    assert disk.nodes[inode].links == 1


def test_the_mounted_disk_is_a_file_system_that_forgets(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk") as disk:
        kept, lost = disk.folder / "kept", disk.folder / "lost"
        for folder in (kept, lost):
            folder.mkdir()
            (folder / "file").write_text(folder.name)
        disk.settle()
        (kept / "file").write_text("changed and not synced")
        with (kept / "new").open("w") as stream:
            stream.write("synced")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(kept / "file", lost / "linked")
        assert (lost / "linked").stat().st_nlink == 2
        exchange(kept / "new", lost / "file")
        assert ((kept / "new").read_text(), (lost / "file").read_text()) == ("lost", "synced")
        disk.cut("asked", 0)
        found = {str(path.relative_to(disk.folder)): path.read_text() for path in disk.folder.glob("*/*")}
        assert found == {"kept/file": "kept", "kept/new": "synced", "lost/file": "lost"}
    assert not os.path.ismount(disk.folder)


def exchange(one: Path, other: Path) -> None:
    call = ctypes.CDLL(None, use_errno=True).renameat2
    assert call(-100, os.fsencode(one), -100, os.fsencode(other), RENAME_EXCHANGE) == 0, os.strerror(ctypes.get_errno())
