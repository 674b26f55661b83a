# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Every trace is found and removed by its one definition, and nothing else is touched."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import audit
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    DEBIAN,
    FAMILIES,
    REDHAT,
    SUSE,
    Family,
    family_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.removal import remove
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import SEVERITIES, Trace
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import (
    TRACES,
    Selection,
    audited,
    selected,
)

from tests.unit._guest.planting import (
    BUILD_ACCOUNT,
    HOSTNAME,
    KEPT,
    SECRET,
    known_to,
    make_root,
    plant,
    write,
)

TREE_OF_ACCOUNTS = ("build-accounts", "people-accounts")
FAMILY_IDS = [family.id for family in FAMILIES]


# All on one family, and on the others what is different there.
EVERYWHERE = [
    (family, trace)
    for family in FAMILIES
    for trace in known_to(family)
    if family is DEBIAN or any(family in place.families for place in trace.places)
]
in_every_family = pytest.mark.parametrize(
    ("family", "trace"), EVERYWHERE, ids=[f"{family.id}-{trace.id}" for family, trace in EVERYWHERE]
)


def guest_of(top: Path) -> Guest:
    return Guest(LiveRoot(str(top)), [BUILD_ACCOUNT], [HOSTNAME])


def snapshot(top: Path) -> dict[str, tuple[int, bytes | str]]:
    seen: dict[str, tuple[int, bytes | str]] = {}
    for path in top.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            seen[f"/{path.relative_to(top)}"] = (mode, str(path.readlink()))
        elif stat.S_ISREG(mode):
            seen[f"/{path.relative_to(top)}"] = (mode, path.read_bytes())
    seen.pop("/etc/.pwd.lock", None)
    return seen


@pytest.mark.parametrize("family", FAMILIES, ids=FAMILY_IDS)
def test_clean_root_has_no_findings(family: Family, tmp_path: Path) -> None:
    top = make_root(tmp_path / "root", family)
    assert audit(guest_of(top), audited([], [])) == []


@in_every_family
def test_planted_trace_is_seen_then_removed_then_not_seen(
    family: Family, trace: Trace, tmp_path: Path
) -> None:
    top = make_root(tmp_path / "root", family)
    clean = snapshot(top)
    plant(top, trace)
    planted = snapshot(top)
    assert planted != clean

    findings = [finding for finding in audit(guest_of(top), audited([], [])) if finding.id == trace.id]
    assert findings
    assert all(SECRET not in str(finding) for finding in findings)
    found = {finding.path for finding in findings}

    done = remove(guest_of(top), [trace])

    assert done.failures == []
    assert {item.path for item in done.removed} == found
    assert audit(guest_of(top), [trace]) == []
    after = snapshot(top)
    for path, content in planted.items():
        touched = any(path == hit or path.startswith(hit + "/") for hit in found)
        assert touched or after.get(path) == content, f"{path} was changed without being reported"
    for path, text in KEPT.items():
        assert after[path][1] == text.encode(), f"{path} is needed"


@in_every_family
def test_planting_covers_every_pattern_of_a_trace(family: Family, trace: Trace, tmp_path: Path) -> None:
    top = make_root(tmp_path / "root", family)
    before = set(snapshot(top))
    plant(top, trace)
    planted = {path for path in set(snapshot(top)) - before if not path.endswith("/.keep")}
    found = {hit.path for _place, hit in trace.find(guest_of(top))}
    if trace.id not in TREE_OF_ACCOUNTS:
        links = {path.replace("/var/spool/mail", "/var/mail") for path in planted}
        assert links <= {path for path in links if any(path == f or path.startswith(f + "/") for f in found)}


@pytest.mark.parametrize("family", FAMILIES, ids=FAMILY_IDS)
def test_everything_at_once_leaves_nothing(family: Family, tmp_path: Path) -> None:
    top = make_root(tmp_path / "root", family)
    for trace in known_to(family):
        plant(top, trace)
    ids = tuple(trace.id for trace in known_to(family))
    assert {finding.id for finding in audit(guest_of(top), audited([], []))} == set(ids)

    done = remove(guest_of(top), selected(Selection(include=ids)))

    assert done.failures == []
    assert audit(guest_of(top), audited([], [])) == []
    assert not [
        path
        for path, (_mode, data) in snapshot(top).items()
        if isinstance(data, bytes) and SECRET.encode() in data
    ]


