# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Shared access signatures that Resource Manager makes for a storage account.

Signed as "Create an account SAS" and "Create a service SAS" of the Azure Storage REST reference say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.store import Json

_VERSION = "2015-04-05"
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?$")


def account_sas(account: str, keys: Mapping[str, str], request: Json) -> str:
    """The query of an account SAS. `keys` by name; raises for what a request lacks."""
    services, kinds = _text(request, "signedServices"), _text(request, "signedResourceTypes")
    rights, ends = _text(request, "signedPermission"), _time(request, "signedExpiry")
    starts, address, protocol = _optional(request)
    fields = [account, rights, services, kinds, starts, ends, address, protocol, _VERSION, ""]
    query = {"sv": _VERSION, "ss": services, "srt": kinds, "sp": rights, "st": starts, "se": ends}
    query |= {"sip": address, "spr": protocol}
    return _signed(query, fields, _key(keys, request))


def service_sas(account: str, keys: Mapping[str, str], request: Json) -> str:
    """The query of a SAS for one container or blob."""
    resource, kind = _text(request, "canonicalizedResource"), _text(request, "signedResource")
    if not resource.lower().startswith(f"/blob/{account}/"):
        raise invalid_value("canonicalizedResource", _message("canonicalizedResource"))
    identifier = str(request.get("signedIdentifier") or "")
    # With a stored access policy its rights and end may stand there.
    rights = _text(request, "signedPermission") if _needs(request, "signedPermission") else ""
    ends = _time(request, "signedExpiry") if _needs(request, "signedExpiry") else ""
    starts, address, protocol = _optional(request)
    headers = [str(request.get(name) or "") for name in ("rscc", "rscd", "rsce", "rscl", "rsct")]
    fields = [rights, starts, ends, resource, identifier, address, protocol, _VERSION, *headers]
    query = {"sv": _VERSION, "sr": kind, "si": identifier, "sp": rights, "st": starts, "se": ends}
    query |= {"sip": address, "spr": protocol}
    query |= dict(zip(("rscc", "rscd", "rsce", "rscl", "rsct"), headers, strict=True))
    return _signed(query, fields, _key(keys, request))


def _signed(query: Json, fields: list[str], key: str) -> str:
    digest = hmac.new(base64.b64decode(key), "\n".join(fields).encode(), hashlib.sha256).digest()
    named = {name: value for name, value in query.items() if value}
    return urlencode({**named, "sig": base64.b64encode(digest).decode()})


def _key(keys: Mapping[str, str], request: Json) -> str:
    name = request.get("keyToSign") or "key1"
    if not isinstance(name, str) or name not in keys:
        raise invalid_value("keyToSign", _message("keyToSign"))
    return keys[name]


def _message(name: str) -> str:
    return f"Values for request parameters are invalid: {name}."


def _text(request: Json, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise invalid_value(name, _message(name))
    return value


def _time(request: Json, name: str) -> str:
    """Times as they are signed: to the second and with Z."""
    text = _text(request, name)
    if not _TIME.match(text):
        raise invalid_value(name, _message(name))
    return text.partition(".")[0].removesuffix("+00:00").removesuffix("Z") + "Z"


def _optional(request: Json) -> tuple[str, str, str]:
    starts = _time(request, "signedStart") if request.get("signedStart") else ""
    protocol = request.get("signedProtocol") or ""
    if protocol not in ("", "https", "https,http"):
        raise _not_a_protocol()
    return starts, str(request.get("signedIp") or ""), protocol


def _needs(request: Json, name: str) -> bool:
    """Whether a service SAS has to have the member, or has it all the same."""
    return not request.get("signedIdentifier") or bool(request.get(name))


def _not_a_protocol() -> ArmError:
    return invalid_value("signedProtocol", _message("signedProtocol"))
