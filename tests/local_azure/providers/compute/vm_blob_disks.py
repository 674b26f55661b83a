# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Unmanaged disks: VHD blobs in a storage account of the user's, which a machine uses where they are."""

from __future__ import annotations

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage import vhd
from tests.local_azure.blob_storage.blob_vhd import FOOTER_SIZE
from tests.local_azure.blob_storage.blobs import BlobAddress, BlobError, parse_blob_url
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter
from tests.local_azure.providers.compute.image_sources import ImageSource
from tests.local_azure.providers.disks import disk_shapes
from tests.local_azure.store import Json, Resource
from tests.local_azure.threads import in_thread

_ACCOUNT = "Microsoft.Storage/storageAccounts"
_MACHINE = "Microsoft.Compute/virtualMachines"


def blob_address(azure: LocalAzure, url: str, path: str) -> BlobAddress:
    """Where the user's blob behind the URL is, with Azure's form of host or the local one."""
    plain = url.partition("?")[0]
    host, _unused, rest = plain.partition("://")[2].partition("/")
    account = host.partition(".blob.")[0]
    if plain.startswith(azure.blobs.endpoint + "/"):
        account, _unused, rest = rest.partition("/")
    if azure.store.named(_ACCOUNT, account) is None or not rest:
        raise invalid_value(path, f"The source blob {url} is not accessible.")
    try:
        return parse_blob_url(f"https://blob/{account}/{rest}")
    except ValueError:
        raise invalid_value(
            path, f"The value '{url}' of parameter '{path}' is not the URI of a blob."
        ) from None


class BlobDisks:
    """`hidden.vhds` of a machine: for "os" and each LUN the blob's place and its bytes."""

    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure

    # Planning.

    def plan_os(self, machine: Resource, disk: Json, image: ImageSource | None) -> Json:
        plan = self._plan(machine, disk, "os")
        own = disk.get("image")
        if image is not None and own:
            raise invalid_value("osDisk.image", "Parameter 'osDisk.image' is not allowed.")
        if plan["option"] == "FromImage" and image is not None:
            if image.os_disk.blob is not None:
                raise invalid_value("osDisk.vhd", "Parameter 'osDisk.vhd' is not allowed.")
            return {
                **plan,
                "source_size": image.os_disk.size_bytes,
                "os_type": image.os_type,
                "generation": image.generation,
            }
        if disk.get("osType") is None:
            raise missing_parameter("osDisk.osType")
        return {**plan, "os_type": disk["osType"], "generation": "V1"}

    def plan_data(self, machine: Resource, disk: Json) -> Json:
        plan = self._plan(machine, disk, str(disk["lun"]))
        if plan["option"] == "Empty" and disk.get("diskSizeGB") is None:
            raise missing_parameter("dataDisk.diskSizeGB")
        return plan

    def _plan(self, machine: Resource, disk: Json, key: str) -> Json:
        path = "osDisk" if key == "os" else "dataDisk"
        option = disk.get("createOption")
        if option is None:
            raise missing_parameter(f"{path}.createOption")
        uri = (disk.get("vhd") or {}).get("uri")
        if uri is None:
            raise missing_parameter(f"{path}.vhd.uri")
        if disk.get("name") is None:
            raise missing_parameter(f"{path}.name")
        address = blob_address(self._azure, uri, f"{path}.vhd.uri")
        if not address.blob.lower().endswith(".vhd"):
            raise invalid_value(f"{path}.vhd.uri", f"Blob name in URL {uri} must end with '.vhd' extension.")
        self._check_account(machine, address)
        self._check_unused(machine, address, uri)
        plan: Json = {
            "key": key,
            "name": disk["name"],
            "named": True,
            "option": option,
            "vhd": uri,
            "address": list(address),
            "caching": disk.get("caching") or ("ReadWrite" if key == "os" else "None"),
            "delete": disk.get("deleteOption") or "Detach",
            "size_gb": disk.get("diskSizeGB"),
        }
        image = (disk.get("image") or {}).get("uri")
        if image is not None:
            source = blob_address(self._azure, image, f"{path}.image.uri")
            if source.account != address.account:
                raise ArmError(
                    409,
                    "ConflictingUserInput",
                    f"Source and destination storage accounts for disk {disk['name']} are different.",
                )
            plan |= {"image": image, "source": list(source)}
        elif option == "FromImage" and key != "os":
            raise missing_parameter(f"{path}.image.uri")
        return plan

    def _check_account(self, machine: Resource, address: BlobAddress) -> None:
        account = self._azure.store.named(_ACCOUNT, address.account)
        if account is not None and account.location != machine.location:
            raise ArmError(
                409,
                "StorageAccountLocationMismatch",
                f"Disk at storage account '{account.name}' is in location '{account.location}', the virtual "
                f"machine in '{machine.location}'.",
            )

    def _check_unused(self, machine: Resource, address: BlobAddress, uri: str) -> None:
        for other in self._azure.store.of_type(_MACHINE):
            taken = [BlobAddress(*v["address"]) for v in other.hidden.get("vhds", {}).values()]
            if other.id.lower() != machine.id.lower() and address in taken:
                raise ArmError(
                    409,
                    "DiskBlobAlreadyInUseByAnotherDisk",
                    f"Blob {uri} is already in use by another disk belonging to VM '{other.name}'. You can "
                    "examine the blob metadata for the disk reference information.",
                )

    # Making.

    async def make(self, machine: Resource, plans: list[Json]) -> None:
        """Fills the planned blobs; may be run again after a stop of the server."""
        vhds: Json = machine.hidden.setdefault("vhds", {})
        for plan in plans:
            try:
                size = await in_thread(self._fill, plan)
            except BlobError as error:
                raise ArmError(
                    409,
                    "DiskBlobNotFound" if error.status == 404 else "StorageAccountNotAccessible",
                    f"Unable to use disk blob {plan['vhd']}: {error}",
                ) from error
            vhds[plan["key"]] = {"address": plan["address"], "size": size}

    def _fill(self, plan: Json) -> int:
        blobs, target = self._azure.blobs, BlobAddress(*plan["address"])
        if plan["option"] == "Attach":
            return vhd.disk_size(blobs, target, plan["name"], plan["vhd"], importing=True)
        wanted = disk_shapes.size_bytes(plan["size_gb"]) if plan.get("size_gb") else None
        if plan.get("source"):
            source = BlobAddress(*plan["source"])
            if blobs.size(source) is None:
                raise ArmError(
                    409,
                    "ImageBlobNotFound",
                    f"Unable to find VHD blob with URI {plan['image']} for disk '{plan['name']}'.",
                )
            size = vhd.disk_size(blobs, source, plan["name"], plan["image"], importing=True)
            blobs.copy(source, target)
        else:
            size = wanted or plan["source_size"]
            blobs.create_page_blob(target, size + FOOTER_SIZE)
            blobs.write_vhd_footer(target)
        if wanted is not None and wanted > size:
            blobs.resize(target, wanted + FOOTER_SIZE)
            size = wanted
        return size

    @staticmethod
    def addresses(machine: Resource) -> dict[str, BlobAddress]:
        """The machine's blobs by "os" or LUN; empty for a machine with managed disks."""
        return {key: BlobAddress(*v["address"]) for key, v in machine.hidden.get("vhds", {}).items()}

    @staticmethod
    def size_gb(machine: Resource, key: str) -> int:
        return vhd.whole_gib(int(machine.hidden["vhds"][key]["size"]))
