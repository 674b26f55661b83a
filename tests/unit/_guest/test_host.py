# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What keeps a host from being generalized by mistake."""

from __future__ import annotations

import json
import os
import platform
import stat
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest import host
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    DEBIAN,
    FAMILIES,
    REDHAT,
    Family,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

from tests.unit._guest.planting import make_root, write

MACHINE_ID = "0123456789abcdef0123456789abcdef"
IDENTITY = host.Identity("web1.example", MACHINE_ID, ("web1.example", "web1"), "debian")


@pytest.mark.parametrize(
    "told", ["a1b2c3d4-0102-0304-8506-0708090a0b0c", "d4c3b2a1-0201-0403-8506-0708090a0b0c"]
)
def test_azures_id_of_the_machine_confirms_it_in_either_order_of_bytes(told: str, tmp_path: Path) -> None:
    firmware = tmp_path / "product_uuid"
    firmware.write_text(told.upper() + "\n")
    identity = IDENTITY._replace(vm_ids=host._vm_ids(str(firmware)))
    host.check_confirmed(identity, "A1B2C3D4-0102-0304-8506-0708090A0B0C")
    with pytest.raises(GuestError, match="confirmation is"):
        host.check_confirmed(identity, "a1b2c3d4-0102-0304-8506-0708090a0b0d")
    assert host._vm_ids(str(tmp_path / "missing")) == ()


def test_host_that_is_not_the_machine_named_in_azure_is_refused() -> None:
    identity = IDENTITY._replace(vm_ids=("a1b2c3d4-0102-0304-8506-0708090a0b0c",))
    host.check_vm(identity, "")
    host.check_vm(identity, "A1B2C3D4-0102-0304-8506-0708090A0B0C")
    with pytest.raises(GuestError, match=r"'web1\.example', tells a1b2c3d4.*nothing was changed"):
        host.check_vm(identity, "a1b2c3d4-0102-0304-8506-0708090a0b0d")
    with pytest.raises(GuestError, match="tells none"):
        host.check_vm(IDENTITY, "a1b2c3d4-0102-0304-8506-0708090a0b0d")


@pytest.mark.parametrize("confirm", ["web1", "WEB1.example", MACHINE_ID, " web1 "])
def test_host_named_by_any_of_its_names_is_accepted(confirm: str) -> None:
    host.check_confirmed(IDENTITY, confirm)


@pytest.mark.parametrize("confirm", ["", " ", "web2", "web", "localhost", MACHINE_ID[:8]])
def test_other_hosts_are_refused_with_both_names(confirm: str) -> None:
    with pytest.raises(GuestError) as refused:
        host.check_confirmed(IDENTITY, confirm)
    assert repr(confirm) in str(refused.value)
    assert "web1.example" in str(refused.value)
    assert MACHINE_ID in str(refused.value)


def test_host_without_machine_id_is_not_confirmed_by_nothing() -> None:
    with pytest.raises(GuestError):
        host.check_confirmed(IDENTITY._replace(machine_id="", names=()), "")


def test_names_of_an_unfinished_last_step_still_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"hostnames": ["web1"], "machine_id": MACHINE_ID}))
    monkeypatch.setattr(host, "JOB_FILE", str(job))
    monkeypatch.setattr(platform, "node", lambda: "localhost.localdomain")
    identity = host.identify(Guest(LiveRoot(str(make_root(tmp_path / "root")))))
    if os.geteuid() == 0:
        assert (identity.hostname, identity.machine_id) == ("web1", MACHINE_ID)
    os.chown(job, 1234, 1234) if os.geteuid() == 0 else None
    identity = host.identify(Guest(LiveRoot(str(tmp_path / "root"))))
    assert identity.names == ()


@pytest.mark.parametrize(
    ("release", "named"),
    [
        ('ID=arch\nPRETTY_NAME="Arch Linux"\n', "Arch Linux"),
        ("ID=alpine\n", "alpine"),
        ("", "an unknown distribution"),
    ],
)
def test_other_distributions_are_refused_by_name(release: str, named: str, tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, "/etc/os-release", release.encode())
    guest = Guest(LiveRoot(str(top)))
    with pytest.raises(
        GuestError, match=f"runs {named}; supported distributions are Debian and Ubuntu; Red Hat"
    ):
        host.check_distribution(guest, host.identify(guest))


@pytest.mark.parametrize("family", FAMILIES, ids=[family.id for family in FAMILIES])
def test_every_family_of_distributions_is_accepted(family: Family, tmp_path: Path) -> None:
    guest = Guest(LiveRoot(str(make_root(tmp_path / "root", family))))
    host.check_distribution(guest, host.identify(guest))


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "FreeBSD")
    with pytest.raises(GuestError, match="runs FreeBSD, not Linux"):
        host.check_platform()


@pytest.mark.parametrize("name", ["root", "toor", "a b", "../x", ""])
def test_accounts_that_must_not_go_are_refused(name: str, tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, "/etc/passwd", b"root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n")
    with pytest.raises(GuestError, match="account"):
        host.check_accounts(Guest(LiveRoot(str(top))), [name])


@pytest.mark.parametrize(("family", "package"), [(DEBIAN, "waagent"), (REDHAT, "WALinuxAgent")])
def test_missing_agent_is_refused_with_its_package(
    family: Family, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = Guest(LiveRoot(str(make_root(tmp_path / "root", family))))
    monkeypatch.setattr("shutil.which", lambda *_args, **_kwargs: None)
    with pytest.raises(GuestError, match=f"install package {package}"):
        host.find_agent(guest)


def test_agent_that_does_not_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = tmp_path / "waagent"
    agent.write_text("#!/bin/sh\necho no module named distro\nexit 1\n")
    agent.chmod(agent.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr("shutil.which", lambda *_args, **_kwargs: str(agent))
    with pytest.raises(GuestError, match="exit status 1: no module named distro"):
        host.find_agent(Guest(LiveRoot(str(tmp_path))))


@pytest.mark.parametrize(
    ("files", "agent", "refused"),
    [
        ({}, False, True),
        ({"/usr/bin/cloud-init": ""}, False, False),
        ({"/usr/bin/cloud-init": "", "/etc/cloud/cloud-init.disabled": ""}, False, True),
        ({"/etc/waagent.conf": "Provisioning.Agent=waagent\n"}, True, False),
        ({"/etc/waagent.conf": "Provisioning.Agent=cloud-init\n"}, True, True),
        ({"/etc/waagent.conf": "Provisioning.RegenerateSshHostKeyPair=n\n"}, True, True),
        ({"/etc/waagent.conf": "Provisioning.Enabled=n\nProvisioning.UseCloudInit=y\n"}, True, True),
        ({"/etc/waagent.conf": "Provisioning.Enabled=n\nProvisioning.Agent=waagent\n"}, True, False),
        ({"/usr/lib/systemd/system/sshd-keygen@.service": ""}, False, False),
        ({"/usr/sbin/sshd-gen-keys-start": ""}, False, False),
    ],
)
def test_host_keys_go_only_where_new_ones_are_made(
    files: dict[str, str], agent: bool, refused: bool, tmp_path: Path
) -> None:
    top = tmp_path / "root"
    for path, text in {"/usr/sbin/sshd": "", **files}.items():
        write(top, path, text.encode())
    guest = Guest(LiveRoot(str(top)))
    if refused:
        with pytest.raises(GuestError, match="new SSH host keys"):
            host.check_new_host_keys(guest, agent)
    else:
        host.check_new_host_keys(guest, agent)
