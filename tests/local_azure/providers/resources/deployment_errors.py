# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The errors of template deployments, which carry details and where in the template they are."""

from __future__ import annotations

import uuid
from http import HTTPStatus

from tests.local_azure.errors import ArmError
from tests.local_azure.store import Json
from tests.local_azure.templates.errors import TemplateError

_OPERATIONS = (
    "At least one resource deployment operation failed. Please list deployment operations for details. "
    "Please see https://aka.ms/arm-deployment-operations for usage details."
)


class DeploymentError(ArmError):
    """An answer of Resource Manager itself with what providers said in `details`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: list[Json] | None = None,
        additional_info: list[Json] | None = None,
    ) -> None:
        super().__init__(status, code, message, gateway=True)
        self.more: Json = {}
        if details:
            self.more["details"] = details
        if additional_info:
            self.more["additionalInfo"] = additional_info

    def error(self) -> Json:
        return {**super().error(), **self.more}


def invalid_template(error: TemplateError, stage: str = "validation") -> DeploymentError:
    """`stage` is "validation" for what is wrong before, "language expressions" for what comes out later."""
    violation = {"lineNumber": 1, "linePosition": 1, "path": error.path}
    return DeploymentError(
        400,
        "InvalidTemplate",
        f"Deployment template {stage} failed: '{error.message}'.",
        additional_info=[{"type": "TemplateViolation", "info": violation}],
    )


def not_valid(deployment: str, details: list[Json]) -> DeploymentError:
    """What the providers refused before anything was deployed."""
    return DeploymentError(
        400,
        "InvalidTemplateDeployment",
        f"The template deployment '{deployment}' is not valid according to the validation procedure. The "
        f"tracking id is '{uuid.uuid4()}'. See inner errors for details.",
        details=details,
    )


def deployment_failed(deployment_id: str, details: list[Json]) -> Json:
    """The error of a deployment that ended, as its status and the deployment itself show it."""
    return {"code": "DeploymentFailed", "target": deployment_id, "message": _OPERATIONS, "details": details}


def resource_failed(resource_id: str, error: Json) -> Json:
    """The error of a resource whose own operation ended in `error`."""
    return {
        "code": "ResourceDeploymentFailure",
        "target": resource_id,
        "message": "The resource write operation failed to complete successfully, because it reached "
        "terminal provisioning state 'Failed'.",
        "details": [error],
    }


def status_name(status: int) -> str:
    """404 as "NotFound"."""
    return HTTPStatus(status).phrase.replace(" ", "") if status != 200 else "OK"


def still_active(name: str, started: str) -> ArmError:
    return DeploymentError(
        409,
        "DeploymentActive",
        f"Unable to edit or replace deployment '{name}': previous deployment from '{started}' is still "
        "active. Please see https://aka.ms/arm-deploy for usage details.",
    )


def deployment_not_found(name: str) -> ArmError:
    return DeploymentError(404, "DeploymentNotFound", f"Deployment '{name}' could not be found.")
