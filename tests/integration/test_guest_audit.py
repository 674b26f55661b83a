# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""guest_audit in real ansible-playbook runs, on disks and trees with planted traces."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.plays import Player
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
        ({"waive": ["machineid"]}, "there is no trace 'machineid'"),
        ({"extra_traces": ["/etc"]}, "would remove a directory of the system"),
    ]
    results = ansible.each("guest_audit", [options for options, _message in cases])
    assert len(results) == len(cases)
    for result, (options, message) in zip(results, cases, strict=True):
        assert result.failed, options
        assert message in result.msg, options
