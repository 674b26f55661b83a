# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The remaining-requests header of Microsoft.Compute, by operation."""

from __future__ import annotations

from tests.local_azure.call import Call
from tests.local_azure.gallery_rate_limits import Buckets, gallery_buckets

# Names and sizes of the buckets as recorded in 2024.
_DISK_WRITE = (("CreateUpdateDisks3Min", 2999), ("CreateUpdateDisks30Min", 24999))
_SNAPSHOT_WRITE = (
    ("HighCostSnapshotCreateHydrate3Min", 999),
    ("HighCostSnapshotCreateHydrate30Min", 7999),
)
_DISK_DELETE = (("DeleteDisks3Min", 2999), ("DeleteDisks30Min", 24999))
_DISK_ACCESS = (("HighCostDiskHydrate3Min", 999), ("HighCostDiskHydrate30Min", 7999))
_DISK_GET = (("LowCostGet3Min", 14999), ("LowCostGet30Min", 119999))
_SET_WRITE = (("HighCostDiskEncryptionSet3Min", 99), ("HighCostDiskEncryptionSet30Min", 299))
_RESTORE_POINT_GET = (("LowCostGetRestorePointSubscriptionMaximum", 599),)
_UPDATE_VM = (("UpdateVMSubscriptionMaximum", 1499), ("UpdateVMResource", 11))
_DELETE_VM = (("DeleteVMSubscriptionMaximum", 1499), ("DeleteVMResource", 11))

# Those of 2021.
_PLACEMENT_WRITE = (("PutDeletePPG3Min", 99), ("PutDeletePPG30Min", 499))
_AVAILABILITY_WRITE = (("PutVM3Min", 744), ("PutVM30Min", 3728))
_AVAILABILITY_GET = (("LowCostGet3Min", 3999), ("LowCostGet30Min", 31999))

_BY_TYPE: dict[str, dict[str, Buckets]] = {
    "images": {
        "GET": (("GetImagesSubscriptionMaximum", 359),),
        "LIST": (("HighCostGetImagesSubscriptionMaximum", 89),),
        "PUT": (("CreateImagesSubscriptionMaximum", 59),),
        "PATCH": (("CreateImagesSubscriptionMaximum", 59),),
        "DELETE": (("DeleteImagesSubscriptionMaximum", 119),),
    },
    "disks": {
        "GET": _DISK_GET,
        "LIST": (("HighCostGet3Min", 239), ("HighCostGet30Min", 1919)),
        "PUT": _DISK_WRITE,
        "PATCH": _DISK_WRITE,
        "DELETE": _DISK_DELETE,
        "POST": _DISK_ACCESS,
    },
    "snapshots": {
        "GET": _DISK_GET,
        "LIST": (("HighCostGet3Min", 239), ("HighCostGet30Min", 1919)),
        "PUT": _SNAPSHOT_WRITE,
        "PATCH": _SNAPSHOT_WRITE,
        "DELETE": _DISK_DELETE,
        "POST": _SNAPSHOT_WRITE,
    },
    "diskencryptionsets": {
        "GET": _DISK_GET,
        "LIST": (("HighCostGet3Min", 239), ("HighCostGet30Min", 1919)),
        "PUT": _SET_WRITE,
        "PATCH": _SET_WRITE,
        "DELETE": _SET_WRITE,
    },
    "diskaccesses": {
        "GET": _DISK_GET,
        "LIST": (("HighCostGet3Min", 239), ("HighCostGet30Min", 1919)),
        "PUT": _DISK_WRITE,
        "PATCH": _DISK_WRITE,
        "DELETE": _DISK_DELETE,
    },
    "restorepointcollections": {
        "GET": _RESTORE_POINT_GET,
        "LIST": _RESTORE_POINT_GET,
        "PUT": (
            ("PutRestorePointCollectionResource", 14),
            ("PutRestorePointCollectionSubscriptionMaximum", 149),
        ),
    },
    "restorepoints": {
        "GET": _RESTORE_POINT_GET,
        "PUT": (("PutRestorePointResource", 5), ("PutRestorePointSubscriptionMaximum", 149)),
        "DELETE": (("DeleteRestorePointSubscriptionMaximum", 359),),
    },
    "publishers": {
        "GET": (("GetVMImageFromLocation3Min", 12999), ("GetVMImageFromLocation30Min", 73999)),
        "LIST": (
            ("ListVMImagesVersionsFromLocation3Min", 15999),
            ("ListVMImagesVersionsFromLocation30Min", 43999),
        ),
    },
    "availabilitysets": {
        "GET": _AVAILABILITY_GET,
        "LIST": _AVAILABILITY_GET,
        "PUT": _AVAILABILITY_WRITE,
        "PATCH": _AVAILABILITY_WRITE,
        "DELETE": (("DeleteVM3Min", 239), ("DeleteVM30Min", 1199)),
    },
    "proximityplacementgroups": {
        "GET": (("HighCostGet3Min", 139), ("HighCostGet30Min", 699)),
        "LIST": (("HighCostGet3Min", 139), ("HighCostGet30Min", 699)),
        "PUT": _PLACEMENT_WRITE,
        "PATCH": _PLACEMENT_WRITE,
        "DELETE": _PLACEMENT_WRITE,
    },
    "virtualmachines": {
        "GET": (("LowCostGetSubscriptionMaximum", 23999), ("LowCostGetResource", 35)),
        "LIST": (("HighCostGetSubscriptionMaximum", 1799),),
        "PUT": (("PutVMSubscriptionMaximum", 1499), ("PutVMResource", 11)),
        "PATCH": (("PutVMSubscriptionMaximum", 1499), ("PutVMResource", 11)),
        "DELETE": _DELETE_VM,
        "POST": _UPDATE_VM,
        "deallocate": _DELETE_VM,
    },
}


def rate_limit(call: Call) -> dict[str, str]:
    """Empty for what is not Microsoft.Compute's."""
    parts = call.path.lower().split("/")
    if "microsoft.compute" not in parts:
        return {}
    tail = parts[parts.index("microsoft.compute") + 1 :]
    if not tail:
        return {}
    of_galleries = gallery_buckets(call.method, tail)
    if of_galleries is not None:
        buckets: Buckets = of_galleries
    elif "diskoperations" in tail:
        buckets = (("GetOperation3Min", 49999), ("GetOperation30Min", 399999))
    elif "operations" in tail:
        buckets = (("GetOperationResource", 44), ("GetOperationSubscriptionMaximum", 14999))
    else:
        if tail[0] == "locations":
            tail = tail[2:] or [""]
        if tail[0] == "restorepointcollections" and len(tail) == 4:
            tail = tail[2:]
        by_method = _BY_TYPE.get(tail[0], {})
        method = "LIST" if call.method == "GET" and len(tail) % 2 else call.method
        buckets = by_method.get(tail[-1], by_method.get(method, ()))
    if not buckets:
        return {}
    text = ",".join(f"Microsoft.Compute/{name};{left}" for name, left in buckets)
    return {"x-ms-ratelimit-remaining-resource": text}
