# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Failures of disk files and of the blob service as the errors that modules report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    NotFound,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError

_REMEDIES = {
    "AuthenticationFailed": "Check that the key or SAS is right and that the SAS has not expired.",
    "AuthorizationFailure": "Allow this host in the network rules of the storage account.",
    "AuthorizationPermissionMismatch": "Give the signed-in identity the role Storage Blob Data Contributor,"
    " or the SAS the permissions read, create, write and delete.",
    "AuthorizationProtocolMismatch": "Use https in the URL.",
    "ContainerNotFound": "Create the container first, or correct its name.",
    "LeaseIdMissing": "Somebody holds a lease on the blob; end it, or use another blob.",
    "LeaseAlreadyPresent": "Somebody else has just begun to write to the blob; use another name.",
    "LeaseIdMismatchWithBlobOperation": "Somebody else has taken the blob over; use another name.",
    "LeaseNotPresentWithBlobOperation": "The lease of the blob was ended or ran out; run the task again.",
    "LeaseLost": "The lease of the blob was ended or ran out; run the task again.",
    "BlobAlreadyExists": "Somebody else has just created the blob; run the task again.",
    "ConditionNotMet": "Somebody else has just changed the blob; run the task again.",
    "CannotVerifyCopySource": "The service could not read the source: check that its SAS permits to"
    " read and has not expired, and the network rules of its account.",
    "PublicAccessNotPermitted": "Give a SAS or a credential.",
}


@contextmanager
def reported(remedies: Mapping[str, str] | None = None) -> Iterator[None]:
    """What goes wrong inside with the file or the blob service is raised as an AzureError.

    :param remedies: what to do, by the service's code, where it is something else than for an upload
    """
    try:
        yield
    except DiskError as error:
        raise InvalidInput(str(error)) from None
    except UploadError as error:
        raise _translated(error, remedies or {}) from None


def _translated(error: UploadError, remedies: Mapping[str, str]) -> AzureError:
    kind = NotFound if error.code in ("ContainerNotFound", "BlobNotFound") else AzureError
    return service_failure(error, kind, remedies)


Failure = TypeVar("Failure", bound=AzureError)


def service_failure(
    error: UploadError, kind: type[Failure], remedies: Mapping[str, str] | None = None
) -> Failure:
    """What the blob service refused, as an error of this kind, with what to do about it.

    :param remedies: as :func:`reported` has them
    """
    code = error.code or ""
    return kind(
        error.message,
        code=error.code,
        status=error.status,
        request_id=error.request_id,
        remedy=(remedies or {}).get(code) or _REMEDIES.get(code),
    )


def and_left(error: BaseException, left: str) -> AzureError:
    """The error with a sentence about what could not be removed after it."""
    if isinstance(error, UploadError):
        error = _translated(error, {})
    if isinstance(error, DiskError):
        error = InvalidInput(str(error))
    if isinstance(error, KeyboardInterrupt):
        return AzureError(f"The run was interrupted. {left}", code="Interrupted")
    if not isinstance(error, AzureError):
        return AzureError(f"The run failed ({type(error).__name__}: {error}). {left}")
    return AzureError(
        f"{error.message} {left}",
        code=error.code,
        status=error.status,
        target=error.target,
        request_id=error.request_id,
        remedy=error.remedy,
    )
