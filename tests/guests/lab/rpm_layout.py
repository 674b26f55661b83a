# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Root trees laid out like those of distributions with rpm packages: stand-ins.

rpm, dnf, zypper, systemd, firewalld, sudo and sshd are real, from Debian's packages. The packages that they
install are made on the spot, with nothing in them but the units and settings that a role looks at.
"""

from __future__ import annotations

import shlex
from typing import NamedTuple

from tests.guests.lab.root_tree import TreeRecipe

_REPOSITORY = "/srv/repository"
_UNIT = (
    "[Unit]\\nDescription={0}\\n[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n"
)
_CLOUD_UNITS = ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")
_AGENT_CONF = "Provisioning.Agent=auto\\nResourceDisk.Format=y\\nResourceDisk.EnableSwap=n\\n"


class StandInPackage(NamedTuple):
    """A package: its files by path, with what printf makes of their text."""

    name: str
    files: dict[str, str]


def _units(*names: str) -> dict[str, str]:
    return {f"/usr/lib/systemd/system/{name}.service": _UNIT.format(name) for name in names}


_CHRONY = {"/etc/chrony.conf": "pool pool.example iburst\\n", "/usr/sbin/chronyd": "", **_units("chronyd")}
_AGENT = {"/etc/waagent.conf": _AGENT_CONF, "/usr/sbin/waagent": "", **_units("waagent")}
_PACKAGES = (
    StandInPackage("WALinuxAgent", _AGENT),
    # SUSE has the settings of the agent in packages of their own, which it does not require.
    StandInPackage("python-azure-agent", {"/usr/sbin/waagent": "", **_units("waagent")}),
    StandInPackage("python-azure-agent-config-server", {"/etc/waagent.conf": _AGENT_CONF}),
    StandInPackage(
        "cloud-init", {"/usr/bin/cloud-init": "", "/usr/sbin/dhclient": "", **_units(*_CLOUD_UNITS)}
    ),
    StandInPackage("chrony", _CHRONY),
    *(StandInPackage(name, {}) for name in ("cloud-utils-growpart", "growpart", "gdisk", "gptfdisk")),
    *(StandInPackage(name, {}) for name in ("hyperv-daemons", "hyper-v", "open-vm-tools", "sudo")),
    *(StandInPackage(name, {}) for name in ("openssh-server", "openssh")),
)
_INSTALLED = ("open-vm-tools", "sudo", "openssh-server", "openssh")


def rpm_recipe() -> TreeRecipe:
    """A tree with dnf and zypper, their repository of stand-ins, and some of these installed."""
    debian = (
        *("systemd-sysv", "udev", "python3", "python3-dnf", "dnf", "rpm", "zypper", "createrepo-c", "sudo"),
        *("openssh-server", "firewalld", "iproute2", "netbase"),
    )
    return TreeRecipe("bookworm", debian, (), _script())


def as_distribution(release: dict[str, str]) -> str:
    """Shell commands that give a tree the os-release(5) of a distribution and hide what is Debian's."""
    text = "".join(f'{key}="{value}"\\n' for key, value in release.items())
    hidden = "for tool in apt apt-get dpkg-query; do mv /usr/bin/$tool /usr/bin/.$tool.debian; done"
    return (
        f"rm -f /etc/os-release /etc/debian_version; printf {shlex.quote(text)} > /etc/os-release; {hidden}"
    )


def _spec() -> str:
    """One rpm spec file for all packages."""
    lines = ["Name: stand-ins", "Version: 1", "Release: 1", "Summary: stand-ins", "License: none"]
    lines += ["BuildArch: noarch", "%description", "Stand-ins."]
    install: list[str] = []
    lists: list[str] = []
    for package in _PACKAGES:
        lines += [
            f"%package -n {package.name}",
            "Summary: stand-in",
            f"%description -n {package.name}",
            "None.",
        ]
        lists.append(f"%files -n {package.name}")
        for path, text in package.files.items():
            install.append(f'mkdir -p "$(dirname %{{buildroot}}{path})"')
            install.append(f"printf '{text.replace('%', '%%')}' > %{{buildroot}}{path}")
            lists.append(f"%config {path}" if path.startswith("/etc/") else f"%attr(755,root,root) {path}")
    return "\n".join([*lines, "%install", *install, *lists, ""])


def _script() -> str:
    installed = " ".join(f"{_REPOSITORY}/noarch/{name}-1-1.noarch.rpm" for name in _INSTALLED)
    repository = f"[stand-ins]\\nname=stand-ins\\nbaseurl=file://{_REPOSITORY}\\ngpgcheck=0\\n"
    inside = [
        "set -e",
        f"rpmbuild -bb --quiet --define '_rpmdir {_REPOSITORY}' /srv/stand-ins.spec",
        # Debian's rpm has a database for each user, which zypper does not know of.
        "mkdir -p /etc/rpm",
        "echo '%_dbpath /var/lib/rpm' > /etc/rpm/macros",
        f"createrepo_c --quiet {_REPOSITORY}",
        f"rpm -i --nodeps {installed}",
        "mkdir -p /etc/yum.repos.d /etc/zypp/repos.d",
        f"printf '{repository}' | tee /etc/zypp/repos.d/stand-ins.repo > /etc/yum.repos.d/stand-ins.repo",
        "systemctl --quiet disable ssh.service",
        "mv /lib/systemd/system/ssh.service /lib/systemd/system/sshd.service",
    ]
    script = shlex.quote("\n".join(inside))
    return (
        f"""printf '%s' {shlex.quote(_spec())} > "$1"/srv/stand-ins.spec; chroot "$1" /bin/sh -c {script}"""
    )