def test_second_removal_finds_nothing(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    for trace in TRACES:
        plant(top, trace)
    remove(guest_of(top), selected(Selection()))
    assert remove(guest_of(top), selected(Selection())).removed == []


def test_definitions_are_complete() -> None:
    ids = [trace.id for trace in TRACES]
    assert len(set(ids)) == len(ids)
    for trace in TRACES:
        assert re.fullmatch(r"[a-z][a-z-]+", trace.id)
        assert trace.severity in SEVERITIES
        assert trace.reason.endswith(".")
        assert trace.default or "Off: " in trace.reason, f"{trace.id}: say why it is off by default"
        assert all(place.what and place.patterns for place in trace.places)


@pytest.mark.parametrize(
    ("release", "family"),
    [
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, DEBIAN),
        ({"ID": "amzn", "ID_LIKE": "centos rhel fedora"}, REDHAT),
        ({"ID": "opensuse-slowroll", "ID_LIKE": "opensuse suse"}, SUSE),
        ({"ID": "arch"}, None),
        ({}, None),
    ],
)
def test_distribution_that_derives_from_a_known_one_is_taken_for_it(
    release: dict[str, str], family: Family | None
) -> None:
    assert family_of(release) is family


def test_everything_is_looked_for_in_a_guest_of_no_known_family(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, "/etc/os-release", b"ID=exotic\n")
    write(top, "/var/cache/zypp/solv", b"x")
    write(top, "/var/cache/tdnf/repo", b"x")
    found = {finding.path for finding in audit(guest_of(top), audited([], []))}
    assert found == {"/var/cache/zypp/solv", "/var/cache/tdnf/repo"}


@pytest.mark.parametrize(("family", "left"), [(DEBIAN, "GenerateName=yes\n"), (REDHAT, None), (SUSE, None)])
def test_initiator_name_is_left_as_the_distribution_makes_a_new_one_from(
    family: Family, left: str | None, tmp_path: Path
) -> None:
    top = make_root(tmp_path / "root", family)
    file = top / "etc/iscsi/initiatorname.iscsi"
    write(top, "/etc/iscsi/initiatorname.iscsi", b"InitiatorName=iqn.1993-08.org.debian:01:abcdef\n")
    remove(guest_of(top), selected(Selection()))
    assert (file.read_text() if file.exists() else None) == left


