# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Server roles, and what some roles want done before: IIS, Windows Deployment Services, Hyper-V, NPS."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    UnknownFactError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_rule import (
    ERROR,
    UNSUPPORTED,
    WARNING,
    Observation,
    Rule,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.server_roles import (
    LAST_STATED_BUILD,
    NOT_SUPPORTED,
    SERVER_ROLES,
    SUPPORTED,
    UNLISTED,
)

_WORKSTATION = 1
# Windows 10 and 11 multi-session (PRODUCT_SERVERRDSH) call themselves servers, have no server roles, and no
# Get-WindowsFeature either (Microsoft, "Windows 10 Enterprise multi-session FAQ").
_MULTI_SESSION = 175
_TABLE = "Microsoft: Sysprep support for server roles"


def _installed(facts: Facts) -> set[str] | None:
    """Names of the installed features in lower case; None on a Windows that has no roles."""
    system = facts.of("system")
    product_type, sku = system.count("product_type"), system.count("sku")
    if product_type == _WORKSTATION or sku == _MULTI_SESSION:
        return None
    features = facts.of("features")
    if not features.flag("available"):
        raise UnknownFactError("Get-WindowsFeature is not there, on a server")
    names = {name.casefold() for name in features.texts("installed")}
    if not names:
        raise UnknownFactError("features.installed is empty, on a server")
    return names


def _age(facts: Facts) -> str:
    if facts.of("system").count("build") > LAST_STATED_BUILD:
        return " Last stated for Windows Server 2012; no newer statement is known."
    return ""


def _server_roles(facts: Facts) -> Iterator[Observation]:
    installed = _installed(facts)
    if installed is None:
        return
    age = _age(facts)
    for role in SERVER_ROLES:
        features = [name for name in role.features if name.casefold() in installed]
        if features and role.state != SUPPORTED:
            unsupported = role.state == NOT_SUPPORTED
            yield Observation(
                f"{role.name} ({', '.join(features)}) is installed: {role.state}.{age}",
                subject=role.features[0],
                severity=UNSUPPORTED if unsupported else WARNING,
                remedy=role.remark,
            )
    for feature, name in UNLISTED.items():
        if feature.casefold() in installed:
            yield Observation(
                f"{name} is installed, of which the table says nothing.",
                subject=feature,
                severity=WARNING,
                remedy="Remove it before, or try the image.",
            )


def _has(facts: Facts, feature: str) -> bool:
    installed = _installed(facts)
    return installed is not None and feature.casefold() in installed


def _iis(facts: Facts) -> Iterator[Observation]:
    web = facts.of("roles")
    if not web.flag("iis_configuration"):
        return
    encrypted = web.count("iis_encrypted_values")
    if encrypted:
        yield Observation(f"applicationHost.config has {encrypted} encrypted values.")


def _wds(facts: Facts) -> Iterator[Observation]:
    if _has(facts, "WDS") and facts.of("roles").flag("wds_share"):
        yield Observation("Windows Deployment Services is installed, and there is its share REMINST.")


def _hyper_v(facts: Facts) -> Iterator[Observation]:
    if not _has(facts, "Hyper-V"):
        return
    switches = facts.of("roles").count("virtual_switches")
    if switches:
        yield Observation(f"There are {switches} virtual switches.")


def _nps(facts: Facts) -> Iterator[Observation]:
    if not _has(facts, "NPAS"):
        return
    clients = facts.of("roles").count("radius_clients")
    if clients:
        yield Observation(f"The Network Policy Server has {clients} RADIUS clients.")


RULES = (
    Rule(
        "server-role",
        UNSUPPORTED,
        "A server role is installed that Sysprep does not support; it may not work in the image's machines.",
        "Remove the role.",
        _TABLE,
        _server_roles,
    ),
    Rule(
        "iis-encryption",
        UNSUPPORTED,
        "IIS has encrypted credentials, which machines of the image cannot decrypt.",
        "Remove the credentials from applicationHost.config, and set them on the machines made of the image.",
        f"{_TABLE}; Microsoft: KB 942060",
        _iis,
    ),
    Rule(
        "wds-initialized",
        UNSUPPORTED,
        "Windows Deployment Services is initialized.",
        "Run wdsutil /uninitialize-server.",
        _TABLE,
        _wds,
    ),
    Rule(
        "hyper-v-switches",
        ERROR,
        "Hyper-V has virtual switches, which do not survive Sysprep.",
        "Delete the virtual switches, and make them again on the machines of the image.",
        _TABLE,
        _hyper_v,
    ),
    Rule(
        "nps-clients",
        UNSUPPORTED,
        "The Network Policy Server has RADIUS clients, whose shared secrets would be in every machine.",
        "Remove RADIUS clients and remote RADIUS server groups.",
        "Microsoft: Sysprep (Generalize) a Windows installation",
        _nps,
    ),
)
