# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Store packages that some account has and the image has not: each makes Sysprep fail, and it names one.

Sysprep's validator (AppxSysprep.dll, SysprepGeneralizeValidate) asks that what is installed for an account is
also provisioned for all, in the same version (Microsoft KB 2769827). Frameworks, resource packages and the
packages of Windows itself do not count, as practice shows.

What is provisioned is often a bundle, whose version is not that of the package inside. Versions are therefore
compared between bundles, or between packages that are provisioned without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    Node,
    UnknownFactError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_rule import (
    ERROR,
    WARNING,
    Observation,
    Rule,
)

_INSTALLED = "installed"
_DEPLOYMENT = "AppXSvc"
_NAME_PARTS = 5


class _Package(NamedTuple):
    """`family` is NAME_PUBLISHER, the same in all versions. `inbox`: none of those that Sysprep minds."""

    name: str
    full_name: str
    family: str
    version: str
    bundle: bool
    users: tuple[str, ...]
    inbox: bool


def _packages(appx: Node, system_root: str) -> list[_Package]:
    windows = system_root.rstrip("\\").casefold() + "\\"
    return [_package(each, windows) for each in appx.nodes("packages")]


def _package(node: Node, windows: str) -> _Package:
    users = tuple(
        user.name("user") for user in node.nodes("users") if user.name("state").casefold() == _INSTALLED
    )
    # All of them are looked at, so that one which is missing does not pass for what would let the package be.
    inbox = (
        node.flag("framework"),
        node.flag("resource_package"),
        node.text("signature").casefold() == "system",
        node.text("location").casefold().startswith(windows),
    )
    return _Package(
        name=node.name("name"),
        full_name=node.name("full_name"),
        family=node.name("family").casefold(),
        version=node.name("version"),
        bundle=node.flag("bundle"),
        users=users,
        inbox=any(inbox),
    )


def _provisioned(appx: Node) -> dict[str, set[tuple[bool, str]]]:
    """By family: whether it is a bundle, and its version.

    A package is named NAME_VERSION_ARCHITECTURE_RESOURCE_PUBLISHER; a bundle's RESOURCE is a tilde.
    """
    found: dict[str, set[tuple[bool, str]]] = {}
    for node in appx.nodes("provisioned"):
        full_name = node.name("package_name")
        parts = full_name.split("_")
        if len(parts) != _NAME_PARTS or not all((parts[0], parts[1], parts[-1])):
            raise UnknownFactError(f"{full_name} is no name of a package")
        family = f"{parts[0]}_{parts[-1]}".casefold()
        found.setdefault(family, set()).add((parts[3] == "~", parts[1]))
    return found


def _appx(facts: Facts) -> Iterator[Observation]:
    appx = facts.of("appx")
    if not appx.flag("available"):
        if not facts.of("services").node(_DEPLOYMENT).flag("present"):
            # A Windows without Store packages, such as Server Core of 2012 R2: no service would install one.
            return
        raise UnknownFactError("Get-AppxPackage or Get-AppxProvisionedPackage is not there")
    packages = _packages(appx, facts.of("system").name("system_root"))
    provisioned = _provisioned(appx)
    for package in sorted(packages, key=lambda each: each.full_name.casefold()):
        if not package.users or package.inbox:
            continue
        images = provisioned.get(package.family)
        users = ", ".join(package.users)
        remove = f"Remove-AppxPackage -AllUsers -Package {package.full_name}"
        if images is None:
            yield Observation(
                f"{package.full_name} is installed for {users} and not provisioned.",
                subject=package.name,
                remedy=f"Close its programs and remove it from the accounts: {remove}",
            )
            continue
        versions = {version for bundle, version in images if bundle == package.bundle}
        if versions and package.version not in versions:
            yield Observation(
                f"{package.full_name} is installed for {users}; "
                f"provisioned is {', '.join(sorted(versions))}.",
                subject=package.name,
                remedy=f"Remove it from the accounts ({remove}), or provision that version.",
            )


def _staging(facts: Facts) -> Iterator[Observation]:
    staged = facts.of("appx_staging").texts("names")
    if staged:
        yield Observation(f"StagingInfo has {', '.join(sorted(staged))}.")


RULES = (
    Rule(
        "appx",
        ERROR,
        "A package is installed for an account, but not provisioned for all in that version; Sysprep fails "
        "(0x80073CF2), and names one such package at a time.",
        "Remove the package from the accounts first. Removing the provisioning alone makes more of them.",
        "Microsoft: Sysprep fails after you remove or update Microsoft Store apps (KB 2769827)",
        _appx,
    ),
    Rule(
        "appx-staging",
        WARNING,
        "Packages are being staged, so that the list of packages may change before Sysprep looks.",
        "Keep Store, Edge and Windows Update from updating while the image is built; look again.",
        "SysprepPreparator reads the same key",
        _staging,
    ),
)
