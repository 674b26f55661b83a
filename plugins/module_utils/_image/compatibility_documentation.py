# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Pages of Azure's documentation that the compatibility rules go by."""

from __future__ import annotations

_MACHINES = "https://learn.microsoft.com/azure/virtual-machines"
CAPTURE = f"{_MACHINES}/capture-image-resource"
CONFIDENTIAL = "https://learn.microsoft.com/azure/confidential-computing/confidential-vm-overview"
DEPRECATED = f"{_MACHINES}/deprecated-images"
DISK_ENCRYPTION = f"{_MACHINES}/disk-encryption-overview"
DISK_TYPES = f"{_MACHINES}/disks-types"
EPHEMERAL = f"{_MACHINES}/ephemeral-os-disks"
ERRORS = f"{_MACHINES}/windows/error-messages"
EXPORT = f"{_MACHINES}/linux/download-vhd"
GALLERY = f"{_MACHINES}/shared-image-galleries"
GENERATION = f"{_MACHINES}/generation-2"
NVME = f"{_MACHINES}/nvme-overview"
PLAN = f"{_MACHINES}/marketplace-images"
SHARED_DISKS = f"{_MACHINES}/disks-shared"
SIZES = f"{_MACHINES}/sizes/overview"
TRUSTED_LAUNCH = f"{_MACHINES}/trusted-launch"
UNMANAGED = f"{_MACHINES}/unmanaged-disks-deprecation"
UPLOAD = f"{_MACHINES}/windows/prepare-for-upload-vhd-image"
VERSION = f"{_MACHINES}/image-version"
ZONES = "https://learn.microsoft.com/azure/reliability/availability-zones-overview"
