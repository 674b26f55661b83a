# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""linux_prepare finds what it knows of a distribution by what Ansible itself makes of its release files."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.plays import Player

# What setup itself uses, none of it typed.
sys_info: Any = import_module("ansible.module_utils.common.sys_info")
distro: Any = import_module("ansible.module_utils.distro")
distribution: Any = import_module("ansible.module_utils.facts.system.distribution")

_FACTS = ("distribution", "distribution_version", "distribution_major_version", "os_family")


class Distribution(NamedTuple):
    """Release files of a distribution, and what the role is to find for it."""

    release: dict[str, str]
    files: dict[str, str]
    loaded: list[str]
    tool: str
    agent: str


def _release(name: str, id_: str, version: str, **more: str) -> dict[str, str]:
    return {"NAME": name, "ID": id_, "VERSION_ID": version, "VERSION": version, **more}


DISTRIBUTIONS = {
    "debian": Distribution(
        _release("Debian GNU/Linux", "debian", "13", VERSION_CODENAME="trixie"),
        {},
        ["Debian"],
        "apt",
        "waagent",
    ),
    "ubuntu": Distribution(
        _release("Ubuntu", "ubuntu", "24.04", ID_LIKE="debian"),
        {},
        ["Debian", "Ubuntu"],
        "apt",
        "walinuxagent",
    ),
    "rhel": Distribution(
        _release("Red Hat Enterprise Linux", "rhel", "10.0"),
        {"redhat-release": "Red Hat Enterprise Linux release 10.0 (Coughlan)\n"},
        ["RedHat", "RedHat-10"],
        "dnf",
        "WALinuxAgent",
    ),
    "alma": Distribution(
        _release("AlmaLinux", "almalinux", "10.0", ID_LIKE="rhel centos fedora"),
        {"redhat-release": "AlmaLinux release 10.0 (Purple Lion)\n"},
        ["RedHat", "RedHat-10"],
        "dnf",
        "WALinuxAgent",
    ),
    "stream": Distribution(
        _release("CentOS Stream", "centos", "9"),
        {"centos-release": "CentOS Stream release 9\n", "redhat-release": "CentOS Stream release 9\n"},
        ["RedHat"],
        "dnf",
        "WALinuxAgent",
    ),
    "oracle": Distribution(
        _release("Oracle Linux Server", "ol", "9.5"),
        {
            "oracle-release": "Oracle Linux Server release 9.5\n",
            "redhat-release": "Red Hat Enterprise Linux release 9.5 (Plow)\n",
        },
        ["RedHat"],
        "dnf",
        "WALinuxAgent",
    ),
    "fedora": Distribution(
        _release("Fedora Linux", "fedora", "42"),
        {"redhat-release": "Fedora release 42 (Adams)\n"},
        ["RedHat"],
        "dnf",
        "WALinuxAgent",
    ),
    "sles": Distribution(
        _release("SLES", "sles", "16.0", ID_LIKE="suse", PRETTY_NAME="SUSE Linux Enterprise Server 16.0"),
        {},
        ["Suse"],
        "command",
        "python-azure-agent",
    ),
    "leap": Distribution(
        _release("openSUSE Leap", "opensuse-leap", "16.0", ID_LIKE="suse opensuse"),
        {},
        ["Suse"],
        "command",
        "python-azure-agent",
    ),
    "azurelinux3": Distribution(
        _release("Microsoft Azure Linux", "azurelinux", "3.0"), {}, ["Azurelinux"], "command", "WALinuxAgent"
    ),
    "azurelinux4": Distribution(
        _release("Azure Linux", "azurelinux", "4.0"), {}, ["Azurelinux"], "command", "WALinuxAgent"
    ),
    "mariner": Distribution(
        _release("Common Base Linux Mariner", "mariner", "2.0"), {}, ["Azurelinux"], "command", "WALinuxAgent"
    ),
    "flatcar": Distribution(
        _release("Flatcar Container Linux by Kinvolk", "flatcar", "4230.2.0", ID_LIKE="coreos"),
        {},
        ["Flatcar"],
        "dnf",
        "WALinuxAgent",
    ),
}


