# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Copies of disks without a playbook, and a look at what they left in Azure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_job import CopyJob
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.job import UploadJob

from tests.integration.cloud import CHECKOUT, LocalAzure
from tests.integration.plays import COLLECTIONS
from tests.integration.uploads import DISKS
from tests.unit._transfer.test_job import DEFAULTS as UPLOAD_DEFAULTS

SNAPSHOTS = "Microsoft.Compute/snapshots"
_BLOB: dict[str, Any] = {
    "storage_account": None,
    "container": None,
    "blob": None,
    "auth_mode": "key",
    "sas_url": None,
}
_SOURCE: dict[str, Any] = {"disk_name": None, "snapshot_name": None, "resource_group": None, **_BLOB}
_DEFAULTS: dict[str, Any] = {
    "resource_group": None,
    "disk_name": None,
    "snapshot_name": None,
    "location": None,
    "sku": None,
    "zone": None,
    "incremental": None,
    "disk_encryption_set": None,
    "os_type": None,
    "hyper_v_generation": None,
    **_BLOB,
    "force": False,
    "wait": True,
    "wait_timeout": 120,
    "progress_file": None,
    "tags": None,
    "append_tags": True,
    "cert_validation_mode": None,
}
_RUN = """
import json, sys
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import open_session
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_job import CopyJob
with open_session({}) as session:
    CopyJob(json.loads(sys.argv[1]), check_mode=False).run(session)
"""


def copy_options(source: dict[str, Any], **given: Any) -> dict[str, Any]:
    """The module's options with their defaults."""
    return {**_DEFAULTS, "source": {**_SOURCE, **source}, **given}


def copy(
    session: AzureSession | None, source: dict[str, Any], *, check_mode: bool = False, **given: Any
) -> dict[str, Any]:
    """What the module would return, with `before` and `after` of the diff."""
    done = CopyJob(copy_options(source, **given), check_mode=check_mode).run(session)
    return {
        **done.result,
        "changed": done.changed,
        "actions": done.actions,
        "warnings": done.warnings,
        "before": done.before,
        "after": done.after,
    }


def started_copy(azure: LocalAzure, source: dict[str, Any], **given: Any) -> subprocess.Popen[str]:
    """A copy by a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, json.dumps(copy_options(source, **given))],
        env={**os.environ, **azure.env, "PYTHONPATH": f"{CHECKOUT}:{COLLECTIONS}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def upload(session: AzureSession, path: Path, **given: Any) -> dict[str, Any]:
    """Upload a disk file; what the module would return."""
    options = {**UPLOAD_DEFAULTS, "path": str(path), **given}
    with UploadJob(options, check_mode=False) as job:
        done = job.run(session)
    return {**done.result, "changed": done.changed}


def state(azure: LocalAzure, group: str, disk: str, kind: str = DISKS) -> str:
    """A disk's or snapshot's diskState."""
    found: str = azure.get(azure.id(group, kind, disk))["properties"]["diskState"]
    return found


def names(azure: LocalAzure, group: str, kind: str) -> set[str]:
    """Names of all disks or snapshots of the group."""
    return {item["name"] for item in azure.get(azure.id(group, kind, "").rstrip("/"))["value"]}
