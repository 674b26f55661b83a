#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: vm_backup_info
short_description: List the backups of a virtual machine
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Lists the restore points and sets of snapshots that M(goldenimage.azure.vm_backup) has made of a virtual
    machine, which need not be there any more.
options:
  resource_group:
    description: Resource group of the virtual machine.
    type: str
    required: true
  name:
    description: Name of the virtual machine.
    type: str
    required: true
  backup:
    description: Name of a backup. One that is not there is no error, the list is empty then.
    type: str
  backup_resource_group:
    description: Resource group of the backups. The default is the machine's.
    type: str
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.info
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.vm_backup
"""

EXAMPLES = r"""
- name: Look for the backups of a machine
  goldenimage.azure.vm_backup_info:
    resource_group: web
    name: web-1
  register: found

- name: Say which one is the newest that can be restored
  ansible.builtin.debug:
    msg: "{{ found.backups | selectattr('complete') | map(attribute='name') | first | default('none') }}"
"""

RETURN = r"""
backups:
  description: The backups, the newest first, with the keys that M(goldenimage.azure.vm_backup) returns.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the restore point, or of the operating system disk's snapshot.
      type: str
      returned: always
    name:
      description: Name.
      type: str
      returned: always
      sample: before-generalizing
    method:
      description: restore_point or snapshots.
      type: str
      returned: always
      sample: restore_point
    vm_id:
      description: Id of the virtual machine.
      type: str
      returned: always
    created:
      description: When it was made (UTC).
      type: str
      returned: always
      sample: "2026-05-04T12:00:00Z"
    complete:
      description: Whether it can be restored.
      type: bool
      returned: always
    failed:
      description: Whether it never will.
      type: bool
      returned: always
    build_id:
      description: Id of the build that made it.
      type: str
      returned: always
    was_running:
      description: Whether the machine ran when it was made. Null when that is not known any more.
      type: bool
      returned: always
    disks:
      description: >-
        The disks with lun (null for the operating system disk), name, source_id, content_id (disk restore
        point or snapshot), size_gb, storage_account_type, caching and write_accelerator.
      type: list
      elements: dict
      returned: always
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_taking import find_backups
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_backup import VmBackupRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome, azure_module, run


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    request = VmBackupRequest.from_options(module.params)
    found: list[Any] = find_backups(
        session, request.vm_id(session.subscription_id), request.backup_resource_group
    )
    wanted = [each.facts() for each in found if request.backup in (None, each.name)]
    return Outcome(changed=False, result={"backups": wanted})


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "backup": {"type": "str"},
            "backup_resource_group": {"type": "str"},
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
