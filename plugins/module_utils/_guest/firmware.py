# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Which virtual machine of Azure a guest is, as its firmware tells it.

Azure keeps `vmId` in the SMBIOS of every virtual machine, the first three groups with their last byte first.
SMBIOS demands that order since version 2.6 (DMTF DSP0134, System Information). Machines of generation 1 have
2.3, and there Linux takes the bytes as they come, so that those groups are shown turned round (cloud-init,
sources/azure/identity.py; Azure/WALinuxAgent issue 830). Windows is said to read them as Microsoft always
wrote them (DSP0134 again), whatever the version, which would show `vmId` itself; that was never looked at
here, so the other order is taken there, too.
"""

import uuid
from typing import Tuple

# What firmware has that was given no UUID (DSP0134); Windows tells the first also where there is none at all
# (Microsoft: Win32_ComputerSystemProduct).
_NONE = (0, (1 << 128) - 1)


def azure_ids(told: str) -> Tuple[str, ...]:
    """What Azure's id (`vmId`) of a machine can be whose SMBIOS UUID the system shows as this text; in lower
    case, and none at all where it is no UUID."""
    try:
        shown = uuid.UUID(told.strip())
    except ValueError:
        return ()
    if shown.int in _NONE:
        return ()
    return (str(shown), str(uuid.UUID(bytes=shown.bytes_le)))
