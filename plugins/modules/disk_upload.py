#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: disk_upload
short_description: Upload a disk file into a managed disk or a page blob
version_added: 0.1.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Uploads a raw, VHD, VHDX, qcow2 or VMDK disk file into a managed disk, or into a page blob as a fixed VHD.
  - Nothing is converted before and no temporary file is made. The disk is read once, and only what is not
    zero is sent, by several connections at once; what a file system has in its holes is not even read.
  - The format is recognised by the file's content. Files of other formats are refused with the command
    that converts them, and so are damaged and truncated files and files that are no disk, before anything
    is created.
  - A disk of several files is read whole, a qcow2 with its backing file for instance. As a guest can write
    anything to its raw disk, the names of other files are only followed where the name of O(path) ends in
    that of the format, C(.qcow2), C(.vmdk), C(.vhd), C(.avhd), C(.vhdx) or C(.avhdx).
  - The size is rounded up to whole MiB, as Azure demands, and the footer of a fixed VHD is made on the way.
  - Every request carries the MD5 of its data, and afterwards the service is asked which ranges were
    written.
  - What has arrived is noted in a journal beside the disk file. An upload that ends early, even by
    C(kill -9), is gone on with by the next run, which sends only what is missing.
  - The disk gets the tags C(goldenimage_content_sha256) and C(goldenimage_virtual_size), a blob such
    metadata. A second run with the same content finds them and sends nothing.
  - An upload that fails or is interrupted is kept if another run can go on with it, see O(resume). Else its
    access is revoked and what it has created is removed.
  - Until it is complete, a disk has the tag C(goldenimage_upload) and a blob the metadata
    C(goldenimage_state=uploading), so that nothing takes it for a whole one.
  - Where the task runs on another host than the controller, or with C(become), the controller signs in,
    creates the disk and finishes it, and the host sends it. The host needs Python 3.6, or what the
    controller's ansible-core asks of hosts, and a route to the blob service. It gets a SAS for this one disk
    or blob, valid for hours, in the input of a module; no credential leaves the controller, and no SAS is in
    a command line, in output or in a result. See O(sign_in_on).
  - Progress is shown every few seconds where the connection is local or C(ssh), unless the task has C(async)
    or sets O(progress_file).
