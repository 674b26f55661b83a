# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""From the request for a new virtual machine to the resource and the plans for all that it needs."""

from __future__ import annotations

import base64
import binascii
import uuid

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, properties_of
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter
from tests.local_azure.providers.compute import vm_rules
from tests.local_azure.providers.compute.availability_sets import join_availability_set
from tests.local_azure.providers.compute.image_resolution import resolve_image, shown_reference
from tests.local_azure.providers.compute.image_sources import ImageSource
from tests.local_azure.providers.compute.machine_sizes import MachineSize
from tests.local_azure.providers.compute.usage import check_quota
from tests.local_azure.providers.compute.vm_disk_plans import Wish
from tests.local_azure.providers.compute.vm_disks import MachineDisks
from tests.local_azure.providers.compute.vm_identity import shown_identity
from tests.local_azure.providers.compute.vm_network import MachineNetwork
from tests.local_azure.providers.compute.vm_security import (
    check_architecture,
    check_controllers,
    check_generation,
    check_security,
    security_type,
)
from tests.local_azure.providers.marketplace.marketplace_purchases import check_purchase
from tests.local_azure.store import Json, Resource

_PASSED_THROUGH = (
    "additionalCapabilities",
    "applicationProfile",
    "billingProfile",
    "capacityReservation",
    "diagnosticsProfile",
    "evictionPolicy",
    "extensionsTimeBudget",
    "host",
    "hostGroup",
    "licenseType",
    "platformFaultDomain",
    "priority",
    "proximityPlacementGroup",
    "scheduledEventsProfile",
    "securityProfile",
)
_MAX_USER_DATA = 64 * 1024


class MachineCreation:
    def __init__(self, azure: LocalAzure, disks: MachineDisks, network: MachineNetwork) -> None:
        self._azure = azure
        self._disks = disks
        self._network = network

    def compose(self, call: Call, resource: Resource, body: Json) -> None:
        """Fills the new resource; raises what Azure refuses at once. `body` is read already."""
        given = properties_of(body)
        size = vm_rules.check_size(given, resource.location)
        storage = given.get("storageProfile")
        if storage is None:
            raise missing_parameter("storageProfile")
        reference = storage.get("imageReference") or {}
        image = None
        if reference:
            image = resolve_image(self._azure, reference, resource.location, subscription=call.subscription)
        _check_capabilities(given, size)
        wish = Wish(resource, size, image, _ultra(given))
        shown, plans = self._disks.planner.plan(wish, storage)
        self._check_match(given, size, image, plans[0])
        joined = join_availability_set(self._azure, resource, body, managed=not plans[0].get("vhd"))
        specialized = plans[0]["option"] == "Attach" or (
            image is not None and image.os_state == "Specialized"
        )
        profile = vm_rules.check_network_profile(given)
        nic_plans = self._network.plan(resource, profile)
        properties: Json = {
            "hardwareProfile": {**given["hardwareProfile"], "vmSize": size.name},
            "provisioningState": "Creating",
            "vmId": str(uuid.uuid4()),
            "storageProfile": shown,
        }
        if image is not None:
            shown["imageReference"] = shown_reference(reference, image)
        if storage.get("diskControllerType"):
            shown["diskControllerType"] = storage["diskControllerType"]
        if specialized and given.get("osProfile"):
            raise invalid_value("osProfile", "Parameter 'osProfile' is not allowed.")
        if not specialized:
            properties["osProfile"] = vm_rules.check_os_profile(call, given, shown["osDisk"]["osType"])
        properties["networkProfile"] = {k: v for k, v in profile.items() if v}
        for entry in properties["networkProfile"].get("networkInterfaces", []):
            if not entry.get("properties"):
                entry.pop("properties", None)
        properties |= {k: given[k] for k in _PASSED_THROUGH if given.get(k) is not None}
        if joined is not None:
            properties["availabilitySet"] = joined
        created = wire_time(now())
        properties["timeCreated"] = created
        resource.body["properties"] = properties
        resource.body |= {k: body[k] for k in ("zones", "plan", "extendedLocation") if body.get(k)}
        secret = given.get("osProfile") or {}
        resource.hidden |= {
            "image": image.id if image else None,
            "generation": plans[0]["generation"],
            "architecture": size.architecture,
            "specialized": specialized,
            "disk_plans": plans,
            "nic_plans": nic_plans,
            "created": created,
            "version": 1,
            "custom_data": secret.get("customData"),
            "admin_password": secret.get("adminPassword"),
            "user_data": checked_user_data(given),
            "os_release": list(image.os_release) if image and image.os_release else None,
            "image_plan": image.plan if image else None,
        }
        shown_identity(self._azure, resource, body.get("identity"))
        self._check_purchase(resource, image, body.get("plan"))
        check_quota(self._azure, call.subscription, resource.location, size.name)

    @staticmethod
    def _check_match(given: Json, size: MachineSize, image: ImageSource | None, os_plan: Json) -> None:
        check_generation(size, os_plan["generation"])
        if image is not None:
            check_architecture(size, image.architecture)
            check_controllers(size, image)
        check_security(given, size, image, os_plan)
        if security_type(given) != "Standard":
            os_plan["security_type"] = security_type(given)

    def _check_purchase(self, resource: Resource, image: ImageSource | None, plan: Json | None) -> None:
        """A plan that is missing is found out only while the machine is made, which then fails."""
        try:
            check_purchase(self._azure, resource.id, image.plan if image else None, plan)
        except ArmError as fault:
            if fault.code != "VMMarketplaceInvalidInput":
                raise
            resource.hidden["refused"] = fault.error()


def _ultra(given: Json) -> bool:
    return bool((given.get("additionalCapabilities") or {}).get("ultraSSDEnabled"))


def _check_capabilities(given: Json, size: MachineSize) -> None:
    if _ultra(given) and not size.ultra:
        raise invalid_value(
            "additionalCapabilities.ultraSSDEnabled",
            f"The VM size '{size.name}' does not support 'additionalCapabilities.ultraSSDEnabled'.",
        )
    if given.get("evictionPolicy") and given.get("priority") not in ("Spot", "Low"):
        raise invalid_value(
            "evictionPolicy", "Eviction policy can be set only on Azure Spot Virtual Machines."
        )


def checked_user_data(given: Json) -> str | None:
    """The user data of a request, which is base64 of at most 64 KiB."""
    data = given.get("userData")
    if data is None:
        return None
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        decoded = None
    if decoded is None or len(decoded) > _MAX_USER_DATA:
        raise invalid_value(
            "userData", "User data should be valid base64 string with a maximum length of 65536 characters."
        )
    return str(data)
