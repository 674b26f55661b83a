# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The options of the module disk_upload, for the module and for its action plugin."""

from __future__ import annotations

from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._module import TAGS_SPEC
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_request import (
    SECURITY_OPTIONS,
    SECURITY_TYPES,
)

SPEC: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "allow_unpartitioned": {"type": "bool", "default": False},
    "resource_group": {"type": "str"},
    "disk_name": {"type": "str"},
    "location": {"type": "str"},
    "sku": {
        "type": "str",
        "choices": [
            "Standard_LRS",
            "StandardSSD_LRS",
            "StandardSSD_ZRS",
            "Premium_LRS",
            "Premium_ZRS",
            "PremiumV2_LRS",
            "UltraSSD_LRS",
        ],
    },
    "zone": {"type": "str", "choices": ["1", "2", "3"]},
    "os_type": {"type": "str", "choices": ["Linux", "Windows"]},
    "hyper_v_generation": {"type": "str", "choices": ["V1", "V2"]},
    "architecture": {"type": "str", "choices": ["x64", "Arm64"]},
    "disk_encryption_set": {"type": "str"},
    "security_type": {"type": "str", "choices": [*SECURITY_OPTIONS, *SECURITY_TYPES]},
    "storage_account": {"type": "str"},
    "container": {"type": "str"},
    "blob": {"type": "str"},
    "auth_mode": {"type": "str", "choices": ["key", "login"], "default": "key"},
    "sas_url": {"type": "str", "no_log": True},
    "sign_in_on": {"type": "str", "choices": ["controller", "host"]},
    "connections": {"type": "int", "default": 12},
    "verify": {"type": "str", "choices": ["ranges", "full", "none"], "default": "ranges"},
    "resume": {"type": "bool", "default": True},
    "journal_dir": {"type": "path"},
    "bandwidth_limit": {"type": "bytes"},
    "force": {"type": "bool", "default": False},
    "progress_file": {"type": "path"},
    "wait_timeout": {"type": "int", "default": 1800},
    **TAGS_SPEC,
}
RULES: dict[str, Any] = {
    "required_one_of": [("disk_name", "storage_account", "sas_url")],
    "mutually_exclusive": [("disk_name", "storage_account", "sas_url")],
    "required_by": {
        "disk_name": ("resource_group",),
        "storage_account": ("container", "blob"),
        "container": ("storage_account",),
        "blob": ("storage_account",),
    },
}
#: Paths on the host that has the disk; all others are on the machine that signs in.
PATHS_ON_HOST = ("path", "journal_dir", "progress_file")