options:
  path:
    description: Path of the disk file, or of a block device, on the host the module runs on.
    type: path
    required: true
  allow_unpartitioned:
    description: Whether a raw file without a partition table and without a known file system is taken for
      a disk.
    type: bool
    default: false
  resource_group:
    description:
      - Resource group of the managed disk, or of the storage account.
      - For a blob with O(auth_mode=login) it may be left out, which saves looking the account up.
    type: str
  disk_name:
    description:
      - Name of the managed disk, 1 to 80 letters, digits, or any of C(. _ -), beginning with a letter or
        digit and ending with a letter, digit or C(_).
      - Exactly one of O(disk_name), O(storage_account) and O(sas_url) says where to upload to.
    type: str
  location:
    description: Region of the managed disk. The default is the resource group's. A disk that exists in
      another one is an error.
    type: str
  sku:
    description:
      - Kind of storage of the managed disk. A new disk is V(Standard_LRS) when this is not set.
      - Whether the region offers it to the subscription is asked before anything is created.
      - A disk that exists with the right content is changed to it. Azure changes neither to and from
        V(UltraSSD_LRS) nor between V(*_LRS) and V(*_ZRS); that is an error. It changes a disk only while
        that is not attached to a running machine.
      - V(PremiumV2_LRS) and V(UltraSSD_LRS) are for data disks, and are made with sectors of 512 bytes, as
        the disk file has them.
    type: str
    choices:
      - Standard_LRS
      - StandardSSD_LRS
      - StandardSSD_ZRS
      - Premium_LRS
      - Premium_ZRS
      - PremiumV2_LRS
      - UltraSSD_LRS
  zone:
    description: Availability zone of the managed disk; not for V(sku=*_ZRS). Whether the region has the
      disk's kind there is asked before anything is created. A disk that exists in another zone is an error.
    type: str
    choices: ['1', '2', '3']
  os_type:
    description:
      - Operating system on the managed disk. Leave it out for data disks.
      - A value that the boot loader on the disk contradicts is an error.
      - A disk to boot from has at most 2 TiB with generation V1 and 4095 GiB with V2, a data disk 32767 GiB.
        More is refused before the first request, and so is a page blob of more than 8 TiB.
    type: str
    choices: [Linux, Windows]
  hyper_v_generation:
    description:
      - V(V1) for machines that boot by BIOS, V(V2) for machines that boot by UEFI. Only for a disk with
        O(os_type).
      - By default it is read from the disk. An EFI system partition means V(V2). A boot loader in the
        first sector means V(V1), on a GPT disk only together with a BIOS boot partition or one with the
        legacy boot flag. A disk with both becomes V(V2). For a disk with neither it has to be given.
      - A value that the disk contradicts is an error.
    type: str
    choices: [V1, V2]
  architecture:
    description:
      - Processor architecture of the operating system on the managed disk.
      - By default V(Arm64) is asked for when the programs on the disk are for it; otherwise it is left to
        Azure, which takes V(x64). M(goldenimage.azure.disk_info) shows what the disk is for.
      - A value that the disk contradicts is an error.
    type: str
    choices: [x64, Arm64]
  disk_encryption_set:
    description:
      - Id of the disk encryption set that encrypts the managed disk. It has to be in the disk's region.
      - A disk that exists with the right content is changed to it.
    type: str
  security_type:
    description:
      - V(TrustedLaunchSupported) lets machines of the security type Trusted Launch be made of the managed
        disk, V(TrustedLaunchAndConfidentialVMSupported) confidential ones as well. Only for a disk with
        O(os_type) that boots by UEFI (V2).
      - The other values are those that Azure gives to disks of such machines. It gives them to no uploaded
        disk, because a state of the machine belongs to them that a disk file does not have, so that they are
        refused.
    type: str
    choices:
      - TrustedLaunchSupported
      - TrustedLaunchAndConfidentialVMSupported
      - TrustedLaunch
      - ConfidentialVM_VMGuestStateOnlyEncryptedWithPlatformKey
      - ConfidentialVM_DiskEncryptedWithPlatformKey
      - ConfidentialVM_DiskEncryptedWithCustomerKey
      - ConfidentialVM_NonPersistedTPM
    version_added: 0.2.0
  storage_account:
    description: Name of the storage account to upload a page blob to, together with O(container) and
      O(blob).
    type: str
  container:
    description: Name of the container of the blob. It has to exist.
    type: str
  blob:
    description: Name of the blob. Azure makes disks and images only of names that end in C(.vhd).
    type: str
  auth_mode:
    description:
      - How access to O(storage_account) is got. V(key) looks the account's key up, which needs
        O(resource_group) and the Python package azure-storage-blob.
      - V(login) uses the credential itself, which needs the role Storage Blob Data Contributor. A host that
        sends the disk for the controller gets a SAS in its name, for which azure-storage-blob is needed.
    type: str
    choices: [key, login]
    default: key
  sas_url:
    description:
      - URL of the page blob with a SAS that permits to read, create, write and delete. No other credential
        is used.
    type: str
  sign_in_on:
    description:
      - Where the credentials are used. With V(controller) it is where C(ansible-playbook) runs, whose
        Python needs the Azure SDK; the host that has the disk needs Python alone. With V(host) it is that
        host, which then needs the SDK and the credentials, for example a managed identity.
      - By default it is the controller, unless the connection is local and the task has no C(become), when
        both are one, or the task has C(async), which runs on its host alone.
      - With V(controller), the options O(path), O(journal_dir) and O(progress_file) are paths on the host,
        and of the task's C(environment) only variables that begin with C(AZURE_) count for the controller.
    type: str
    choices: [controller, host]
    version_added: 0.2.0
  connections:
    description:
      - How many connections send at the same time at most, 1 to 12. Each needs 4 MiB of memory.
      - A few begin; the others join in where the processors would otherwise wait for the network.
    type: int
    default: 12
  verify:
    description:
      - With V(ranges) the service is asked after the upload which ranges of the disk were written, and a
        difference is an error.
      - With V(full) everything that was sent is read back as well and compared.
    type: str
    choices: [ranges, full, none]
    default: ranges
  resume:
    description:
      - Whether an upload that fails or is interrupted is kept, and gone on with when the task runs again.
      - The journal of what has arrived tells what need not be sent again. It is a file C(.NAME.*.upload),
        holds no secret, has mode 0600, and is removed when the upload is complete. What the journal says is
        believed only if the service has these ranges and the same bytes stand in the disk file; everything
        else is sent again.
      - A disk file that was changed since is uploaded from the start. So is one into a disk or blob that is
        not the one the journal tells of.
      - The access to a managed disk that is kept cannot be revoked, because Azure revokes it only from whole
        disks. It runs out by itself, after four hours or later for large disks; nobody but the upload has had
        its signature.
      - Where no journal can be written, what an upload that ends early has created is removed.
    type: bool
    default: true
    version_added: 0.2.0
  journal_dir:
    description:
      - Folder for the journal. It has to exist.
      - The default is the folder of the disk file. A block device has no journal without this option.
    type: path
    version_added: 0.2.0
  bandwidth_limit:
    description: How many bytes per second are sent at most, by all connections together, for example V(20M).
      At least 100000.
    type: bytes
    version_added: 0.2.0
  force:
    description:
      - Whether a disk or blob of that name with other content, or a disk with other settings that cannot be
        changed, is deleted and uploaded anew. Without it, that is an error.
      - A half-uploaded disk or blob of another run is replaced, too. Without it, that is an error as long as
        that run may still be at work.
      - A disk that is attached to a machine is never replaced, and neither is a complete blob that is leased.
    type: bool
    default: false
  progress_file:
    description:
      - File to which progress is appended as lines of JSON. C(phase) is C(reading) or C(sending), C(done)
        and C(total) are bytes of what the file may hold as data, C(sent) is how much has been sent,
        C(resumed) how much had been sent before, C(seconds) how long it took. It is created with mode 0600.
    type: path
  wait_timeout:
    description: How many seconds to wait for each of Azure's operations. The time for sending is not
      limited.
    type: int
    default: 1800
