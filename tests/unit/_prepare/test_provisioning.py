# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""cloud-init and the agent share the work of a birth, and settings keep their place in their files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import diff_of, make_changes
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.provisioning import (
    AGENT_FILE,
    CLOUD_DISABLED,
    CLOUD_FILE,
    Provisioning,
    plan_provisioning,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.settings import (
    read_settings,
    with_settings,
)

from tests.unit._prepare.host import Host

WANTED = Provisioning(
    by="cloud-init",
    agent=True,
    datasources=("Azure",),
    network_by_cloud_init=False,
    mount_point="/mnt",
    agent_swap_mib=2048,
    telemetry=True,
)
AGENT_CONF = """\
# Which provisioning agent to use.
Provisioning.Agent=auto
Provisioning.Enabled=y
# Format if unformatted.
ResourceDisk.Format=y
ResourceDisk.MountPoint=/mnt/resource
# ResourceDisk.EnableSwap=n
Provisioning.Agent=waagent # again
OS.RootDeviceScsiTimeout=300
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.write("/usr/bin/cloud-init", "")
    made.write("/usr/sbin/dhclient", "")
    made.write(AGENT_FILE, AGENT_CONF)
    return made


def prepare(host: Host, wanted: Provisioning = WANTED) -> list[str]:
    changes = plan_provisioning(Guest(host.root), wanted)
    make_changes(host.root, changes)
    assert plan_provisioning(Guest(host.root), wanted) == []
    return [change.path for change in changes]


def settings(host: Host) -> dict[str, str]:
    return read_settings(host.read(AGENT_FILE).splitlines())


def cloud_settings(host: Host) -> dict[str, object]:
    lines = (line.partition(": ") for line in host.read(CLOUD_FILE).splitlines() if line[0] != "#")
    return {key: json.loads(value) for key, _colon, value in lines}


def test_cloud_init_provisions_and_the_agent_keeps_out_of_it(host: Host) -> None:
    host.write(CLOUD_DISABLED, "")
    host.write("/etc/cloud/ds-identify.cfg", "policy: disabled\n")
    changed = prepare(host)
    assert changed == [AGENT_FILE, CLOUD_FILE, CLOUD_DISABLED, "/etc/cloud/ds-identify.cfg"]
    assert settings(host) == {
        "Provisioning.Agent": "cloud-init",
        "Provisioning.Enabled": "n",
        "ResourceDisk.Format": "n",
        "ResourceDisk.MountPoint": "/mnt",
        "ResourceDisk.EnableSwap": "n",
        "ResourceDisk.SwapSizeMB": "0",
        "OS.RootDeviceScsiTimeout": "300",
    }
    assert host.read(AGENT_FILE).count("\nProvisioning.Agent=") == 1
    assert cloud_settings(host) == {
        "datasource_list": ["Azure"],
        "datasource": {"Azure": {"apply_network_config": False}},
        "network": {"config": "disabled"},
        "reporting": {"logging": {"type": "log"}, "telemetry": {"type": "hyperv"}},
    }
    assert not (host.top / CLOUD_DISABLED[1:]).exists()
    assert not Guest(host.root).cloud_init_sets_up_network()


def test_agent_provisions_and_cloud_init_is_off(host: Host) -> None:
    prepare(host)
    prepare(host, WANTED._replace(by="waagent", mount_point="/mnt/resource"))
    found = settings(host)
    assert (found["Provisioning.Agent"], found["ResourceDisk.EnableSwap"]) == ("waagent", "y")
    assert (found["ResourceDisk.SwapSizeMB"], found["ResourceDisk.MountPoint"]) == ("2048", "/mnt/resource")
    assert (host.top / CLOUD_DISABLED[1:]).exists()
    assert not (host.top / CLOUD_FILE[1:]).exists()


def test_cloud_init_can_have_the_network_and_another_mount_point(host: Host) -> None:
    wanted = WANTED._replace(network_by_cloud_init=True, mount_point="/srv/temporary", telemetry=False)
    prepare(host, wanted)
    assert cloud_settings(host) == {
        "datasource_list": ["Azure"],
        "datasource": {"Azure": {"apply_network_config": True}},
        "mounts": [["ephemeral0", "/srv/temporary"]],
    }
    assert Guest(host.root).cloud_init_sets_up_network()


def test_file_that_cloud_init_reads_later_is_refused_and_nothing_changes(host: Host) -> None:
    host.write("/etc/cloud/cloud.cfg.d/99-installer.cfg", "datasource_list: [None]\n")
    prepare(host)
    host.write("/etc/cloud/cloud.cfg.d/zz_site.cfg", "runcmd: []\ndatasource_list: [NoCloud]\n")
    with pytest.raises(GuestError, match=r"zz_site\.cfg: sets datasource_list.*99_azure\.cfg"):
        plan_provisioning(Guest(host.root), WANTED)


SUBIQUITY = "/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg"
INSTALLED = "/etc/cloud/cloud.cfg.d/90-installer-network.cfg"


def test_ubuntu_installer_that_has_disabled_the_network_of_cloud_init_is_no_obstacle(host: Host) -> None:
    host.write(SUBIQUITY, "network: {config: disabled}\n")
    prepare(host)
    assert not Guest(host.root).cloud_init_sets_up_network()
    host.write("/etc/cloud/cloud.cfg.d/zz_site.cfg", "network:\n  version: 2\n")
    with pytest.raises(GuestError, match=r"zz_site\.cfg: sets network"):
        plan_provisioning(Guest(host.root), WANTED)


def test_network_of_an_installer_goes_where_cloud_init_is_to_ask_azure(host: Host) -> None:
    host.write(SUBIQUITY, "network: {config: disabled}\n")
    host.write(INSTALLED, "network: {version: 2, wifis: {wlan0: {access-points: {x: {password: s3cr3t}}}}}\n")
    # What cloud-init's package has in there is about how it writes, not what.
    host.write("/etc/cloud/cloud.cfg", "system_info:\n  network:\n    renderers: ['netplan']\n")
    wanted = WANTED._replace(network_by_cloud_init=True)
    assert "s3cr3t" not in str(diff_of(plan_provisioning(Guest(host.root), wanted)))
    prepare(host, wanted)
    assert not (host.top / SUBIQUITY[1:]).exists()
    assert not (host.top / INSTALLED[1:]).exists()
    assert Guest(host.root).cloud_init_sets_up_network()


def test_network_that_cloud_init_would_take_instead_of_azures_is_refused(host: Host) -> None:
    host.write("/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg", "network: {config: disabled}\n")
    prepare(host)
    with pytest.raises(GuestError, match=r"99-disable-network-config\.cfg: sets network.*instead"):
        plan_provisioning(Guest(host.root), WANTED._replace(network_by_cloud_init=True))


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (WANTED._replace(by="waagent", agent=False), "to do without it"),
        (WANTED._replace(mount_point="mnt"), "'mnt' is no path"),
        (WANTED._replace(mount_point="/mnt; reboot"), "no path"),
    ],
)
def test_what_cannot_be_is_refused(host: Host, wanted: Provisioning, reason: str) -> None:
    with pytest.raises(GuestError, match=reason):
        plan_provisioning(Guest(host.root), wanted)


def test_missing_program_is_named(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write(AGENT_FILE, AGENT_CONF)
    with pytest.raises(GuestError, match="cloud-init is not installed"):
        plan_provisioning(Guest(host.root), WANTED)
    host.write("/usr/bin/cloud-init", "")
    with pytest.raises(GuestError, match="no DHCP client to reach Azure with: none of dhclient, dhcpcd"):
        plan_provisioning(Guest(host.root), WANTED._replace(agent=True))
    host.write("/usr/sbin/dhcpcd", "")
    (tmp_path / AGENT_FILE[1:]).unlink()
    with pytest.raises(GuestError, match=r"waagent\.conf is missing"):
        plan_provisioning(Guest(host.root), WANTED)
    make_changes(host.root, plan_provisioning(Guest(host.root), WANTED._replace(agent=False)))
    assert not (tmp_path / AGENT_FILE[1:]).exists()


def test_forbidden_file_system_of_the_provisioning_medium_is_allowed_again(host: Host) -> None:
    rules = "install cramfs /bin/false\ninstall udf /bin/true\n blacklist udf\n"
    host.write("/etc/modprobe.d/hardening.conf", rules)
    prepare(host)
    allowed = (
        "install cramfs /bin/false\n# Not on Azure: install udf /bin/true\n# Not on Azure: blacklist udf\n"
    )
    assert host.read("/etc/modprobe.d/hardening.conf") == allowed


def test_diff_shows_what_comes_and_goes(host: Host) -> None:
    shown = diff_of(plan_provisioning(Guest(host.root), WANTED))
    assert shown[0]["before"] == AGENT_CONF
    assert "Provisioning.Agent=cloud-init" in shown[0]["after"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["A=1", "B.c=x"]),
        (["# A=0", "", "B.c=y"], ["# A=0", "A=1", "", "B.c=x"]),
        (["A=1", "B.c=x", "A=2", "Z=3"], ["A=1", "B.c=x", "Z=3"]),
        ([' A = "1" # kept as it is', "B.c='x'"], [' A = "1" # kept as it is', "B.c='x'"]),
        (["B.c=x", "AA=2", "XA=3"], ["B.c=x", "AA=2", "XA=3", "A=1"]),
    ],
)
def test_settings_are_given_once_and_where_they_belong(before: list[str], after: list[str]) -> None:
    wanted = {"A": "1", "B.c": "x"}
    assert with_settings(before, wanted) == after
    assert with_settings(after, wanted) == after


def test_settings_can_be_quoted() -> None:
    assert with_settings(['A="yes"'], {"A": "no"}, quote='"') == ['A="no"']
