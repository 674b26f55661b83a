#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: vm_backup
short_description: Back virtual machines up, and bring them back
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Makes a backup of all disks of a virtual machine, and waits until it can be restored; brings the machine
    back to a backup; removes backups.
  - A backup is a I(restore point) in a collection of the machine's own, which has all disks at one moment, or
    a snapshot of each disk. Backups carry tags, or are in a collection with tags, by which this module knows
    its own; it neither restores nor removes anything else.
  - A machine is restored by new disks, made of the backup. It is deallocated, its operating system disk is
    swapped, and the data disks take the LUNs of the old ones with their caching and write acceleration. Name,
    network interfaces, addresses, identities and settings stay. Data disks at LUNs that the backup does not
    know stay where they are.
  - Azure neither starts nor changes a machine that is marked generalized. Such a machine is deleted and made
    anew under its name, with its network interfaces, identities, tags and settings, from the restored disks.
    Disks, interfaces and public addresses that Azure would delete with the machine are saved first.
  - A machine made anew has another C(vm_id), by which cloud-init takes it for a new one and makes new SSH
    host keys, unless it is told otherwise (C(manual_cache_clean)). Its extensions have to be installed again,
    a system-assigned identity is another one, and Azure does not show its administrator's name any more. The
    module warns of what concerns the machine.
  - Old disks are not touched before the machine is as it was. Then they stay, with the tags
    C(goldenimage_replaced) and C(goldenimage_replaced_of), or are deleted with O(remove_replaced_disks=true).
  - Everything that can be checked is checked before the first change, and all that was found is told at once.
    Refused are machines with ephemeral, unmanaged, shared or Ultra disks, with encryption in the guest (Azure
    Disk Encryption) or confidential ones, locks, missing rights and exhausted quotas.
  - A run that was interrupted at any point is gone on with by the next one.
options:
  resource_group:
    description: Resource group of the virtual machine.
    type: str
    required: true
  name:
    description: Name of the virtual machine.
    type: str
    required: true
  state:
    description:
      - With V(present), a backup is made. Without O(backup) none is made when the newest one is as good as
        one made now - the machine is stopped, has been since, and has the same disks.
      - With V(restored), the machine is brought back to the backup. It is not restored again when its disks
        are those of the backup already; see O(force).
      - With V(absent), backups are removed, the one that O(backup) names or all that O(keep) does not keep.
    type: str
    choices: [present, restored, absent]
    default: present
  backup:
    description:
      - Name of the backup, 1 to 40 letters, digits, or any of C(. _ -). A complete one of that name is never
        made anew.
      - The default is a name made of date and time for a new one, and the newest one that is complete for
        O(state=restored).
    type: str
  method:
    description:
      - V(restore_point) keeps all disks at one moment. V(snapshots) takes incremental snapshots of all disks
        at about the same time.
      - The default is a restore point, and snapshots for disks of the kind Premium SSD v2, of which Azure
        makes no crash consistent restore points.
    type: str
    choices: [restore_point, snapshots]
  consistency:
    description:
      - V(crash) makes a restore point like the disks after a power cut. It needs nothing in the guest, and a
        size that can have Premium SSDs.
      - V(application) has Azure's agent in the guest flush file systems (Linux) or applications (Windows)
        first, which installs an extension there.
    type: str
    choices: [crash, application]
    default: crash
  backup_resource_group:
    description: Resource group of the backups. The default is the machine's.
    type: str
  keep:
    description:
      - How many complete backups of the machine stay, 1 to 40; older and failed ones are removed when the new
        one is complete. Without it all stay.
      - With O(state=absent) it may be 0, which removes all.
    type: int
  reuse_hours:
    description:
      - With O(state=present) and without O(backup), for how many hours a backup of the same O(build_id) is
        taken for the one that is wanted, whatever was done to the machine since, unless the machine was
        restored from it. So a job that is repeated after it was killed keeps the backup of the time before
        it began. 1 to 744.
    type: int
  remove_replaced_disks:
    description:
      - With O(state=restored), whether the old disks are deleted when the machine has been restored.
      - That is refused where a disk would be deleted that has the place of a disk of the backup, but is not
        the one that was backed up.
    type: bool
    default: false
  start:
    description:
      - With O(state=restored), whether the machine is to run in the end.
      - The default is that it runs if it ran when the backup was made, or when the restore began.
    type: bool
  force:
    description:
      - With O(state=restored), restore the machine even if its disks are those of this backup already. They
        may have been written to since.
    type: bool
    default: false
  tags:
    description: Tags of the snapshots, or of the collection of restore points. A restore point has none.
    type: dict
  build_id:
    description:
      - Id of the build that this belongs to, 1 to 40 lower-case letters, digits or hyphens, in the tag
        C(goldenimage_build). The default is the same one for the same machine.
    type: str
  expires_after:
    description: Hours after which disks that a killed restore has made, and not used, may be collected.
    type: int
    default: 24
