# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings a local Azure into the situations in which Azure's recorded errors arose.

A recorded error says which request was refused and how, mostly not what had been done before; each situation
here does as much before as the refusal needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import requests

from tests.fidelity.comparison import Answer
from tests.fidelity.names import Names
from tests.fidelity.recording import Recorded
from tests.fidelity.replay import Steps
from tests.unit.local_azure.arm_server import Arm, Json, compute, storage_path

_LOCK_VERSION = "2016-09-01"
_MACHINES_VERSION = "2024-07-01"
_PLACEHOLDER = re.compile(r"\{(?!sub\})[a-z]+\d*\}")
_UBUNTU = {
    "publisher": "Canonical",
    "offer": "ubuntu-24_04-lts",
    "sku": "server",
    "version": "latest",
}


def answer_of(answer: requests.Response) -> Answer:
    """What the local Azure said."""
    body = answer.json() if answer.content.strip() else None
    return Answer(answer.status_code, {n.lower(): v for n, v in answer.headers.items()}, body)


class Stage:
    """One local Azure for all situations; what several need is made once."""

    def __init__(self, arm: Arm, steps: Steps) -> None:
        self.arm = arm
        self.steps = steps
        self._numbers = count(1)

    def name(self) -> str:
        return f"fidelity{next(self._numbers)}"

    @cached_property
    def group(self) -> str:
        return self.arm.group()

    @cached_property
    def subnet(self) -> str:
        return self.arm.subnet(self.group)

    def machine_body(self, **properties: Any) -> Json:
        """A request for a machine of a Marketplace image."""
        body = self.arm.machine_body({"id": ""}, self.subnet)
        body["properties"]["storageProfile"]["imageReference"] = dict(_UBUNTU)
        body["properties"].update(properties)
        return body

    def machine(self, name: str = "", **properties: Any) -> str:
        """A running machine; returns its path."""
        path = compute(self.group, "virtualMachines", name or self.name())
        self.arm.make(path, self.machine_body(**properties))
        return path

    @cached_property
    def running(self) -> str:
        return self.machine()

    @cached_property
    def spot(self) -> str:
        return self.machine(priority="Spot", evictionPolicy="Deallocate", billingProfile={"maxPrice": 1000.0})

    def account(self, name: str) -> None:
        body = {"sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "location": "westus"}
        self.arm.send("PUT", storage_path(self.group, name), body)

    def blob_url(self, account: str) -> str:
        return f"https://127.0.0.1:{self.arm.settings.ports.blob}/{account}"

    def send(self, recorded: Recorded, path: str, body: Any = None) -> Answer:
        """The recorded request with another path and body."""
        version = recorded.api_version
        return answer_of(self.arm.send(recorded.method, path, body, version=version))

    def filled(self, recorded: Recorded, group: str) -> str:
        """The recorded path with names, `group` the first of them."""
        path = recorded.path.removeprefix("/subscriptions/{sub}/")
        path = re.sub(r"(?i)^resourcegroups/[^/]+", f"resourceGroups/{group}", path)
        return _PLACEHOLDER.sub("missing", path)

    def ended(self, method: str, path: str, body: Any, version: str) -> Answer:
        """The last status of the operation that the request begins."""
        answer = self.arm.send(method, path, body, version=version)
        if answer.status_code >= 400:
            return answer_of(answer)
        return Answer(200, {}, self.arm.finish(answer))


@dataclass(frozen=True)
class Situation:
    """Applies to a recorded refusal by its method, its code, and what its path matches."""

    method: str
    path: str
    code: str
    act: Callable[[Stage, Recorded], Answer]
    message: str = ""

    def applies(self, recorded: Recorded, error: Mapping[str, Any]) -> bool:
        return (
            recorded.method == self.method
            and error.get("code") == self.code
            and re.search(self.path, recorded.path, re.IGNORECASE) is not None
            and self.message in str(error.get("message"))
        )


def _missing(stage: Stage, recorded: Recorded) -> Answer:
    return stage.send(recorded, stage.filled(recorded, stage.group.rpartition("/")[2]))


def _missing_group(stage: Stage, recorded: Recorded) -> Answer:
    body = {"location": "westus"} if recorded.method == "PUT" else None
    return stage.send(recorded, stage.filled(recorded, "no-such-group"), body)


def _locked(stage: Stage, recorded: Recorded) -> Answer:
    group = stage.arm.group()
    stage.arm.disk(group, "locked")
    lock = f"{compute(group, 'disks', 'locked')}/providers/Microsoft.Authorization/locks/keep"
    stage.arm.send("PUT", lock, {"properties": {"level": "CanNotDelete"}}, version=_LOCK_VERSION)
    return stage.send(recorded, group)


def _as_reader(stage: Stage, recorded: Recorded) -> Answer:
    reader = stage.arm.signed_in(stage.arm.settings.identity.reader)
    path = recorded.path.replace("{sub}", stage.arm.settings.identity.subscription_id)
    path = _PLACEHOLDER.sub("missing", path)
    body: Json | None = {"properties": {}} if recorded.method == "PUT" else None
    return answer_of(reader.send(recorded.method, path, body, version=recorded.api_version))


def _copied_from_elsewhere(stage: Stage, recorded: Recorded) -> Answer:
    name = recorded.request["properties"]["creationData"]["sourceResourceId"].rpartition("/")[2]
    disk = stage.arm.disk(stage.group, name, location="westus")
    source = {"createOption": "Copy", "sourceResourceId": disk["id"]}
    body: Json = {"location": "eastus", "properties": {"creationData": source}}
    return stage.send(recorded, compute(stage.group, "snapshots", stage.name()), body)


def _quoted_location(stage: Stage, recorded: Recorded) -> Answer:
    return stage.send(recorded, compute(stage.group, "disks", stage.name()), {"location": '"East US"'})


def _to_running(stage: Stage, recorded: Recorded) -> Answer:
    return stage.send(recorded, f"{stage.running}/{recorded.path.rpartition('/')[2]}")


def _change(properties: Json) -> Callable[[Stage, Recorded], Answer]:
    def act(stage: Stage, recorded: Recorded) -> Answer:
        machine = stage.running if "priority" in properties else stage.spot
        return stage.send(recorded, machine, {"properties": properties})

    return act


def _create(change: Callable[[Json], None]) -> Callable[[Stage, Recorded], Answer]:
    """A machine whose request was changed for the worse."""

    def act(stage: Stage, recorded: Recorded) -> Answer:
        body = stage.machine_body()
        change(body)
        return stage.send(recorded, compute(stage.group, "virtualMachines", stage.name()), body)

    return act


def _without_user(body: Json) -> None:
    del body["properties"]["osProfile"]["adminUsername"]


def _with_unknown_plan(body: Json) -> None:
    body["plan"] = {"publisher": "test2", "product": "test3", "name": "test1"}


def _with_bad_vault(body: Json) -> None:
    body["properties"]["osProfile"]["secrets"] = [{"sourceVault": {"id": "vault"}, "vaultCertificates": []}]


def _beyond_quota(stage: Stage, recorded: Recorded) -> Answer:
    """Machines of many processors until the region's are used up."""
    for _attempt in range(10):
        body = stage.machine_body(hardwareProfile={"vmSize": "Standard_D64s_v5"})
        path = compute(stage.group, "virtualMachines", stage.name())
        answer = stage.arm.send("PUT", path, body, version=recorded.api_version)
        if answer.status_code >= 400:
            return answer_of(answer)
        stage.arm.done(answer)
    return answer_of(answer)


def _with_unknown_images(value: Any) -> Any:
    """What the Marketplace offered then it may offer now, so that other images are asked for."""
    if isinstance(value, list):
        return [_with_unknown_images(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    changed = {name: _with_unknown_images(item) for name, item in value.items()}
    if isinstance(changed.get("imageReference"), dict):
        changed["imageReference"]["offer"] = "no-such-offer"
    return changed


def _template(stage: Stage, recorded: Recorded) -> Answer:
    names = Names(
        {
            "{sub}": stage.arm.settings.identity.subscription_id,
            "{rg1}": stage.group.rpartition("/")[2],
        },
        "https://127.0.0.1",
    )
    return stage.send(
        recorded,
        stage.filled(recorded, stage.group.rpartition("/")[2]),
        _with_unknown_images(names.request(recorded.request)),
    )


def _image_without_blob(stage: Stage, recorded: Recorded) -> Answer:
    account = stage.name()
    stage.account(account)
    disk = {
        "osType": "Linux",
        "osState": "Generalized",
        "blobUri": f"{stage.blob_url(account)}/vhds/missing.vhd",
    }
    body = {"location": "westus", "properties": {"storageProfile": {"osDisk": disk}}}
    return stage.ended("PUT", compute(stage.group, "images", stage.name()), body, recorded.api_version)


def _smaller_than_its_image(stage: Stage, recorded: Recorded) -> Answer:
    body = stage.machine_body()
    body["properties"]["storageProfile"]["osDisk"]["diskSizeGB"] = 1
    path = compute(stage.group, "virtualMachines", stage.name())
    return stage.ended("PUT", path, body, recorded.api_version)


def _without_parent(stage: Stage, _recorded: Recorded) -> Answer:
    """Written, for what Azure says of a read depends on the provider."""
    path = f"{compute(stage.group, 'galleries', 'missing')}/images/{stage.name()}"
    return answer_of(stage.arm.send("PUT", path, {"location": "westus"}))


def _into_deleted_group(stage: Stage, _recorded: Recorded) -> Answer:
    group = stage.arm.group()
    stage.steps.undecided = True
    try:
        stage.arm.send("DELETE", group)
        return answer_of(stage.arm.send("PUT", compute(group, "disks", "late"), {"location": "westus"}))
    finally:
        stage.steps.undecided = False


def _with_another_key(stage: Stage, recorded: Recorded) -> Answer:
    path = compute(stage.group, "diskEncryptionSets", stage.name())
    for name in ("first", "second"):
        vault = f"{stage.arm.subscription}/{stage.group}/providers/Microsoft.KeyVault/vaults/{name}"
        key = {
            "sourceVault": {"id": vault},
            "keyUrl": f"https://{name}.vault.azure.net/keys/key/{'0' * 32}",
        }
        body = {
            "location": "westus",
            "identity": {"type": "SystemAssigned"},
            "properties": {"activeKey": key},
        }
        answer = stage.ended("PUT", path, body, recorded.api_version)
    return answer


def _blob_machine(stage: Stage, disk: str, *accounts: str) -> Answer:
    """A machine whose disk is a blob of the first account, made of a missing blob of the last one."""
    for account in accounts:
        stage.account(account)
    image, vhd = (f"{stage.blob_url(account)}/vhds" for account in (accounts[-1], accounts[0]))
    body = stage.machine_body()
    body["properties"]["storageProfile"] = {
        "osDisk": {
            "name": disk,
            "osType": "Linux",
            "createOption": "FromImage",
            "image": {"uri": f"{image}/missing.vhd"},
            "vhd": {"uri": f"{vhd}/disk.vhd"},
        }
    }
    return stage.ended("PUT", compute(stage.group, "virtualMachines", stage.name()), body, _MACHINES_VERSION)


def _from_missing_blob(stage: Stage, recorded: Recorded) -> Answer:
    return _blob_machine(stage, _named(recorded, "for disk"), stage.name())


def _from_another_account(stage: Stage, recorded: Recorded) -> Answer:
    return _blob_machine(stage, _named(recorded, "for disk"), stage.name(), stage.name())


def _placed_elsewhere(stage: Stage, recorded: Recorded) -> Answer:
    machine = stage.machine(_named(recorded, "of VM"))
    placement = f"{stage.arm.subscription}/{compute(stage.group, 'proximityPlacementGroups', 'other')}"
    return stage.send(recorded, machine, {"properties": {"proximityPlacementGroup": {"id": placement}}})


def _named(recorded: Recorded, after: str) -> str:
    """The name that stands in the recorded message without quotes to know it by."""
    found = re.search(rf"{after} '?([\w-]+)", str(recorded.body["error"]["message"]))
    assert found is not None
    return found[1]


_VM = r"/Microsoft\.Compute/virtualMachines/\{name\}"
SITUATIONS = (
    Situation("GET", r"/resourcegroups/[^/]+/providers/", "ResourceNotFound", _missing, "The Resource"),
    *(
        Situation(m, "/resourcegroups/", "ResourceGroupNotFound", _missing_group)
        for m in ("GET", "PUT", "DELETE")
    ),
    Situation("DELETE", r"/resourcegroups/[^/]+$", "ScopeLocked", _locked),
    Situation("PUT", "Microsoft.Authorization/", "AuthorizationFailed", _as_reader),
    Situation("PUT", "", "InvalidResourceLocation", _quoted_location, "The specified location"),
    Situation("PUT", "/snapshots/", "NotFound", _copied_from_elsewhere),
    *(
        Situation("POST", f"{_VM}/{verb}$", "OperationNotAllowed", _to_running)
        for verb in ("simulateEviction", "performMaintenance", "convertToManagedDisks", "reimage")
    ),
    Situation("PATCH", _VM, "PropertyChangeNotAllowed", _change({"priority": "Low"})),
    Situation(
        "PATCH", _VM, "OperationNotAllowed", _change({"billingProfile": {"maxPrice": 1500.0}}), "Max price"
    ),
    Situation("PUT", f"{_VM}$", "InvalidParameter", _create(_without_user), "adminUsername"),
    Situation("PUT", f"{_VM}$", "ResourcePurchaseValidationFailed", _create(_with_unknown_plan)),
    Situation("PUT", f"{_VM}$", "LinkedInvalidPropertyId", _create(_with_bad_vault)),
    Situation("PUT", f"{_VM}$", "OperationNotAllowed", _beyond_quota, "exceeding approved"),
    Situation("PUT", "/deployments/", "InvalidTemplateDeployment", _template, "not valid"),
    Situation(
        "PATCH",
        _VM,
        "OperationNotAllowed",
        _placed_elsewhere,
        "proximity placement",
    ),
    Situation("PUT", f"{_VM}$", "ConflictingUserInput", _from_another_account),
    Situation("PUT", "/diskEncryptionSets/", "OperationNotAllowed", _with_another_key, "Key rotation"),
    Situation("PUT", "", "ResourceGroupBeingDeleted", _into_deleted_group),
    Situation("GET", "", "ParentResourceNotFound", _without_parent),
    Situation("GET", "/operations/", "ImageBlobNotFound", _from_missing_blob, "for disk"),
    Situation("GET", "/operations/", "ImageBlobNotFound", _image_without_blob, ".vhd."),
    Situation("GET", "/operations/", "InvalidParameter", _smaller_than_its_image, "resized down"),
)
