# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Disks with btrfs are audited as their distributions lay them out, and snapshots are traces: found in a disk
file as on a running host, and deleted there unless they are mounted."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs import BtrfsVolume
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_subvolumes import (
    Subvolume,
    snapshots_among,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile
from ansible_collections.goldenimage.azure.plugins.module_utils._guest import (
    live_snapshots as live_snapshots_module,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import Finding, audit
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import open_disk_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_snapshots import live_snapshots
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.obstacles import check_removable
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.removal import remove
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.subvolumes import named
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import (
    Selection,
    audited,
    selected,
)

from tests.unit._disk.btrfs_samples import (
    btrfs,
    fill_fedora,
    make_btrfs,
    mounted_btrfs,
    stored_layout,
)
from tests.unit._disk.file_trees import MIB

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def findings_on(disk: Path, subvolume: str | None = None) -> list[tuple[str, str]]:
    with open_disk(str(disk), allow_unpartitioned=True) as reader:
        root = open_disk_root(reader, subvolume=subvolume)
        return about(audit(Guest(root), audited([], [])))


def about(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(item.id, item.path) for item in findings]


def mounts_of(disk: Path, subvolume: str | None = None) -> dict[str, str]:
    """Mount points and the subvolumes there."""
    with open_disk(str(disk), allow_unpartitioned=True) as reader:
        root = open_disk_root(reader, subvolume=subvolume)
        paths = {}
        for point, tree in root.file_systems.items():
            every = {item.number: item.path for item in tree.volume.table.all()}  # type: ignore[attr-defined]
            paths[point] = every[tree.subvolume]  # type: ignore[attr-defined]
        return paths


def test_opensuse_is_audited_with_its_subvolumes_and_snapshots(tmp_path: Path) -> None:
    disk = stored_layout(tmp_path / "disk.raw", "suse")
    assert mounts_of(disk) == {
        "/": "@/.snapshots/1/snapshot",
        "/.snapshots": "@/.snapshots",
        "/home": "@/home",
        "/var": "@/var",
    }
    assert findings_on(disk) == [
        ("journal", "/var/log/journal/0123"),
        ("snapshots", "subvolume @/.snapshots/2/snapshot"),
    ]
    assert ("machine-id", "/etc/machine-id") in findings_on(disk, "@/.snapshots/2/snapshot")


def test_fedora_is_audited_by_the_subvolume_that_fstab_names(tmp_path: Path) -> None:
    disk = stored_layout(tmp_path / "disk.raw", "fedora")
    assert mounts_of(disk) == {"/": "root", "/home": "home"}
    assert findings_on(disk) == [
        ("shell-history", "/home/alice/.bash_history"),
        ("snapshots", "subvolume root-before"),
        ("unread-file-system", "subvolume scratch of the disk itself"),
    ]


def test_subvolume_of_a_partition_is_mounted_by_its_partition(tmp_path: Path) -> None:
    volume = stored_layout(tmp_path / "volume.raw", "fedora")
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(22 * MIB)
    script = "label: gpt\nstart=1MiB, size=20MiB\n"
    subprocess.run(["/sbin/sfdisk", "--quiet", str(disk)], input=script, text=True, check=True)
    with disk.open("r+b") as file:
        file.seek(MIB)
        file.write(volume.read_bytes())
    assert findings_on(disk)[-1] == ("unread-file-system", "subvolume scratch of partition 1")
    assert mounts_of(disk) == mounts_of(volume)


@pytest.mark.parametrize("wanted", ["gone", "home"])
def test_subvolume_without_a_root_is_refused_with_those_there_are(wanted: str, tmp_path: Path) -> None:
    disk = stored_layout(tmp_path / "disk.raw", "fedora")
    with pytest.raises(DiskError, match=f"found in subvolume {wanted}; there are root, home, scratch, root/"):
        findings_on(disk, wanted)


@contextlib.contextmanager
def changed(disk: Path, name: str) -> Iterator[Path]:
    """The top level of a stored layout, to be changed by the kernel; skipped where that cannot be."""
    with mounted_btrfs(stored_layout(disk, name)) as point:
        yield point


def without_fstab(top: Path) -> None:
    (top / "root/etc/fstab").unlink()


def container(top: Path) -> None:
    without_fstab(top)
    layers = top / "root/var/lib/docker/btrfs/subvolumes"
    layers.mkdir(parents=True)
    btrfs("subvolume", "create", layers / "0123")
    (layers / "0123/etc").mkdir()
    (layers / "0123/etc/passwd").touch()


def second_system(top: Path) -> None:
    without_fstab(top)
    (top / "scratch/etc").mkdir()
    (top / "scratch/etc/passwd").touch()


def missing_mount(top: Path) -> None:
    fstab = top / "root/etc/fstab"
    fstab.write_text(fstab.read_text().replace("subvol=home", "subvolid=999"))


@needs_root
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # The one that is no snapshot.
        (without_fstab, [("snapshots", "subvolume root-before")]),
        (container, [("snapshots", "subvolume root-before")]),
        (missing_mount, [("snapshots", "subvolume root-before"), ("unread-file-system", "/home")]),
    ],
    ids=["without-fstab", "container", "missing-mount"],
)
def test_what_cannot_be_mounted_does_not_hide_the_root(
    change: Callable[[Path], None], expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    disk = tmp_path / "disk.raw"
    with changed(disk, "fedora") as top:
        change(top)
    assert findings_on(disk)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ([], 260),
        (["rw", "subvol=/@/home"], 257),
        (["subvol=@/home/", "subvolid=257"], 257),
        (["subvolid=258"], 258),
        (["subvolid=0"], 5),
        (["subvol=/"], 5),
        (["subvolid=x"], None),
        (["subvolid=999"], None),
        (["subvol=/gone"], None),
    ],
)
def test_mount_options_name_subvolumes_as_the_kernel_has_them(
    options: list[str], number: int | None, tmp_path: Path
) -> None:
    file = SourceFile(str(stored_layout(tmp_path / "disk.raw", "suse")))
    table = BtrfsVolume(RawReader(file, file.size), 0, file.size).table
    assert named(table, options) == number