extends_documentation_fragment:
  - goldenimage.azure.azure
  - goldenimage.azure.tags
  - goldenimage.azure.attributes
  - goldenimage.azure.attributes.full
  - goldenimage.azure.attributes.action_group
notes:
  - Two uploads into the same name exclude each other, blobs by a lease, managed disks by their tag and by
    the state that Azure keeps of an upload. The later one fails, or the one that was taken over with
    O(force). The lease of a killed upload ends after a minute; the run that goes on with it need not wait.
  - When the access to a managed disk runs out during the upload or is taken back, it is granted anew, and
    so is a SAS made of an account's key.
  - An upload into a managed disk that is killed after Azure has taken the disk for whole and before its tags
    say so, is completed by the next run, after it has compared the disk with its file by O(verify).
  - The content of a disk is known by its tag. What a machine that the disk was attached to wrote to it is
    not noticed.
  - Metadata stands in place of tags for blobs; O(tags) is for managed disks only.
seealso:
  - module: goldenimage.azure.disk_info
  - module: goldenimage.azure.managed_image
"""

EXAMPLES = r"""
- name: Upload an operating system disk into a managed disk
  goldenimage.azure.disk_upload:
    path: /var/lib/images/web.qcow2
    resource_group: images
    disk_name: web-os
    os_type: Linux
    sku: Premium_LRS
    tags:
      release: "1.0"

- name: Upload a data disk
  goldenimage.azure.disk_upload:
    path: /var/lib/images/web-data.raw
    resource_group: images
    disk_name: web-data

# The hypervisor needs no Azure SDK and sees no credential.
- name: Upload from the hypervisor that has the file, and replace what was there
  goldenimage.azure.disk_upload:
    path: /srv/vm/web.vhd
    resource_group: images
    disk_name: web-os
    os_type: Windows
    hyper_v_generation: V2
    security_type: TrustedLaunchSupported
    force: true
  delegate_to: hypervisor

- name: Upload into a page blob with the signed-in identity
  goldenimage.azure.disk_upload:
    path: /var/lib/images/web.qcow2
    storage_account: mystorage
    container: vhds
    blob: web-1.0.vhd
    auth_mode: login

- name: Upload into a page blob with nothing but a SAS
  goldenimage.azure.disk_upload:
    path: /var/lib/images/web.qcow2
    sas_url: "{{ blob_url_with_sas }}"
