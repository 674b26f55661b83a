# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What an image definition says its images are able to, as options and as Azure's list of features.

Source: "Azure Compute Gallery", features of image definitions, and Gallery Images - Create Or Update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    NVME,
    SCSI,
    controllers_of,
    feature_values,
    security_type_of,
)

SECURITY_TYPES = (
    "Standard",
    "TrustedLaunch",
    "TrustedLaunchSupported",
    "TrustedLaunchAndConfidentialVmSupported",
    "ConfidentialVM",
    "ConfidentialVmSupported",
)
CONTROLLERS = (SCSI, NVME)
_SECURITY, _CONTROLLERS = "SecurityType", "DiskControllerTypes"
_FLAGS = {
    "accelerated_networking": "IsAcceleratedNetworkSupported",
    "hibernation": "IsHibernateSupported",
}


def features_of_options(given: Mapping[str, Any]) -> dict[str, str]:
    """Name and value of each feature that the options name."""
    features = {}
    if given.get("security_type"):
        features[_SECURITY] = str(given["security_type"])
    controllers = given.get("disk_controllers")
    if controllers:
        features[_CONTROLLERS] = ", ".join(each for each in CONTROLLERS if each in controllers)
    for option, name in _FLAGS.items():
        if given.get(option) is not None:
            features[name] = str(bool(given[option]))
    return features


def features_of(definition: Mapping[str, Any]) -> dict[str, str]:
    """The features of a definition in wire shape."""
    return feature_values((definition.get("properties") or {}).get("features"))


def as_wire(features: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in features.items()]


def differing(present: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """The names of wanted features that the definition does not have so. What it does not say is Azure's
    default."""
    return [name for name, value in wanted.items() if _value(present, name) != _value({name: value}, name)]


def _value(features: Mapping[str, str], name: str) -> Any:
    if name == _SECURITY:
        return security_type_of(features).casefold()
    if name == _CONTROLLERS:
        return frozenset(controllers_of(features))
    return features.get(name, "False").casefold()


def words(features: Mapping[str, str]) -> dict[str, Any]:
    """The features in the words of the options; null where the definition says nothing."""
    flags: dict[str, Any] = {
        option: features[name].casefold() == "true" if name in features else None
        for option, name in _FLAGS.items()
    }
    return {
        "security_type": features.get(_SECURITY),
        "disk_controllers": list(controllers_of(features)) if _CONTROLLERS in features else None,
        **flags,
    }