@needs_root
def test_two_systems_on_one_volume_need_a_choice(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    with changed(disk, "fedora") as top:
        second_system(top)
    with pytest.raises(DiskError, match=r"subvolume root of .* and in subvolume scratch of .* name the"):
        findings_on(disk)
    assert mounts_of(disk, "scratch") == {"/": "scratch"}


def test_mounted_snapshots_layers_of_containers_and_plain_subvolumes_are_no_traces() -> None:
    def plain(number: int, path: str, parent: str = "") -> Subvolume:
        return Subvolume(number, path, parent, False)

    every = [
        plain(5, ""),
        plain(256, "@"),
        plain(257, "@/.snapshots/1/snapshot"),
        plain(258, "@/.snapshots/2/snapshot", "x"),
        plain(259, "@/var/lib/docker/btrfs/subvolumes/0123", "x"),
        plain(260, "@/var/lib/containers/storage/btrfs/subvolumes/0123", "x"),
        plain(261, "timeshift-btrfs/snapshots/2026-01-01_00-00-00/@", "x"),
        plain(262, "@/var/lib/machines"),
    ]
    assert [item.number for item in snapshots_among(every, {257})] == [258, 261]
    assert [item.number for item in snapshots_among(every, {258})] == [257, 261]


@needs_root
def test_snapshots_of_a_running_host_are_found_and_deleted_as_in_its_disk(tmp_path: Path) -> None:
    disk = stored_layout(tmp_path / "disk.raw", "suse")
    in_disk = [item for item in findings_on(disk) if item[0] == "snapshots"]
    traces = [trace for trace in selected(Selection()) if trace.id == "snapshots"]
    with mounted_btrfs(disk, "rw") as top, bound(top, "/@/.snapshots", top / ".snapshots"):
        guest = Guest(LiveRoot(str(top)))
        assert about(audit(guest, traces)) == in_disk
        assert (top / ".snapshots/2/info.xml").exists()
        done = remove(guest, traces)
        assert done.failures == []
        assert [(item.id, item.path) for item in done.removed] == in_disk
        assert audit(guest, traces) == []
        assert not (top / ".snapshots/2").exists(), "what snapper noted of it goes too"
        assert (top / ".snapshots/1/snapshot/etc/os-release").exists(), "the root is a snapshot itself"
        assert "snapshots/2" not in btrfs("subvolume", "list", top)
    assert "snapshots" not in {name for name, _path in findings_on(disk)}
    btrfs("check", disk)


@contextlib.contextmanager
def bound(top: Path, subvolume: str, point: Path) -> Iterator[None]:
    """Another subvolume of the file system that is mounted at `top`."""
    device = subprocess.run(
        ["findmnt", "--noheadings", "--output", "SOURCE", "--nofsroot", str(top)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    subprocess.run(["mount", "-o", f"subvol={subvolume}", device, str(point)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(point)], check=True)


@needs_root
def test_snapshot_that_no_directory_shows_is_deleted(tmp_path: Path) -> None:
    disk = make_btrfs(tmp_path / "disk.raw")
    with mounted_btrfs(disk) as top:
        fill_fedora(top)
    with mounted_btrfs(disk, "subvol=root") as root:
        traces = [trace for trace in selected(Selection()) if trace.id == "snapshots"]
        guest = Guest(LiveRoot(str(root)))
        assert about(audit(guest, traces)) == [("snapshots", "subvolume root-before")]
        (snapshot,) = guest.root.snapshots()
        item = f"({snapshot.number} ROOT_ITEM"
        assert item in btrfs("inspect-internal", "dump-tree", "-t", "root", disk)
        assert remove(guest, traces).failures == []
        # Its space is free when removal ends, not only its name gone.
        assert item not in btrfs("inspect-internal", "dump-tree", "-t", "root", disk)
        assert audit(guest, traces) == []
    file = SourceFile(str(disk))
    volume = BtrfsVolume(RawReader(file, file.size), 0, file.size)
    assert [item.path for item in volume.table.all()] == ["", "root", "home", "scratch", "root/nested"]


@needs_root
def test_snapshot_within_a_snapshot_is_deleted_first(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    with changed(disk, "fedora") as top:
        btrfs("subvolume", "snapshot", "-r", top / "root", top / "root-before/again")
        traces = [trace for trace in selected(Selection()) if trace.id == "snapshots"]
        point = tmp_path / "root"
        point.mkdir()
        with bound(top, "/root", point):
            guest = Guest(LiveRoot(str(point)))
            assert [item.path for item in remove(guest, traces).removed] == [
                "subvolume root-before/again",
                "subvolume root-before",
            ]


@needs_root
def test_linux_that_cannot_delete_snapshots_is_refused_before_anything_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_snapshots_module, "_DESTROY", 0x500094FE)  # as unknown as that was once
    with changed(tmp_path / "disk.raw", "fedora") as top, pytest.raises(GuestError, match=r"before 5\.7"):
        check_removable(LiveRoot(str(top)), ["subvolume root-before"])


@needs_root
def test_snapshot_with_another_subvolume_in_it_is_refused_before_anything_changes(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    with changed(disk, "fedora") as top:
        check_removable(LiveRoot(str(top)), ["subvolume root-before"])
        btrfs("subvolume", "create", top / "root-before/inner")
    with mounted_btrfs(disk, "subvol=root") as root:
        traces = [trace for trace in selected(Selection()) if trace.id == "snapshots"]
        with pytest.raises(
            GuestError, match=r"root-before has subvolume root-before/inner in it.*nothing was changed"
        ):
            check_removable(LiveRoot(str(root)), ["subvolume root-before"])
        (failure,) = remove(Guest(LiveRoot(str(root))), traces).failures
    assert "subvolume root-before: cannot be deleted" in failure
    assert "btrfs subvolume delete" in failure


def test_file_systems_that_are_no_btrfs_or_mounted_elsewhere_are_not_asked(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"2 1 0:30 /backup {tmp_path} rw - btrfs /dev/sdb1 rw,subvolid=256,subvol=/backup\n"
    )
    assert live_snapshots("", ["/", "/home"], str(mountinfo)) == []
    assert live_snapshots("", ["/"], str(tmp_path / "absent")) == []
    # Here the kernel would be asked, but the directory is on no btrfs.
    with pytest.raises(GuestError, match="the snapshots of its file system cannot be reached"):
        live_snapshots(str(tmp_path), ["/"], str(mountinfo))