notes:
  - What a running guest has not written to its disks is not in a backup of them. Stop the machine first where
    that matters.
  - O(wait=false) concerns O(state=present) and O(state=absent) alone; a restore always waits.
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.wait
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.vm_backup_info
  - module: goldenimage.azure.vm
"""

EXAMPLES = r"""
- name: Back a machine up before it is generalized, and keep the last three backups
  goldenimage.azure.vm_backup:
    resource_group: web
    name: web-1
    backup: before-generalizing
    keep: 3

- name: Bring it back as it was, with its data disks
  goldenimage.azure.vm_backup:
    resource_group: web
    name: web-1
    state: restored
    backup: before-generalizing
    remove_replaced_disks: true

- name: Take snapshots of a machine's disks into another resource group
  goldenimage.azure.vm_backup:
    resource_group: web
    name: web-1
    method: snapshots
    backup_resource_group: backups
    tags:
      owner: web

- name: Remove all backups of a machine
  goldenimage.azure.vm_backup:
    resource_group: web
    name: web-1
    state: absent
    keep: 0
"""

RETURN = r"""
backup:
  description: >-
    The backup that is there now, or was restored; in check mode a new one has only name, method, vm_id and
    complete. Null with O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: Id of the restore point, or of the operating system disk's snapshot.
      type: str
      returned: when it is there
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
      returned: when it is there
      sample: "2026-05-04T12:00:00Z"
    complete:
      description: Whether it can be restored.
      type: bool
      returned: always
    failed:
      description: Whether it never will.
      type: bool
      returned: when it is there
    build_id:
      description: Id of the build that made it.
      type: str
      returned: when it is there
    was_running:
      description: Whether the machine ran when it was made. Null when that is not known any more.
      type: bool
      returned: when it is there
    disks:
      description: >-
        The disks with lun (null for the operating system disk), name, source_id, content_id (disk restore
        point or snapshot), size_gb, storage_account_type, caching and write_accelerator.
      type: list
      elements: dict
      returned: when it is there
removed:
  description: Names of the backups that were removed.
  returned: O(state=present) and O(state=absent)
  type: list
  elements: str
disks:
  description: Ids of the disks that the machine has now, by their places, C(os) and C(lun 0) for example.
  returned: O(state=restored)
  type: dict
kept_disks:
  description: Ids of the old disks that stay, and of snapshots of those that Azure deleted with the machine.
  returned: O(state=restored)
  type: list
  elements: str
recreated:
  description: Whether the machine was generalized, so that it was deleted and made anew.
  returned: O(state=restored)
  type: bool
running:
  description: Whether the machine runs now.
  returned: O(state=restored)
  type: bool
actions:
  description: One sentence for each change.
  returned: success
  type: list
  elements: str
failure:
  description: >-
    What Azure said - code, message, target, status, request_id - and what to do, remedy; when the task was
    refused, also findings, each with id, what, where and remedy.
  returned: failure
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_backup import (
    VmBackupRequest,
    ensure_backup,
    ensure_no_backup,
    ensure_restored,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    WAIT_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)

_STATES = {"present": ensure_backup, "restored": ensure_restored, "absent": ensure_no_backup}


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    options: dict[str, Any] = module.params
    done = _STATES[options["state"]](
        session,
        VmBackupRequest.from_options(options),
        check_mode=module.check_mode,
        waiter=waiter_from(module),
    )
    return Outcome(done.changed, done.result, done.before, done.after, done.actions, done.warnings)


def main() -> None:
    module = azure_module(
        {
            "resource_group": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": list(_STATES), "default": "present"},
            "backup": {"type": "str"},
            "method": {"type": "str", "choices": ["restore_point", "snapshots"]},
            "consistency": {"type": "str", "choices": ["crash", "application"], "default": "crash"},
            "backup_resource_group": {"type": "str"},
            "keep": {"type": "int"},
            "reuse_hours": {"type": "int"},
            "remove_replaced_disks": {"type": "bool", "default": False},
            "start": {"type": "bool"},
            "force": {"type": "bool", "default": False},
            "tags": {"type": "dict"},
            "build_id": {"type": "str"},
            "expires_after": {"type": "int", "default": 24},
            **WAIT_SPEC,
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
