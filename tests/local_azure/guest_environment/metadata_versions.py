# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The instance metadata service's versions, and with which of them each part of the document came.

Source: Microsoft Learn, "Azure Instance Metadata Service" (supported API versions; schema breakdown).
"""

from __future__ import annotations

from typing import Any

VERSIONS = (
    *("2017-03-01", "2017-04-02", "2017-08-01", "2017-10-01", "2017-12-01"),
    *("2018-02-01", "2018-04-02", "2018-10-01"),
    *("2019-02-01", "2019-03-11", "2019-04-30", "2019-06-01", "2019-06-04", "2019-08-01", "2019-08-15"),
    *("2019-11-01", "2020-06-01", "2020-07-15", "2020-09-01", "2020-10-01", "2020-12-01"),
    *("2021-01-01", "2021-02-01", "2021-03-01", "2021-05-01", "2021-08-01", "2021-10-01", "2021-11-01"),
    *("2021-11-15", "2021-12-13", "2023-07-01", "2023-11-15", "2024-03-15", "2024-07-17", "2025-04-07"),
)

_COMPUTE_SINCE = {
    "additionalCapabilities": "2021-11-01",
    "azEnvironment": "2018-10-01",
    "customData": "2019-02-01",
    "evictionPolicy": "2020-12-01",
    "extendedLocation": "2021-03-01",
    "host": "2021-11-15",
    "hostGroup": "2021-11-15",
    "isHostCompatibilityLayerVm": "2020-06-01",
    "isVmInStandbyPool": "2024-03-15",
    "licenseType": "2020-09-01",
    "osProfile": "2020-07-15",
    "physicalZone": "2023-11-15",
    "placementGroupId": "2017-08-01",
    "plan": "2018-04-02",
    "platformSubFaultDomain": "2024-03-15",
    "priority": "2020-12-01",
    "provider": "2018-10-01",
    "publicKeys": "2018-04-02",
    "resourceGroupName": "2017-08-01",
    "resourceId": "2019-03-11",
    "securityProfile": "2020-06-01",
    "storageProfile": "2019-06-01",
    "subscriptionId": "2017-08-01",
    "tags": "2017-08-01",
    "tagsList": "2019-06-04",
    "userData": "2021-01-01",
    "virtualMachineScaleSet": "2021-03-01",
    "vmScaleSetName": "2017-12-01",
    "zone": "2017-12-01",
}
_EXTENDED_SINCE = "2021-08-01"


def document_at(newest: dict[str, Any], version: str, *, extended: bool) -> dict[str, Any]:
    """The whole instance document as `version` has it. `newest` may lack parts that the host never wrote."""
    compute = newest.get("compute", {})
    document: dict[str, Any] = {
        "compute": {
            name: value for name, value in sorted(compute.items()) if _COMPUTE_SINCE.get(name, "") <= version
        },
        "network": newest.get("network", {"interface": []}),
    }
    if extended and version >= _EXTENDED_SINCE:
        document["extended"] = newest.get("extended", {})
    return document
