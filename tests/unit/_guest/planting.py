# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A small root of each family of distributions, and traces of every definition planted into it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.accounts import Accounts
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import (
    AZURELINUX,
    DEBIAN,
    FLATCAR,
    REDHAT,
    SUSE,
    Family,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import (
    Content,
    Lines,
    Logs,
    Place,
    Remove,
    Snapshots,
    SwapContents,
    Truncate,
    expand,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import TRACES

SECRET = "s3cr3t-content"
NOT_IN_DIRECTORIES = ("snapshots",)
BUILD_ACCOUNT, PERSON, HOSTNAME = "packer", "alice", "web1"

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
# As the distributions write it.
OS_RELEASE = {
    DEBIAN: 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    REDHAT: 'ID="rocky"\nID_LIKE="rhel centos fedora"\nPRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\n',
    SUSE: 'ID="sles"\nID_LIKE="suse"\nPRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"\n',
    AZURELINUX: 'ID=azurelinux\nPRETTY_NAME="Microsoft Azure Linux 3.0"\n',
    FLATCAR: 'ID=flatcar\nID_LIKE=coreos\nPRETTY_NAME="Flatcar Container Linux by Kinvolk 3975.2.2"\n',
}
# What an image needs; no removal may touch it.
KEPT = {
    "/etc/passwd": PASSWD,
    "/etc/shadow": "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
    "/etc/group": "root:x:0:\nsudo:x:27:\nadm:x:4:\n",
    "/etc/gshadow": "root:*::\nsudo:*::\nadm:*::\n",
    "/etc/subuid": "",
    "/etc/subgid": "",
    "/etc/hosts": "127.0.0.1\tlocalhost\n::1 localhost ip6-localhost\n10.0.0.9 database.example\n",
    "/etc/hostname": "localhost\n",
    "/etc/machine-id": "",
    "/etc/fstab": "LABEL=root / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n",
    "/etc/ssh/sshd_config": "PasswordAuthentication no\n",
    "/etc/ssh/sshd_config.d/10-site.conf": "X11Forwarding no\n",
    "/etc/sudoers": "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n",
    "/etc/sudoers.d/README": "# see sudo(8)\n",
    "/etc/sudoers.d/operators": "%operators ALL=(ALL) ALL\n",
    "/etc/netplan/99-site.yaml": "network: {version: 2}\n",
    "/etc/network/interfaces": "source /etc/network/interfaces.d/*\n",
    "/etc/cloud/cloud.cfg": "datasource_list: [Azure]\n",
    "/etc/waagent.conf": "Provisioning.Agent=auto\n",
    "/etc/popularity-contest.conf": 'PARTICIPATE="no"\n',
    "/usr/bin/cloud-init": "#!/bin/sh\n",
    "/root/.bashrc": "alias ll='ls -l'\n",
    "/var/www/.ssh/config": "Host *\n  ServerAliveInterval 30\n",
    "/var/www/.npmrc": "registry=https://registry.example\n",
    "/var/lib/apt/extended_states": "Package: x\n",
    "/var/lib/apt/lists/lock": "",
    "/var/spool/cron/atjobs/.SEQ": "00001",
    "/var/log/nginx/.keep": "",
    "/opt/app/server.key": "BEGIN PRIVATE KEY\n",
    # What keeps interfaces from being renamed, and Azure's own update servers.
    "/etc/udev/rules.d/75-persistent-net-generator.rules": "",
    "/etc/pki/rhui/private/key.pem": "BEGIN PRIVATE KEY\n",
    "/etc/yum.repos.d/rhui.repo": "[rhui]\nsslclientkey=/etc/pki/rhui/private/key.pem\n",
    "/etc/sysconfig/network-scripts/ifcfg-eth1": "DEVICE=eth1\nBOOTPROTO=dhcp\n",
    "/etc/apt/auth.conf.d/README": "",
    "/var/lib/kdump/initrd.img": "",
}
_GIT_USER = (
    "[core]\n\teditor = vi\n[user]\n\tname = Alice\n\temail=alice@example.com\n\tuseConfigOnly = true\n"
)
_BEFORE = {
    "~/.gitconfig": _GIT_USER,
    "~/.config/git/config": _GIT_USER,
    "/etc/gitconfig": _GIT_USER,
    "/etc/hosts": KEPT["/etc/hosts"].rstrip() + f" {HOSTNAME}\n127.0.1.1 {HOSTNAME}.example {HOSTNAME}\n",
    "/etc/resolv.conf": "# by dhclient\nnameserver 192.0.2.53\nsearch build.example\n",
    "/etc/machine-info": f"CHASSIS=vm\nPRETTY_HOSTNAME={HOSTNAME}\n",
    "/etc/sysconfig/network": f"NETWORKING=yes\nHOSTNAME={HOSTNAME}\n",
    "/etc/HOSTNAME": f"{HOSTNAME}\n",
    "/etc/sysconfig/network-scripts/ifcfg-*": (
        f"DEVICE=eth0\nHWADDR=00:0D:3A:01:02:03\nUUID=0123\nDHCP_HOSTNAME={HOSTNAME}\n"
    ),
    "/etc/sysconfig/network/ifcfg-*": "BOOTPROTO=dhcp\nHWADDR=00:0D:3A:01:02:03\n",
    "/etc/iscsi/initiatorname.iscsi": "InitiatorName=iqn.1993-08.org.debian:01:abcdef\n",
    "/etc/popularity-contest.conf": 'PARTICIPATE="no"\nMY_HOSTID="0123456789abcdef"\n',
    "/etc/shadow": f"root:$6${SECRET}:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
}


def make_root(top: Path, family: Family = DEBIAN) -> Path:
    """A root file system without traces."""
    for directory in ("tmp/.X11-unix", "var/tmp", "home", "var/mail", "run", "var/lib/dbus"):
        (top / directory).mkdir(parents=True)
    for path, text in KEPT.items():
        write(top, path, text.encode())
    write(top, "/etc/os-release", OS_RELEASE[family].encode())
    (top / "var/lib/dbus/machine-id").symlink_to("/etc/machine-id")
    (top / "var/spool/mail").parent.mkdir(exist_ok=True)
    (top / "var/spool/mail").symlink_to("../mail")
    with (top / "swapfile").open("wb") as file:
        file.write(bytes(4086) + b"SWAPSPACE2")
        file.truncate(3 << 20)
    return top


def known_to(family: Family) -> list[Trace]:
    """The traces that guests of a family can have, except those that no plain directory has."""
    return [
        trace
        for trace in TRACES
        if trace.id not in NOT_IN_DIRECTORIES
        and any(not place.families or family in place.families for place in trace.places)
    ]


def write(top: Path, path: str, data: bytes) -> None:
    """Write a file of a root, with the directories above it."""
    target = top / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(top.resolve()):
        raise AssertionError(f"{path} leads out of {top}")
    # A link of the guest would lead to the file of that name on the machine the tests run on.
    if target.is_symlink():
        target.unlink()
    target.write_bytes(data)


def plant(top: Path, trace: Trace) -> None:
    """Put something at every place a trace names for the root's family of distributions."""
    guest = Guest(LiveRoot(str(top)))
    for place in trace.places:
        if place.concerns(guest):
            _plant_place(top, trace, place)


def _plant_place(top: Path, trace: Trace, place: Place) -> None:
    if isinstance(place, (Remove, Truncate)):
        having = place.having if isinstance(place, Remove) else b""
        for pattern in place.patterns:
            for single in expand(pattern):
                write(top, example(single), having + SECRET.encode())
    elif isinstance(place, Content):
        write(top, place.path, SECRET.encode())
    elif isinstance(place, Lines):
        for path in place.patterns:
            write(top, example(path, "eth0"), _BEFORE[path].encode())
    elif isinstance(place, Logs):
        write(top, place.top + "/nginx/access.log", SECRET.encode())
        write(top, place.top + "/nginx/access.log.1", SECRET.encode())
        write(top, place.top + "/dpkg.log-20260101.gz", b"")
    elif isinstance(place, SwapContents):
        with (top / "swapfile").open("r+b") as file:
            file.seek(2 << 20)
            file.write(SECRET.encode())
    elif isinstance(place, Accounts):
        plant_account(top, BUILD_ACCOUNT if trace.id == "build-accounts" else PERSON)
    elif not isinstance(place, Snapshots):
        raise AssertionError(f"no example for {place!r}")


def example(pattern: str, anything: str = "x") -> str:
    """A path that a pattern without alternatives matches; `anything` stands for `*`."""
    path = re.sub(r"^~/", "/root/", pattern)
    path = path.replace("[0-9]", "7").replace("[.-]", ".").replace("ssh_host_*", "ssh_host_ed25519_key")
    return path.replace("*", anything).replace("?", "y")


def plant_account(top: Path, name: str) -> None:
    """An account with everything that an account leaves behind."""
    uid = (os.getuid() or 1000) + (name == PERSON)
    append = {
        "/etc/passwd": f"{name}:x:{uid}:{uid}:{name}:/home/{name}:/bin/bash\n",
        "/etc/shadow": f"{name}:$6${SECRET}:19000:0:99999:7:::\n",
        "/etc/group": f"{name}:x:{uid}:\n",
        "/etc/gshadow": f"{name}:!::\n",
        "/etc/subuid": f"{name}:100000:65536\n",
        "/etc/subgid": f"{name}:100000:65536\n",
        "/etc/sudoers": f"{name} ALL=(ALL) ALL\n",
    }
    for path, line in append.items():
        write(top, path, (top / path[1:]).read_bytes() + line.encode())
    for path in ("/etc/group", "/etc/gshadow"):
        text = (top / path[1:]).read_text()
        text = re.sub(r"^(sudo|adm):(.*)$", rf"\1:\2{name}", text, flags=re.MULTILINE)
        (top / path[1:]).write_text(text)
    write(top, f"/etc/sudoers.d/90-{name}", f"# rules\n{name} ALL=(ALL) NOPASSWD:ALL\n".encode())
    write(top, f"/home/{name}/notes", SECRET.encode())
    for path in ("/etc/cron.allow", "/etc/at.deny"):
        write(top, path, f"operator\n{name}\n".encode())
    for spool in ("mail", "spool/cron/crontabs", "lib/systemd/linger"):
        write(top, f"/var/{spool}/{name}", b"x")