def test_interface_file_of_suse_loses_the_address_and_stays(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root", SUSE)
    write(top, "/etc/sysconfig/network/ifcfg-eth0", b"BOOTPROTO='dhcp'\nHWADDR='00:0d:3a:01:02:03'\n")
    remove(guest_of(top), selected(Selection()))
    assert (top / "etc/sysconfig/network/ifcfg-eth0").read_text() == "BOOTPROTO='dhcp'\n"


def test_link_to_the_host_name_stays_a_link(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root", SUSE)
    write(top, "/etc/hostname", b"web1\n")
    (top / "etc/HOSTNAME").symlink_to("hostname")
    remove(guest_of(top), selected(Selection()))
    assert (top / "etc/HOSTNAME").is_symlink()
    assert (top / "etc/HOSTNAME").read_text() == "localhost\n"


def test_accounts_of_others_and_shared_groups_stay(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(
        top,
        "/etc/passwd",
        (
            KEPT["/etc/passwd"] + "packer:x:1000:1000::/home/packer:/bin/sh\n"
            "deploy:x:1001:1000::/srv/deploy:/bin/sh\n"
        ).encode(),
    )
    write(top, "/etc/group", b"root:x:0:\npacker:x:1000:\nsudo:x:27:deploy,packer\n")
    write(top, "/etc/sudoers.d/team", b"deploy ALL=(ALL) ALL\npacker ALL=(ALL) ALL\npackers ALL=(ALL) ALL\n")
    remove(guest_of(top), selected(Selection()))
    assert "packer" not in (top / "etc/passwd").read_text()
    assert "deploy:x:1001:1000" in (top / "etc/passwd").read_text()
    assert (top / "etc/group").read_text() == "root:x:0:\npacker:x:1000:\nsudo:x:27:deploy\n"
    assert (top / "etc/sudoers.d/team").read_text() == "deploy ALL=(ALL) ALL\npackers ALL=(ALL) ALL\n"


def test_account_whose_home_is_a_system_directory_keeps_it(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, "/srv/data", b"x")
    write(top, "/etc/passwd", (KEPT["/etc/passwd"] + f"packer:x:{os.getuid()}:1000::/srv:/bin/sh\n").encode())
    remove(guest_of(top), selected(Selection()))
    assert (top / "srv/data").exists()


def test_directory_that_is_called_core_is_no_core_file(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    for path in ("/core/app", "/root/core/app"):
        write(top, path, b"x")
    write(top, "/core.4711", b"memory")
    remove(guest_of(top), selected(Selection()))
    assert (top / "core/app").exists()
    assert (top / "root/core/app").exists()
    assert not (top / "core.4711").exists()


def test_keys_of_a_service_with_its_home_in_etc_are_no_keys_of_a_person(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    passwd = KEPT["/etc/passwd"] + "openvpn:x:990:990::/etc/openvpn:/sbin/nologin\n"
    write(top, "/etc/passwd", passwd.encode())
    write(top, "/etc/openvpn/server.key", b"BEGIN PRIVATE KEY\n")
    remove(guest_of(top), selected(Selection()))
    assert (top / "etc/openvpn/server.key").exists()
    remove(guest_of(top), selected(Selection(include=("vpn-keys",))))
    assert not (top / "etc/openvpn/server.key").exists()


def test_rules_that_cloud_init_binds_interfaces_with_go(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root", SUSE)
    rules = "/etc/udev/rules.d/85-persistent-net-cloud-init.rules"
    write(top, rules, b'ATTR{address}=="00:0d:3a:01:02:03", NAME="eth0"\n')
    remove(guest_of(top), selected(Selection()))
    assert not (top / rules[1:]).exists()


def test_mode_and_owner_of_rewritten_files_stay(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    for trace in TRACES:
        plant(top, trace)
    (top / "etc/shadow").chmod(0o640)
    remove(guest_of(top), selected(Selection()))
    assert stat.S_IMODE((top / "etc/shadow").stat().st_mode) == 0o640


def test_resolver_that_is_a_link_stays(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, "/run/resolv.conf", b"nameserver 192.0.2.1\n")
    (top / "etc/resolv.conf").symlink_to("../run/resolv.conf")
    remove(guest_of(top), selected(Selection()))
    assert (top / "etc/resolv.conf").is_symlink()
    assert (top / "run/resolv.conf").read_text() == "nameserver 192.0.2.1\n"


@pytest.mark.parametrize("how", ["no cloud-init", "disabled", "network disabled"])
def test_network_configuration_stays_where_nothing_would_write_it_again(how: str, tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, "/etc/netplan/50-cloud-init.yaml", b"network: {}\n")
    write(top, "/etc/netplan/00-installer-config.yaml", b"network: {}\n")
    write(top, "/etc/cloud/cloud.cfg.d/99-installer.cfg", b"users: [{hashed_passwd: $6$x}]\n")
    if how == "no cloud-init":
        (top / "usr/bin/cloud-init").unlink()
    elif how == "disabled":
        write(top, "/etc/cloud/cloud-init.disabled", b"")
    else:
        write(top, "/etc/cloud/cloud.cfg.d/99-net.cfg", b"network:\n  config: disabled\n")
    remove(guest_of(top), selected(Selection()))
    assert (top / "etc/netplan/50-cloud-init.yaml").exists()
    assert (top / "etc/netplan/00-installer-config.yaml").exists()
    # The installer's answers are no network, and hold the hash of a person's password.
    assert not (top / "etc/cloud/cloud.cfg.d/99-installer.cfg").exists()


def test_links_lead_nowhere_outside_of_the_root(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    outside = tmp_path / "outside"
    write(outside, "/authorized_keys", b"ssh-ed25519 AAAA\n")
    write(outside, "/precious", b"x")
    for name, target in (("absolute", str(outside)), ("upwards", "../../../../outside")):
        (top / "home" / name).mkdir(parents=True)
        (top / "home" / name / ".ssh").symlink_to(target)
        (top / "home" / name / ".cache").symlink_to(target)
    (top / "home/loop").symlink_to("loop")
    remove(guest_of(top), selected(Selection()))
    assert (outside / "authorized_keys").exists()
    assert (outside / "precious").exists()
    assert not (top / "home/absolute/.cache").is_symlink()


class ReadOnlyFiles(LiveRoot):
    """A root whose files cannot be written, as with chattr +i."""

    def write(self, path: str, data: bytes, mode: int | None = None) -> None:
        raise GuestError(f"{path}: cannot be changed to {len(data)} bytes ({mode}): Operation not permitted")


def test_one_trace_that_cannot_be_removed_does_not_keep_the_others(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    for trace in TRACES:
        plant(top, trace)
    lines = next(trace for trace in TRACES if trace.id == "hostname")
    later = next(trace for trace in TRACES if trace.id == "journal")
    done = remove(Guest(ReadOnlyFiles(str(top))), [lines, later])
    assert "Operation not permitted" in done.failures[0]
    assert {item.id for item in done.removed} == {"journal"}


@pytest.mark.parametrize("path", ["etc/x", "/", "/etc", "/*/x", "~/", "~", "/etc/../x", "/e\0/x"])
def test_extra_traces_that_would_take_too_much_are_refused(path: str) -> None:
    with pytest.raises(GuestError, match="extra trace"):
        selected(Selection(extra=(path,)))


def test_extra_traces_are_removed_in_every_home(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, "/home/alice/.config/app/token", b"x")
    write(top, "/opt/app/license.key", b"x")
    remove(guest_of(top), selected(Selection(extra=("~/.config/app", "/opt/app/*.key"))))
    assert not (top / "home/alice/.config/app").exists()
    assert not (top / "opt/app/license.key").exists()


def test_unknown_ids_are_refused_with_the_known_ones() -> None:
    with pytest.raises(GuestError, match=r"no trace 'machineid'.*machine-id"):
        selected(Selection(exclude=("machineid",)))


def test_excluded_traces_stay_and_waived_ones_are_not_reported(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, "/etc/machine-id", b"0123\n")
    remove(guest_of(top), selected(Selection(exclude=("machine-id",))))
    assert (top / "etc/machine-id").read_bytes() == b"0123\n"
    assert audit(guest_of(top), audited([], ["machine-id"]), ["machine-id"]) == []


def test_memory_file_systems_are_left_out() -> None:
    assert Path("/proc/version").exists()
    assert LiveRoot("/").glob("/proc/version") == []


def test_git_forgets_the_person_and_keeps_all_other_settings(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    (trace,) = [trace for trace in TRACES if trace.id == "git-identity"]
    plant(top, trace)
    remove(guest_of(top), [trace])
    left = (top / "root/.gitconfig").read_text()
    assert left == "[core]\n\teditor = vi\n[user]\n\tuseConfigOnly = true\n"


def test_lists_of_cron_and_at_lose_the_removed_account_only(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    (trace,) = [trace for trace in TRACES if trace.id == "build-accounts"]
    plant(top, trace)
    remove(guest_of(top), [trace])
    assert (top / "etc/cron.allow").read_text() == (top / "etc/at.deny").read_text() == "operator\n"


def test_planting_never_writes_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    top = make_root(tmp_path / "root")
    (top / "etc/link").symlink_to(outside)
    write(top, "/etc/link", b"planted")
    assert outside.read_text() == "mine"
    assert (top / "etc/link").read_bytes() == b"planted"


def test_label_and_access_list_of_a_rewritten_file_stay(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    (trace,) = [trace for trace in TRACES if trace.id == "root-password"]
    plant(top, trace)
    label = b"system_u:object_r:shadow_t:s0\0"
    try:
        os.setxattr(top / "etc/shadow", "security.selinux", label)
    except OSError:
        pytest.skip("files cannot be labelled here; this needs root")
    before = (top / "etc/shadow").stat().st_ino
    remove(guest_of(top), [trace])
    assert (top / "etc/shadow").stat().st_ino != before
    assert os.getxattr(top / "etc/shadow", "security.selinux") == label
