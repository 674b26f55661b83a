#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: vm_capture
short_description: Capture a virtual machine to images, gallery versions and VHD blobs
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Makes one or several things of an existing virtual machine in one run - managed images, versions in an
    Azure Compute Gallery, and VHD blobs.
  - Everything that speaks against it is looked for before the first change and told together, in
    RV(failure.findings). Nothing was changed then.
  - For a generalized image the machine is deallocated if it runs (only with O(stop=true)), powered off if
    its guest has switched itself off, and marked generalized where the target needs it. Azure never starts a
    machine again that is marked generalized.
  - Azure's mark says nothing about the operating system. So a generalized capture wants proof that the guest
    was generalized, see O(assume_generalized).
  - Every image carries tags that say where it comes from - C(goldenimage_source),
    C(goldenimage_source_vm_id), C(goldenimage_source_image), C(goldenimage_plan), C(goldenimage_os_state),
    C(goldenimage_build), C(goldenimage_captured), C(goldenimage_awx_job) and C(goldenimage_sources), a
    digest of what was captured. Of a twin (M(goldenimage.azure.vm_twin)) the source is the machine that it is
    a twin of; the twin itself is in C(goldenimage_twin).
  - What is there already and was made of the same machine is kept. Its tags, and of a gallery version the
    regions, replicas, O(targets[].exclude_from_latest) and O(targets[].end_of_life), are changed to what is
    asked for; where Azure changes nothing, such as O(targets[].zone_resilient), the task is refused.
  - A run that was killed can be repeated. It goes on where the other was, waits for what Azure is still
    making, and replaces what failed, so that there is never a second image or half of one.
  - A run that fails keeps the images that it has made, with the tag C(goldenimage_incomplete). If they were
    made of the machine as it is, the next run makes the others and takes the tag away. If the machine was
    restored since then, or a twin of it was removed, the next run of the same build replaces them, so that
    all are made of the same.
