# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What can be asked of a machine beside its body: boot diagnostics and the sizes it could have."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import invalid_value, not_allowed
from tests.local_azure.kinds import ResourceKind, Verb
from tests.local_azure.providers.compute.vm_power import MachinePower
from tests.local_azure.providers.compute.vm_sizes import vm_sizes
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.store import Resource

_MINUTES, _LONGEST = 120, 1440
# The smallest PNG there is: nobody draws a screen here.
_SCREEN = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63000100000005000100"
    "0d0a2db40000000049454e44ae426082"
)


class MachineDiagnostics:
    def __init__(self, kind: ResourceKind, power: MachinePower) -> None:
        self._kind = kind
        self._power = power
        self._content = DiskContent(kind.azure)

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "retrievebootdiagnosticsdata": self._boot_data,
            "get vmsizes": self._sizes,
        }

    async def _sizes(self, call: Call) -> Reply:
        """The sizes that boot the machine's generation on its architecture."""
        machine = self._kind.require(call)
        generation = machine.hidden.get("generation", "V1")
        architecture = machine.hidden.get("architecture", "x64")
        fitting = [
            size.body()
            for size in vm_sizes().values()
            if generation in size.series.generations and size.series.architecture == architecture
        ]
        return Reply(200, {"value": fitting})

    async def _boot_data(self, call: Call) -> Reply:
        """Addresses of the console's log and screen, readable for the minutes asked for."""
        machine = self._kind.require(call)
        diagnostics = (machine.properties.get("diagnosticsProfile") or {}).get("bootDiagnostics") or {}
        if not diagnostics.get("enabled"):
            raise not_allowed(
                f"Boot diagnostics is not enabled for the virtual machine '{machine.name}'. Enable it to "
                "retrieve its data."
            )
        minutes = call.query.get("sasUriExpirationTimeInMinutes", str(_MINUTES))
        if not minutes.isascii() or not minutes.isdigit() or not 1 <= int(minutes) <= _LONGEST:
            raise invalid_value("sasUriExpirationTimeInMinutes")
        log = await self._publish(machine, "serialconsole.log", self._console(machine), int(minutes))
        screen = await self._publish(machine, "screenshot.png", _SCREEN, int(minutes))
        return Reply(200, {"consoleScreenshotBlobUri": screen, "serialConsoleLogBlobUri": log})

    def _console(self, machine: Resource) -> bytes:
        guests = self._kind.azure.guests
        text = guests.console(str(machine.properties["vmId"])) if guests is not None else ""
        return text.encode()

    async def _publish(self, machine: Resource, suffix: str, content: bytes, minutes: int) -> str:
        address = console_address(machine, suffix)
        await self._content.write_text(address, content)
        return await self._content.grant(address, "Read", minutes * 60)


def console_address(machine: Resource, suffix: str) -> BlobAddress:
    """Where the platform keeps it: a container for each machine and part, in an account nobody sees."""
    word = suffix.partition(".")[0][:4]
    vm_id = str(machine.properties["vmId"])
    return BlobAddress("md-bootdiag", f"bootdiagnostics-{word}-{vm_id}", f"{machine.name}.{vm_id}.{suffix}")