def facts_of(tree: Path, case: Distribution) -> dict[str, str]:
    """What Ansible's setup module would tell of a machine with these release files."""
    etc = tree / "etc"
    etc.mkdir(parents=True)
    lines = [f'{key}="{value}"' for key, value in case.release.items()]
    (etc / "os-release").write_text("\n".join(lines) + "\n")
    for name, text in case.files.items():
        (etc / name).write_text(text)
    told = distro.LinuxDistribution(include_lsb=False, include_uname=False, root_dir=str(tree))
    exists, content = distribution._file_exists, distribution.get_file_content
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "id",
            "version",
            "codename",
            "info",
            "os_release_info",
            "os_release_attr",
            "lsb_release_info",
        ):
            patch.setattr(sys_info.distro, name, getattr(told, name), raising=False)
        patch.setattr(distribution, "_file_exists", lambda path, **rest: exists(str(tree) + path, **rest))
        patch.setattr(
            distribution, "get_file_content", lambda path, **rest: content(str(tree) + path, **rest)
        )
        found = distribution.Distribution(module=None).get_distribution_facts()
    return {name: found[name] for name in _FACTS}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the role takes for each distribution."""
    top = tmp_path_factory.mktemp("distributions")
    hosts = {}
    for name, case in DISTRIBUTIONS.items():
        facts = facts_of(top / name, case)
        hosts[name] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "of_machine": {**facts, "architecture": "x86_64", "pkg_mgr": "", "service_mgr": "systemd"},
        }
    inventory = top / "inventory.yml"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    names = (*_FACTS, "architecture", "pkg_mgr", "service_mgr")
    facts = {name: "{{ of_machine['" + name + "'] }}" for name in names}
    tasks = [
        {
            "name": "Be that machine",
            "ansible.builtin.set_fact": {**facts, "is_chroot": False, "cacheable": True},
        },
        {
            "name": "Look what the role knows",
            "ansible.builtin.include_role": {
                "name": "goldenimage.azure.linux_prepare",
                "tasks_from": "facts",
                "public": True,
            },
        },
        {
            "name": "Tell it",
            "ansible.builtin.debug": {
                "msg": {
                    "tool": "{{ _linux_prepare_package_tool }}",
                    "packages": "{{ linux_prepare_agent_packages }}",
                }
            },
        },
    ]
    playbook = top / "playbook.yml"
    playbook.write_text(
        json.dumps([{"name": "Look", "hosts": "all", "gather_facts": False, "roles": [], "tasks": tasks}])
    )
    play = Player(tmp_path_factory.mktemp("plays"), {})
    done = play(playbook, env={"ANSIBLE_INVENTORY": str(inventory)})
    assert done.rc == 0, done.output
    found = {result.host: dict(result["msg"]) for result in done.results if result.task == "Tell it"}
    for result in done.results:
        if result.action.endswith("include_vars") and not result.status.startswith("item_"):
            found[result.host]["files"] = [Path(each["item"]).name for each in result["results"]]
    return found


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_what_is_known_about_a_distribution_is_found(name: str, told: dict[str, dict[str, Any]]) -> None:
    case = DISTRIBUTIONS[name]
    assert told[name]["files"] == [f"{file}.yml" for file in case.loaded]
    assert told[name]["tool"] == case.tool
    assert case.agent in told[name]["packages"]


@pytest.mark.parametrize(
    ("name", "has"), [("rhel", False), ("alma", False), ("stream", True), ("oracle", True), ("fedora", True)]
)
def test_gdisk_is_asked_for_only_where_it_still_exists(
    name: str, has: bool, told: dict[str, dict[str, Any]]
) -> None:
    assert ("gdisk" in told[name]["packages"]) is has