"""

RETURN = r"""
disk:
  description: The managed disk; in check mode as it would be.
  returned: success, with O(disk_name)
  type: dict
  contains:
    id:
      description: Resource id.
      type: str
      returned: always
      sample: /subscriptions/xxxx-xxxx/resourceGroups/images/providers/Microsoft.Compute/disks/web-os
    name:
      description: Name.
      type: str
      returned: always
      sample: web-os
    resource_group:
      description: Resource group.
      type: str
      returned: always
      sample: images
    location:
      description: Region.
      type: str
      returned: always
      sample: westeurope
    sku:
      description: Kind of storage.
      type: str
      returned: always
      sample: Premium_LRS
    zone:
      description: Availability zone, null without one.
      type: str
      returned: always
    os_type:
      description: Linux or Windows, null for a data disk.
      type: str
      returned: always
      sample: Linux
    hyper_v_generation:
      description: V1 (BIOS) or V2 (UEFI), null for a data disk.
      type: str
      returned: always
      sample: V2
    architecture:
      description: Processor architecture, null when it was never said.
      type: str
      returned: always
      sample: x64
    disk_encryption_set:
      description: Id of the disk encryption set, null without one.
      type: str
      returned: always
    security_type:
      description: What security type it supports or has, see O(security_type); null for none. What an
        uploaded disk supports is only read when that option is set.
      type: str
      returned: always
    disk_size_bytes:
      description: Size in bytes, without the VHD footer.
      type: int
      returned: always
      sample: 32213303296
    disk_size_gb:
      description: Size in GiB, rounded up.
      type: int
      returned: always
      sample: 30
    disk_state:
      description: State, for example Unattached, Attached or Reserved.
      type: str
      returned: always
      sample: Unattached
    managed_by:
      description: Id of the virtual machine it is attached to, null without one.
      type: str
      returned: always
    content_sha256:
      description: Digest of its content, see RV(content_sha256).
      type: str
      returned: always
    tags:
      description: Tags.
      type: dict
      returned: always
blob:
  description: The page blob; in check mode as it would be.
  returned: success, with O(storage_account) or O(sas_url)
  type: dict
  contains:
    url:
      description: URL, without a SAS.
      type: str
      returned: always
      sample: https://mystorage.blob.core.windows.net/vhds/web-1.0.vhd
    name:
      description: Last part of the name.
      type: str
      returned: always
      sample: web-1.0.vhd
    size:
      description: Size in bytes, with the VHD footer.
      type: int
      returned: always
      sample: 32213303808
    state:
      description: V(complete), or V(uploading) as long as it is not.
      type: str
      returned: always
      sample: complete
    content_sha256:
      description: Digest of its content, see RV(content_sha256).
      type: str
      returned: always
format:
  description: Format of the file.
  returned: success
  type: str
  sample: qcow2
virtual_size:
  description: Size of the disk in Azure in bytes, whole MiB, without the VHD footer.
  returned: success
  type: int
  sample: 32213303296
content_sha256:
  description:
    - SHA-256 over the size and over offset, length and MD5 of every piece that is not zero. The same for
      every format of the same content.
    - It tells whether a disk is the same, and finds damage. As MD5 is in it, it is no proof against somebody
      who makes two disks of the same digest on purpose.
  returned: success
  type: str
bytes_read:
  description: How many bytes of the disk were read to find what is not zero.
  returned: success
  type: int
  sample: 1590820864
bytes_planned:
  description: How many bytes an upload of the disk sends, whether it was sent or not.
  returned: success
  type: int
  sample: 1587086336
puts_planned:
  description: In how many requests.
  returned: success
  type: int
  sample: 437
bytes_resumed:
  description: How many of them an earlier run had sent.
  returned: success
  type: int
  sample: 0
bytes_sent:
  description: How many bytes were sent. 0 in check mode, and when the content was there already.
  returned: success
  type: int
  sample: 1587086336
puts:
  description: In how many requests they were sent.
  returned: success
  type: int
  sample: 437
seconds:
  description: How long it took to send them.
  returned: success
  type: float
  sample: 13.4
actions:
  description: One sentence for each change.
  returned: success
  type: list
  elements: str
failure:
  description: What Azure said - code, message, target, status, request_id - and what to do, remedy.
  returned: failure
  type: dict
"""


from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    Outcome,
    azure_module,
    conclude,
    in_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.job import UploadJob
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.upload_options import RULES, SPEC


def main() -> None:
    module = azure_module(SPEC, **RULES)

    def upload() -> Outcome:
        with UploadJob(module.params, check_mode=module.check_mode) as job:
            if module.params["sas_url"]:
                return job.run(None)
            return in_session(module, lambda _module, session: job.run(session))

    conclude(module, upload)


if __name__ == "__main__":
    main()
