# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A few well-known extensions of machines, offered in every region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ExtensionType(NamedTuple):
    """`versions` from the lowest on."""

    system: str
    versions: tuple[str, ...]
    on_scale_sets: bool = True
    json: bool = False


#: By publisher and type.
EXTENSIONS: Mapping[str, Mapping[str, ExtensionType]] = {
    "Acronis.Backup": {
        "AcronisBackup": ExtensionType("Windows", ("1.0.33", "1.0.51"), on_scale_sets=False, json=True),
        "AcronisBackupLinux": ExtensionType("Linux", ("1.0.33", "1.0.51"), on_scale_sets=False, json=True),
    },
    "Microsoft.Azure.Extensions": {
        "CustomScript": ExtensionType("Linux", ("2.0.7", "2.1.3", "2.1.10"), json=True),
    },
    "Microsoft.Azure.Security": {
        "AzureDiskEncryption": ExtensionType("Windows", ("1.1.0.4", "2.2.0.41"), json=True),
        "AzureDiskEncryptionForLinux": ExtensionType("Linux", ("0.1.0.999339", "1.1.0.54"), json=True),
        "IaaSAntimalware": ExtensionType("Windows", ("1.5.5.9", "1.7.0.3")),
    },
    "Microsoft.Compute": {
        "BGInfo": ExtensionType("Windows", ("1.1", "2.1", "2.2.2")),
        "CustomScriptExtension": ExtensionType("Windows", ("1.9.5", "1.10.12", "1.10.15"), json=True),
        "JsonADDomainExtension": ExtensionType("Windows", ("1.3.2", "1.3.10"), json=True),
        "VMAccessAgent": ExtensionType(
            "Windows", ("1.0", "1.0.2", "1.0.3", "2.0", "2.0.2", "2.3", "2.4.8"), on_scale_sets=False
        ),
    },
    "Microsoft.OSTCExtensions": {
        "CustomScriptForLinux": ExtensionType("Linux", ("1.4.1.0", "1.5.5.0")),
        "VMAccessForLinux": ExtensionType("Linux", ("1.4.7.1", "1.5.11"), on_scale_sets=False),
    },
}
