# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A disk file is audited as the tree it was made from, without root and without a mount."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import (
    TRACE,
    Finding,
    as_table,
    audit,
    count_bad,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import open_disk_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import DEBIAN
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError, RootView
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import TRACES, audited

from tests.unit._disk.lvm_samples import GROUP, Logical, Part, fill, make_group, pieces
from tests.unit._disk.test_xfs import make_xfs
from tests.unit._guest.planting import (
    BUILD_ACCOUNT,
    HOSTNAME,
    SECRET,
    known_to,
    make_root,
    plant,
    write,
)

MIB = 1 << 20


def findings_in(root: RootView) -> list[Finding]:
    return audit(Guest(root, [BUILD_ACCOUNT], [HOSTNAME]), audited([], []))


def findings_on(disk: Path, partition: int | None = None) -> list[Finding]:
    with open_disk(str(disk), allow_unpartitioned=True) as reader:
        return findings_in(open_disk_root(reader, partition))


def make_disk(path: Path, trees: list[Path], label: str = "gpt") -> Path:
    """A partitioned disk with one ext4 of 24 MiB per tree."""
    blocks = f"{24 * MIB // 1024}k"
    with path.open("wb") as file:
        file.truncate((len(trees) * 24 + 2) * MIB)
    script = f"label: {label}\n" + "".join(f"start={1 + 24 * n}MiB, size=24MiB\n" for n in range(len(trees)))
    subprocess.run(["/sbin/sfdisk", "--quiet", str(path)], input=script, text=True, check=True)
    for number, tree in enumerate(trees):
        offset = (1 + 24 * number) * MIB
        options = ["-L", f"part{number}", "-E", f"offset={offset},root_owner=0:0", "-O", "^has_journal"]
        command = [
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-d",
            str(tree),
            *options,
            str(path),
            blocks,
        ]
        subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = make_root(tmp_path_factory.mktemp("planted") / "root")
    for trace in TRACES:
        plant(top, trace)
    return top


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_disk_and_tree_have_the_same_findings(label: str, planted: Path, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk.raw", [planted], label)
    expected = findings_in(LiveRoot(str(planted)))
    assert {finding.id for finding in expected} == {trace.id for trace in known_to(DEBIAN)}
    assert findings_on(disk) == expected


@pytest.mark.parametrize(
    "arguments", [["-O", "qcow2", "-c"], ["-O", "vpc", "-o", "subformat=fixed,force_size=on"]]
)
def test_other_formats_have_the_same_findings(arguments: list[str], planted: Path, tmp_path: Path) -> None:
    raw = make_disk(tmp_path / "disk.raw", [planted])
    disk = tmp_path / "disk.other"
    subprocess.run(["qemu-img", "convert", *arguments, str(raw), str(disk)], check=True)
    assert findings_on(disk) == findings_on(raw)


def test_clean_disk_has_no_findings(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk.raw", [make_root(tmp_path / "root")])
    assert findings_on(disk) == []
    assert as_table([]) == "no findings"


def test_other_file_systems_are_mounted_as_fstab_says(tmp_path: Path) -> None:
    top, var = make_root(tmp_path / "root"), tmp_path / "log"
    write(top, "/etc/fstab", b"LABEL=part0 / ext4 defaults 0 1\nLABEL=part1 /var/log ext4 defaults 0 2\n")
    write(var, "/journal/0123/system.journal", b"x")
    found = findings_on(make_disk(tmp_path / "disk.raw", [top, var]))
    assert [(item.id, item.path) for item in found] == [("journal", "/var/log/journal/0123")]


def test_two_roots_need_a_choice(tmp_path: Path) -> None:
    first, second = make_root(tmp_path / "one"), make_root(tmp_path / "two")
    write(second, "/etc/machine-id", b"0123\n")
    disk = make_disk(tmp_path / "disk.raw", [first, second])
    with pytest.raises(DiskError, match="partition 1 and in partition 2"):
        findings_on(disk)
    assert [item.id for item in findings_on(disk, 1)] == ["unread-file-system"]
    assert [item.id for item in findings_on(disk, 2)] == ["machine-id", "unread-file-system"]
    with pytest.raises(DiskError, match="no partition 7; it has 1, 2"):
        findings_on(disk, 7)


def test_disk_without_a_linux_root_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write(data, "/file", b"x")
    with pytest.raises(DiskError, match="no Linux root file system"):
        findings_on(make_disk(tmp_path / "disk.raw", [data]))


def test_file_system_that_was_not_unmounted_is_a_finding(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk.raw", [make_root(tmp_path / "root")])
    with disk.open("r+b") as file:
        file.seek(MIB + 1024 + 96)
        flags = int.from_bytes(file.read(4), "little") | 4
        file.seek(MIB + 1024 + 96)
        file.write(flags.to_bytes(4, "little"))
    assert [(item.id, item.path) for item in findings_on(disk)] == [("unclean-file-system", "/")]


def test_disk_cannot_be_changed(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk.raw", [make_root(tmp_path / "root")])
    with open_disk(str(disk)) as reader, pytest.raises(GuestError, match="only be looked at"):
        _unused = Guest(open_disk_root(reader)).tree


def test_table_names_every_finding_and_shows_no_content(planted: Path) -> None:
    findings = findings_in(LiveRoot(str(planted)))
    table = as_table(findings)
    assert SECRET not in table
    assert {finding.id for finding in findings} <= set(re.findall(r"[a-z-]+", table))
    assert count_bad(findings, TRACE) == len([item for item in findings if item.severity != "info"])
    severities = [item.severity for item in findings]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_root_on_logical_volumes_of_ext4_and_xfs_is_audited(tmp_path: Path) -> None:
    top, var = make_root(tmp_path / "root"), tmp_path / "var"
    fstab = "/dev/mapper/guest--vg-root / ext4 defaults 0 1\n/dev/guest-vg/var /var xfs defaults 0 0\n"
    write(top, "/etc/fstab", fstab.encode())
    write(top, "/root/.bash_history", SECRET.encode())
    write(var, "/log/journal/0123/system.journal", b"x")
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(480 * MIB)
    kind = "E6D6D379-F507-44C2-A23C-238F2A3DF928"
    script = f"label: gpt\nstart=1MiB, size=32MiB\nstart=33MiB, size=440MiB, type={kind}\n"
    subprocess.run(["/sbin/sfdisk", "--quiet", str(disk)], input=script, text=True, check=True)
    parts = [Part(disk, 33 * MIB, 440 * MIB)]
    # The root grows around the other volume, so that it lies in two places.
    volumes = [Logical("root", 5), Logical("var", 80)]
    make_group(tmp_path, parts, volumes, [f"lvextend -l +5 {GROUP}/root"])
    places = pieces(tmp_path, parts)
    root = tmp_path / "root.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(top), str(root), "40M"], check=True)
    fill(places["root"], root)
    fill(places["var"], make_xfs(tmp_path / "var.img", var))
    assert [(item.id, item.path) for item in findings_on(disk)] == [
        ("journal", "/var/log/journal/0123"),
        ("shell-history", "/root/.bash_history"),
    ]
    with open_disk(str(disk)) as reader:
        assert sorted(open_disk_root(reader, volume="guest-vg/root").file_systems) == ["/", "/var"]
        with pytest.raises(
            DiskError, match="no logical volume guest-vg/home; it has guest-vg/root, guest-vg/var"
        ):
            open_disk_root(reader, volume="guest-vg/home")


def test_what_of_a_disk_was_not_looked_at_is_a_finding(tmp_path: Path) -> None:
    other = tmp_path / "other"
    write(other, "/file", b"x")
    disk = make_disk(tmp_path / "disk.raw", [make_root(tmp_path / "root"), other, other])
    with disk.open("r+b") as file:
        file.seek((1 + 48) * MIB)
        file.write(b"LUKS\xba\xbe\0\2" + bytes(2048))
    found = [(item.id, item.path, item.severity) for item in findings_on(disk)]
    assert found == [
        ("unread-file-system", "partition 3", "warning"),
        ("unread-file-system", "partition 2", "info"),
    ]


def test_swap_volume_that_was_used_is_a_finding(tmp_path: Path) -> None:
    other = tmp_path / "other"
    write(other, "/file", b"x")
    disk = make_disk(tmp_path / "disk.raw", [make_root(tmp_path / "root"), other, other])
    for number in (1, 2):
        swap = tmp_path / "swap"
        swap.write_bytes(bytes(24 * MIB))
        subprocess.run(["/sbin/mkswap", str(swap)], check=True, capture_output=True)
        with disk.open("r+b") as file:
            file.seek((1 + 24 * number) * MIB)
            file.write(swap.read_bytes())
    assert findings_on(disk) == []
    with disk.open("r+b") as file:
        file.seek((1 + 48 + 20) * MIB)
        file.write(SECRET.encode())
    assert [(item.id, item.path, item.severity) for item in findings_on(disk)] == [
        ("swap-volume", "partition 3", "warning")
    ]
