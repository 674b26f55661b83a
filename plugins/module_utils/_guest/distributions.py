# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Families of distributions, told by os-release(5). What differs between distributions is data that names a
family, never a chain of questions."""

from typing import Dict, NamedTuple, Optional, Tuple


class Family(NamedTuple):
    """Distributions that keep the same things in the same places.

    `ids` are the ID values of os-release(5) that belong to it, `title` is for people, `agent_package` has the
    Azure Linux Agent.
    """

    id: str
    title: str
    ids: Tuple[str, ...]
    agent_package: str


DEBIAN = Family(
    "debian", "Debian and Ubuntu", ("debian", "ubuntu"), "waagent (Debian) or walinuxagent (Ubuntu)"
)
REDHAT = Family(
    "redhat",
    "Red Hat Enterprise Linux, CentOS Stream, AlmaLinux, Rocky Linux, Oracle Linux and Fedora",
    ("rhel", "centos", "almalinux", "rocky", "ol", "fedora"),
    "WALinuxAgent",
)
SUSE = Family(
    "suse",
    "SUSE Linux Enterprise and openSUSE",
    ("sles", "sles_sap", "sle-micro", "sl-micro", "opensuse-leap", "opensuse-tumbleweed", "opensuse", "suse"),
    "python-azure-agent",
)
AZURELINUX = Family("azurelinux", "Azure Linux", ("azurelinux", "mariner"), "WALinuxAgent")
FLATCAR = Family(
    "flatcar", "Flatcar Container Linux", ("flatcar", "coreos"), "of Flatcar's OEM image for Azure"
)
FAMILIES = (DEBIAN, REDHAT, SUSE, AZURELINUX, FLATCAR)
_BY_ID: Dict[str, Family] = {name: family for family in FAMILIES for name in family.ids}


def family_of(os_release: Dict[str, str]) -> Optional[Family]:
    """The family of a distribution: by its ID, else by what ID_LIKE says it derives from, nearest first."""
    for name in [os_release.get("ID", "")] + os_release.get("ID_LIKE", "").split():
        if name.lower() in _BY_ID:
            return _BY_ID[name.lower()]
    return None
