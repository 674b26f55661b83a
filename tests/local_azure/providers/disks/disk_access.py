# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""beginGetAccess and endGetAccess: the URL with which the content of a disk is read or uploaded."""

from __future__ import annotations

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.kinds import json_object
from tests.local_azure.store import Json, Resource

# Sixty days.
_MAX_SECONDS = 5184000


def check_grant(azure: LocalAzure, call: Call, resource: Resource, parameter: str) -> Json:
    """What is asked for, as the operation's arguments: access and seconds; ArmError for what is refused."""
    body = json_object(call)
    access, seconds = body.get("access"), body.get("durationInSeconds")
    if access not in ("Read", "Write"):
        raise missing_parameter("access") if access is None else invalid_value("access")
    if seconds is None:
        raise missing_parameter("durationInSeconds")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds <= _MAX_SECONDS:
        raise invalid_value(
            "durationInSeconds",
            f"The value '{seconds}' of parameter 'durationInSeconds' is out of range. It must be between 1 "
            f"and {_MAX_SECONDS}.",
        )
    if body.get("fileFormat") not in (None, "VHD", "VHDX"):
        raise invalid_value("fileFormat")
    if body.get("getSecureVMGuestStateSAS"):
        raise invalid_value(
            "getSecureVMGuestStateSAS",
            f"The {parameter} {resource.name} has no guest state that could be read or written.",
        )
    if resource.properties.get("networkAccessPolicy") == "DenyAll":
        raise not_allowed(
            f"Access to {parameter} {resource.name} is not permitted: its network access policy is DenyAll."
        )
    _check_owner(azure, resource, parameter)
    _check_state(resource, access, parameter)
    return {"access": access, "seconds": seconds}


def _check_owner(azure: LocalAzure, resource: Resource, parameter: str) -> None:
    owner = azure.store.get(resource.body.get("managedBy", ""))
    if owner is not None and owner.hidden.get("power") != "deallocated":
        raise ArmError(
            409,
            "Conflict",
            f"Access not permitted because {parameter} {resource.name} is currently attached to running VM "
            f"{owner.id}.",
        )


def _check_state(resource: Resource, access: str, parameter: str) -> None:
    if resource.hidden.get("copied") is False:
        raise not_allowed(
            f"Access to {parameter} {resource.name} is not permitted before its copy is complete."
        )
    pending = resource.properties.get("diskState") in ("ReadyToUpload", "ActiveUpload")
    if access == "Write" and not pending:
        raise not_allowed(
            f"Write access to {parameter} {resource.name} is not permitted: only one created for upload can "
            "be written to."
        )
    if access == "Read" and pending:
        raise not_allowed(f"Read access to {parameter} {resource.name} is not permitted before its upload.")


def active_access(resource: Resource) -> ArmError:
    """A disk cannot be attached, started or deleted while somebody holds a URL for it."""
    return not_allowed(
        f"There is an active shared access signature outstanding for disk {resource.name}. Call EndGetAccess "
        "before attaching or deleting the disk. Learn more here: aka.ms/revokeaccessapi."
    )
