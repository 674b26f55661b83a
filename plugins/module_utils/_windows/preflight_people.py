# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Membership in domains, accounts and profiles: what ties the machine to people and directories."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    UnknownFactError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_rule import (
    ERROR,
    WARNING,
    Observation,
    Rule,
)

# Win32_ComputerSystem.DomainRole: 0 to 3 are workstations and servers, alone or as members.
_BACKUP_CONTROLLER, _PRIMARY_CONTROLLER = 4, 5
_OVERVIEW = "Microsoft: Sysprep (System Preparation) Overview"


def _domain_controller(facts: Facts) -> Iterator[Observation]:
    role = facts.of("system").count("domain_role")
    if role > _PRIMARY_CONTROLLER:
        raise UnknownFactError(f"DomainRole {role} has no meaning")
    if role in (_BACKUP_CONTROLLER, _PRIMARY_CONTROLLER):
        yield Observation(f"DomainRole is {role}.")


def _domain(facts: Facts) -> Iterator[Observation]:
    system = facts.of("system")
    if system.flag("part_of_domain"):
        yield Observation(f"The machine is a member of {system.text('domain') or 'a domain'}.")


def _entra(facts: Facts) -> Iterator[Observation]:
    tenants = facts.of("join").texts("entra")
    if tenants:
        yield Observation(f"CloudDomainJoin\\JoinInfo has {len(tenants)} entries.")


def _administrator(facts: Facts) -> Iterator[Observation]:
    accounts = facts.of("accounts").nodes("built_in_administrator")
    if len(accounts) != 1:
        raise UnknownFactError(f"there are {len(accounts)} built-in administrators")
    account = accounts[0]
    name, enabled = account.name("name"), account.flag("enabled")
    must_change, expires = account.flag("must_change_password"), account.flag("password_expires")
    if not enabled:
        return
    if must_change:
        yield Observation(f"{name} is enabled, and has to change the password at the next logon.")
    elif expires:
        yield Observation(f"{name} is enabled, and the password expires.", severity=WARNING)


def _profiles(facts: Facts) -> Iterator[Observation]:
    profiles = facts.of("profiles").nodes("entries")
    if not profiles:
        raise UnknownFactError("profiles.entries is empty")
    for profile in profiles:
        sid, path, exists = profile.name("sid"), profile.text("path"), profile.flag("exists")
        if sid.casefold().endswith(".bak"):
            yield Observation(
                f"ProfileList has {sid}: Windows could not load that profile.",
                subject=sid,
                severity=WARNING,
                remedy="Remove the profile.",
            )
        elif not path or not exists:
            yield Observation(f"ProfileList has {sid}, whose folder is {path or 'not named'}.", subject=sid)


RULES = (
    Rule(
        "domain-controller",
        ERROR,
        "The machine is a domain controller; Sysprep does not run on it.",
        "Demote it and remove the role, or build the image without it.",
        f"{_OVERVIEW}; Microsoft: Sysprep support for server roles",
        _domain_controller,
    ),
    Rule(
        "domain-joined",
        ERROR,
        "The machine is in a domain. Sysprep removes it from the domain, and its policies may stay.",
        "Leave the domain and restart. To have Sysprep do it, waive this finding.",
        _OVERVIEW,
        _domain,
    ),
    Rule(
        "entra-joined",
        ERROR,
        "The machine is joined to Entra ID; machines of the image would share its device identity.",
        "Run dsregcmd /leave and remove the extension that joins it; join the machines of the image.",
        "Microsoft: Plan your Microsoft Entra hybrid join implementation",
        _entra,
    ),
    Rule(
        "administrator-password",
        ERROR,
        "The built-in administrator has to change the password, so that the first logon of a new "
        "machine hangs and "
        "Azure reports OSProvisioningTimedOut.",
        "Let its password never expire; or disable the account, which Azure does not need, unless it is "
        "the one that Ansible logs on with.",
        "kubernetes-sigs/image-builder#2117",
        _administrator,
    ),
    Rule(
        "profile-without-folder",
        ERROR,
        "A profile has no folder, which breaks the specialize pass of every new machine.",
        "Remove the entry below ProfileList, as ansible.windows.win_user_profile does.",
        "public reports of specialize failing",
        _profiles,
    ),
)
