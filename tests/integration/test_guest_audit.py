# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""guest_audit in real ansible-playbook runs, on disks and trees with planted traces."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.plays import Player
from tests.unit._guest.azure_ready import make_ready
from tests.unit._guest.planting import SECRET, make_root, write
from tests.unit._guest.test_disk_root import make_disk


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """Runs modules; the audit needs no Azure."""
    return Player(tmp_path_factory.mktemp("plays"), {})


@pytest.fixture(scope="module")
def clean_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("clean") / "root")


@pytest.fixture(scope="module")
def traced_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = make_root(tmp_path_factory.mktemp("traced") / "root")
    write(top, "/root/.bash_history", SECRET.encode())
    write(top, "/etc/ssh/ssh_host_ed25519_key", SECRET.encode())
    write(top, "/var/cache/apt/pkgcache.bin", SECRET.encode())
    return top


@pytest.fixture(scope="module")
def traced_disk(traced_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("disk") / "traced.raw", [traced_tree])


def test_clean_disk_passes(ansible: Player, clean_tree: Path, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "clean.raw", [clean_tree])
    result = ansible.module("guest_audit", {"disk": str(disk), "look_for": ["traces"]}).succeeded().last
    assert not result.changed
    assert result["findings"] == []
    assert result["traces_left"] == 0
    assert result["table"] == ["no findings"]


def test_traces_fail_the_audit_and_are_listed_without_content(ansible: Player, traced_disk: Path) -> None:
    options = {"disk": str(traced_disk), "look_for": ["traces"]}
    run = ansible.module("guest_audit", options, check=True, diff=True, verbosity=3)
    result = run.failed_with("2 traces are left", "shell-history", "waive")
    assert {finding["id"] for finding in result["findings"]} == {
        "shell-history",
        "ssh-host-keys",
        "package-caches",
    }
    assert result["traces_left"] == 3
    assert any("/root/.bash_history" in line for line in result["table"])
    assert SECRET not in run.output


def test_threshold_decides(ansible: Player, traced_tree: Path) -> None:
    traced = {"root": str(traced_tree), "look_for": ["traces"]}
    waived = {**traced, "waive": ["shell-history", "ssh-host-keys"]}
    cases: list[dict[str, object]] = [
        {**traced, "fail_on": "never"},
        {**waived, "fail_on": "error"},
        {**waived, "fail_on": "warning"},
    ]
    results = ansible.each("guest_audit", cases)
    assert [result.failed for result in results] == [False, False, True]
    assert [result["traces_left"] for result in results] == [3, 1, 1]


def test_accounts_and_own_paths_are_looked_for(ansible: Player, clean_tree: Path) -> None:
    write(clean_tree, "/home/packer/notes", b"x")
    write(clean_tree, "/opt/app/license.key", b"x")
    options = {"root": str(clean_tree), "accounts": ["packer"], "extra_traces": ["/opt/app/*.key"]}
    result = ansible.module("guest_audit", options | {"fail_on": "never"}).succeeded().last
    found = {(finding["id"], finding["path"]) for finding in result["findings"]}
    assert ("build-accounts", "/home/packer") in found
    assert ("extra", "/opt/app/license.key") in found


def test_bad_input_is_refused_with_what_is_wrong(ansible: Player, tmp_path: Path) -> None:
    empty, text = tmp_path / "empty", tmp_path / "text"
    empty.touch()
    text.write_bytes(b"not a disk " * 100)
    cases: list[tuple[dict[str, object], str]] = [
        ({"disk": str(empty)}, "is empty"),
        ({"disk": str(text)}, str(text)),
        ({"disk": "/no/such/disk"}, "there is no such file"),
        ({"disk": "/etc"}, "is a directory"),
        ({"root": "/no/such/root"}, "is no directory"),
        ({"disk": "/x", "root": "/y"}, "mutually exclusive"),
        ({"partition": 1}, "disk"),
        ({"disk": "/x", "partition": 1, "volume": "a/b"}, "mutually exclusive"),
        ({"look_for": ["everything"]}, "must be one or more of: traces, boot"),
        ({"waive": ["machineid"]}, "there is no trace 'machineid'"),
        ({"extra_traces": ["/etc"]}, "would remove a directory of the system"),
    ]
    results = ansible.each("guest_audit", [options for options, _message in cases])
    assert len(results) == len(cases)
    for result, (options, message) in zip(results, cases, strict=True):
        assert result.failed, options
        assert message in result.msg, options


def test_what_speaks_against_booting_on_azure_is_found_in_tree_and_disk(
    ansible: Player, tmp_path: Path
) -> None:
    top = make_ready(tmp_path / "root")
    write(top, "/etc/fstab", b"/dev/sda1 / ext4 defaults 0 1\n")
    (top / "usr/sbin/waagent").unlink()
    disk = make_disk(tmp_path / "disk.raw", [top])
    cases: list[dict[str, object]] = [
        {"root": str(top), "look_for": ["boot"], "waive": ["azure-agent"]},
        {"root": str(top), "look_for": ["boot"], "waive": ["azure-agent", "azure-fstab"]},
        {"disk": str(disk), "look_for": ["boot"], "fail_on": "never"},
        {"disk": str(disk), "look_for": ["traces"]},
    ]
    failed, passed, on_disk, traces = ansible.each("guest_audit", cases)
    assert failed.failed
    assert failed.msg.startswith(
        "1 problem with booting on Azure; the first is azure-fstab at /etc/fstab: /dev/sda1"
    )
    assert not passed.failed and passed["boot_problems"] == 0
    assert {finding["about"] for finding in on_disk["findings"]} == {"boot"}
    # The kernel line names a file system that is not the disk's own.
    assert [finding["id"] for finding in on_disk["findings"]] == [
        "azure-fstab",
        "azure-root-device",
        "azure-agent",
    ]
    assert on_disk["boot_problems"] == 3 and on_disk["traces_left"] == 0
    assert not traces.failed and traces["findings"] == []