options:
  source_vm:
    description: Name or id of the virtual machine. A name is looked up in O(resource_group).
    type: str
    required: true
  resource_group:
    description: Resource group of the machine, and of the targets that do not name their own.
    type: str
    required: true
  kind:
    description: V(vm_image) takes the operating system disk and data disks, V(os_image) the operating system
      alone.
    type: str
    choices: [vm_image, os_image]
    default: vm_image
  os_state:
    description:
      - V(generalized) for images that many machines are made of.
      - V(specialized) for images that keep this one machine's identity. The machine is not changed, apart
        from being deallocated with O(stop=true); it stays deallocated then.
    type: str
    choices: [generalized, specialized]
    default: generalized
  data_disks:
    description: LUNs of the data disks to take. All of them by default; an empty list takes none.
    type: list
    elements: int
  targets:
    description: What to make, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      type:
        description: Kind of target. It decides which of the other options there are.
        type: str
        choices: [managed_image, gallery_version, vhd_blobs]
        required: true
      resource_group:
        description: Resource group of the image, the gallery or the storage account.
        type: str
      name:
        description: Name of the managed image.
        type: str
      zone_resilient:
        description: Whether the managed image is kept in several zones of the region.
        type: bool
      storage_account_type:
        description:
          - Kind of storage of the image's disks, or of the version in regions that do not say another.
          - A managed image has that of the machine's disks by default.
        type: str
        choices:
          - Standard_LRS
          - Standard_ZRS
          - StandardSSD_LRS
          - StandardSSD_ZRS
          - Premium_LRS
          - Premium_ZRS
      disk_encryption_set:
        description: Id of the disk encryption set for the managed image's disks. The machine's by default.
        type: str
      gallery:
        description: Name or id of the gallery.
        type: str
      definition:
        description: Name of the image definition in the gallery. It has to be there and to fit the machine.
        type: str
      version:
        description: Version to make, three numbers such as V(1.0.0).
        type: str
      regions:
        description:
          - Regions the version is replicated to, the machine's own among them. That one alone by default, and
            those that it has where it is there already. It is only removed from others where its safety
            profile allows that.
        type: list
        elements: dict
        suboptions:
          name:
            description: Region.
            type: str
            required: true
          replicas:
            description: Number of replicas there, 1 to 100.
            type: int
          storage_account_type:
            description: Kind of storage there.
            type: str
            choices: [Standard_LRS, Standard_ZRS, Premium_LRS]
          exclude_from_latest:
            description: Whether V(latest) never means this version there.
            type: bool
          disk_encryption_set:
            description: Id of the disk encryption set of that region to encrypt the replicas with.
            type: str
      replicas:
        description: Number of replicas in regions that do not say another, 1 to 100.
        type: int
      exclude_from_latest:
        description: Whether V(latest) never means this version.
        type: bool
      end_of_life:
        description: When the version is to be used no more, a date such as V(2030-01-31).
        type: str
      replication_mode:
        description: V(Shallow) makes a version within minutes, for tests, without replicas.
        type: str
        choices: [Full, Shallow]
      storage_account:
        description:
          - Storage account of the VHD blobs. The blob service copies the disks to it from temporary
            snapshots; that is always waited for.
        type: str
      container:
        description: Container of the blobs, which has to be there.
        type: str
      prefix:
        description:
          - What the blobs' names begin with, the machine's name and a hyphen by default. C(os.vhd) follows
            for the operating system disk, and C(lun5.vhd) for example for the data disk at LUN 5.
        type: str
      auth_mode:
        description: V(key) uses the account's key, V(login) the credential itself, which needs a role for
          blobs.
        type: str
        choices: [key, login]
  stop:
    description: Whether a running machine may be deallocated. Without it a running machine is refused.
    type: bool
    default: false
  allow_running:
    description:
      - Whether a specialized version in a gallery may be made of a machine that goes on running. Its disks
        are then as if its power had failed.
    type: bool
    default: false
  assume_generalized:
    description:
      - Whether to do without proof that the operating system was generalized.
      - Proof is the tag C(goldenimage_generalized) that the role P(goldenimage.azure.linux_generalize#role)
        leaves on the machine, as long as the machine was not started after it; or the role's report, which a
        running guest is asked for through its agent.
      - That Azure calls the machine generalized is no proof, it says so of any machine that somebody marked.
    type: bool
    default: false
  backup:
    description:
      - Whether to take a backup of the machine first, as M(goldenimage.azure.vm_backup) does, and to begin
        only when it is complete. It stays afterwards.
    type: bool
    default: false
  backup_name:
    description:
      - Name of the backup. If there is one of that name, that is what is gone back to, and none is taken; so
        name the backup here that was taken before the guest was generalized.
      - Without a name a backup is taken of a machine that this build has not touched yet.
    type: str
  rescue:
    description:
      - Whether to restore the machine from the backup when anything fails later. Running into
        O(wait_timeout) is no failure - Azure goes on then. Needs O(wait=true).
      - A machine that was stopped and not yet marked generalized is only started again, if it ran; what it
        had written after the backup is not lost. With O(backup_name) it is restored in that case, too.
    type: bool
    default: false
  awx_job_id:
    description:
      - Number of the AWX job this runs in, for the tags. In AWX it is the variable C(awx_job_id).
    type: str
  build_id:
    description:
      - Id of this build in the tags, up to 40 lower-case letters, digits and hyphens. By default it is made
        of the machine's id and the targets, the same for each run.
    type: str
  expires_after:
    description: Hours after which temporary resources that a killed run left may be collected.
    type: int
    default: 24
  tags:
    description: Your own tags of the images, at most 40.
    type: dict
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.wait
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
seealso:
  - module: goldenimage.azure.managed_image
  - module: goldenimage.azure.vm
  - module: goldenimage.azure.vm_backup
"""

EXAMPLES = r"""
- name: Capture a generalized machine with all its disks to a managed image
  goldenimage.azure.vm_capture:
    resource_group: build
    source_vm: build-web
    stop: true
    targets:
      - type: managed_image
        resource_group: images
        name: web-1.0
    awx_job_id: "{{ awx_job_id | default(omit) }}"

- name: Capture its operating system alone to a gallery, in two regions
  goldenimage.azure.vm_capture:
    resource_group: build
    source_vm: build-web
    kind: os_image
    targets:
      - type: gallery_version
        resource_group: images
        gallery: golden
        definition: web
        version: 1.0.0
        regions:
          - name: westeurope
            replicas: 2
          - name: northeurope
        end_of_life: "2030-01-31"

- name: Capture to VHD blobs, with a backup that is gone back to if that fails
  goldenimage.azure.vm_capture:
    resource_group: build
    source_vm: build-web
    targets:
      - type: vhd_blobs
        resource_group: images
        storage_account: goldenimages
        container: vhds
        prefix: web-1.0-
    backup: true
    rescue: true

- name: Capture a machine as it is, while it runs
  goldenimage.azure.vm_capture:
    resource_group: production
    source_vm: database
    os_state: specialized
    allow_running: true
    targets:
      - type: gallery_version
        resource_group: images
        gallery: golden
        definition: database-specialized
        version: 2026.11.21
"""

RETURN = r"""
targets:
  description: What was made, or was there already, in the order of O(targets); in check mode as it would be.
  returned: success
  type: list
  elements: dict
  contains:
    type:
      description: Kind of target.
      type: str
      returned: always
      sample: managed_image
    changed:
      description: Whether this run made or changed it.
      returned: always
      type: bool
    made:
      description: Whether this run made it; what is changed without being made was there already.
      type: bool
      returned: always
    id:
      description: Resource id; of VHD blobs the URL of the operating system's.
      type: str
      returned: always
      sample: /subscriptions/SUBSCRIPTION/resourceGroups/images/providers/Microsoft.Compute/images/web-1.0
    storage_account:
      description: Storage account.
      type: str
      returned: for VHD blobs
    container:
      description: Container.
      type: str
      returned: for VHD blobs
    name:
      description: Name; of a gallery version its number.
      type: str
      returned: for images and versions
      sample: web-1.0
    resource_group:
      description: Resource group.
      type: str
      returned: for images and versions
    location:
      description: Region.
      type: str
      returned: for images and versions
    tags:
      description: Tags; of VHD blobs the metadata of the operating system's.
      type: dict
      returned: always
    os_disk:
      description: Operating system disk, with caching and disk_size_gb; of VHD blobs url and disk_size_gb;
        of a managed image also source, os_type, os_state, storage_account_type, disk_encryption_set.
      type: dict
      returned: always
    data_disks:
      description: Data disks, with lun and the keys of RV(targets[].os_disk).
      type: list
      elements: dict
      returned: always
    hyper_v_generation:
      description: V1 (BIOS) or V2 (UEFI).
      type: str
      returned: for a managed image
    source_virtual_machine:
      description: Id of the machine it was made of, null when it was made of its disks.
      type: str
      returned: for a managed image
    zone_resilient:
      description: Whether it is kept in several zones, null when that was never said.
      type: bool
      returned: for a managed image
    gallery:
      description: Name of the gallery.
      type: str
      returned: for a gallery version
    definition:
      description: Name of the image definition.
      type: str
      returned: for a gallery version
    version:
      description: Version.
      type: str
      returned: for a gallery version
      sample: 1.0.0
    regions:
      description: Regions, with the keys of
        RV(goldenimage.azure.gallery_image_version#module:version.regions). A version has the other keys
        that M(goldenimage.azure.gallery_image_version) returns, too.
      type: list
      elements: dict
      returned: for a gallery version
    replication:
      description: How far each region is, with region, state, progress (percent) and details of a failure.
      type: list
      elements: dict
      returned: for a gallery version
      sample: [{region: westeurope, state: Completed, progress: 100, details: null}]
    exclude_from_latest:
      description: Whether V(latest) never means it.
      type: bool
      returned: for a gallery version
    end_of_life:
      description: When it is to be used no more.
      type: str
      returned: for a gallery version
    replication_mode:
      description: Full or Shallow, null when that was never said.
      type: str
      returned: for a gallery version
    provisioning_state:
      description: Azure's state, null in check mode.
      type: str
      returned: for images and versions
      sample: Succeeded
vm:
  description: The machine afterwards. Null when it is gone and everything had been made.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id.
      type: str
    power_state:
      description: running, stopped or deallocated.
      type: str
    generalized:
      description: Whether it is marked generalized.
      type: bool
evidence:
  description:
    - What proved that the guest was generalized - V(tag), V(guest) or V(assumed). Null when that was not to
      be proved.
  returned: success
  type: str
  sample: tag
backup:
  description: The backup, with O(backup=true), see RV(goldenimage.azure.vm_backup#module:backup). Null
    without.
  returned: success
  type: dict
build_id:
  description: The build's id in the tags.
  returned: success
  type: str
  sample: 1f0c6c1e7a558d2b
actions:
  description: One sentence for each change.
  returned: success
  type: list
  elements: str
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
  contains:
    findings:
      description: When the capture was refused, every reason with id, what, where and remedy.
      type: list
      elements: dict
      returned: when nothing was changed
      sample:
        - id: vm-running
          what: build-web is running, and nothing allows to stop it.
          where: source_vm
          remedy: Set stop to true to have it deallocated, or stop it first.
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.job import capture
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    WAIT_SPEC,
    Outcome,
    azure_module,
    run,
    waiter_from,
)

_STORAGE_TYPES = (
    "Standard_LRS",
    "Standard_ZRS",
    "StandardSSD_LRS",
    "StandardSSD_ZRS",
    "Premium_LRS",
    "Premium_ZRS",
)
_REGION_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "replicas": {"type": "int"},
    "storage_account_type": {"type": "str", "choices": ["Standard_LRS", "Standard_ZRS", "Premium_LRS"]},
    "exclude_from_latest": {"type": "bool"},
    "disk_encryption_set": {"type": "str"},
}
_TARGET_SPEC: dict[str, Any] = {
    "type": {"type": "str", "required": True, "choices": ["managed_image", "gallery_version", "vhd_blobs"]},
    "resource_group": {"type": "str"},
    "name": {"type": "str"},
    "zone_resilient": {"type": "bool"},
    "storage_account_type": {"type": "str", "choices": list(_STORAGE_TYPES)},
    "disk_encryption_set": {"type": "str"},
    "gallery": {"type": "str"},
    "definition": {"type": "str"},
    "version": {"type": "str"},
    "regions": {"type": "list", "elements": "dict", "options": _REGION_SPEC},
    "replicas": {"type": "int"},
    "exclude_from_latest": {"type": "bool"},
    "end_of_life": {"type": "str"},
    "replication_mode": {"type": "str", "choices": ["Full", "Shallow"]},
    "storage_account": {"type": "str"},
    "container": {"type": "str"},
    "prefix": {"type": "str"},
    "auth_mode": {"type": "str", "choices": ["key", "login"]},
}


def work(module: AnsibleModule, session: AzureSession) -> Outcome:
    done = capture(
        session,
        CaptureRequest.from_options(module.params, session.subscription_id),
        check_mode=module.check_mode,
        waiter=waiter_from(module),
    )
    return Outcome(
        changed=done.changed,
        result={
            "targets": done.targets,
            "vm": done.vm,
            "evidence": done.evidence,
            "backup": done.backup,
            "build_id": done.build_id,
        },
        before=done.before,
        after=done.after,
        actions=done.actions,
        warnings=done.warnings,
    )


def main() -> None:
    module = azure_module(
        {
            "source_vm": {"type": "str", "required": True},
            "resource_group": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": ["vm_image", "os_image"], "default": "vm_image"},
            "os_state": {"type": "str", "choices": ["generalized", "specialized"], "default": "generalized"},
            "data_disks": {"type": "list", "elements": "int"},
            "targets": {"type": "list", "elements": "dict", "options": _TARGET_SPEC, "required": True},
            "stop": {"type": "bool", "default": False},
            "allow_running": {"type": "bool", "default": False},
            "assume_generalized": {"type": "bool", "default": False},
            "backup": {"type": "bool", "default": False},
            "backup_name": {"type": "str"},
            "rescue": {"type": "bool", "default": False},
            "awx_job_id": {"type": "str"},
            "build_id": {"type": "str"},
            "expires_after": {"type": "int", "default": 24},
            "tags": {"type": "dict"},
            **WAIT_SPEC,
        }
    )
    run(module, work)


if __name__ == "__main__":
    main()
