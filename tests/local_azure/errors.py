# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Error answers in Azure's two shapes: the front door's compact one and Compute's pretty-printed one."""

from __future__ import annotations

from typing import Any


class ArmError(Exception):
    """An error answer. `gateway` marks the ones Azure Resource Manager gives before a provider is asked."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        gateway: bool = False,
        headers: dict[str, str] | None = None,
        details: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.gateway = gateway
        self.headers = headers or {}
        self.details = details

    def error(self) -> dict[str, Any]:
        """The inner object, as it also stands in the status of a failed operation."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            body["target"] = self.target
        if self.details is not None:
            body["details"] = self.details
        return body


def resource_not_found(resource_type: str, name: str, group: str) -> ArmError:
    """`name` is that of a nested resource with its parents' in front: "machine/extension"."""
    namespace, *kinds = resource_type.split("/")
    pairs = [f"{kind}/{one}" for kind, one in zip(kinds, name.split("/"), strict=False)]
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{'/'.join([namespace, *pairs])}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        gateway=True,
    )


def resource_group_not_found(name: str) -> ArmError:
    return ArmError(
        404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.", gateway=True
    )


def missing_parameter(path: str) -> ArmError:
    return ArmError(400, "InvalidParameter", f"Required parameter '{path}' is missing (null).", target=path)


def invalid_value(path: str, message: str | None = None) -> ArmError:
    text = message or f"The value of parameter {path} is invalid."
    return ArmError(400, "InvalidParameter", text, target=path)


def not_allowed(message: str) -> ArmError:
    return ArmError(409, "OperationNotAllowed", message)


def property_change(path: str) -> ArmError:
    return ArmError(
        409, "PropertyChangeNotAllowed", f"Changing property '{path}' is not allowed.", target=path
    )


def invalid_content(reason: str) -> ArmError:
    return ArmError(
        400,
        "InvalidRequestContent",
        f"The request content was invalid and could not be deserialized: '{reason}'.",
        gateway=True,
    )
