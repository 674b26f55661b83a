# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Which action of Azure's access control a request is, and at which scope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.local_azure.call import Call

_AUTHORIZATION = "/providers/microsoft.authorization/"
_SUFFIXES = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
# What reads although it is sent by POST.
_READS = ("checknameavailability",)
_OUTSIDE = "Microsoft.Resources/subscriptions"


class Asked(NamedTuple):
    """`action` as Azure names it, such as Microsoft.Compute/images/write; `scope` as the request spells it.

    `lists`: what is asked for are all resources of a type in the scope; `in_group`: the path names a group.
    """

    action: str
    scope: str
    lists: bool
    in_group: bool


def asked(call: Call, spelled: Callable[[str], str]) -> Asked | None:
    """None for what everybody may ask. `spelled` gives a provider's or type's usual spelling."""
    parts = call.path.strip("/").split("/")
    lowered = [part.lower() for part in parts]
    at = call.path.lower().rfind(_AUTHORIZATION)
    if at >= 0:
        tail = call.path[at + len(_AUTHORIZATION) :].split("/")
        return _of_type(call, "Microsoft.Authorization", call.path[:at], tail, spelled)
    if lowered[0] != "subscriptions" or len(parts) < 2:
        return None
    subscription = "/" + "/".join(parts[:2])
    if lowered[2:3] == ["providers"] and len(parts) > 4:
        return _of_type(call, parts[3], subscription, parts[4:], spelled)
    if lowered[2:3] == ["resourcegroups"] and lowered[4:5] == ["providers"] and len(parts) > 6:
        return _of_type(call, parts[5], "/" + "/".join(parts[:4]), parts[6:], spelled)
    return _outside_providers(call, parts[2:], subscription)


def _outside_providers(call: Call, tail: Sequence[str], subscription: str) -> Asked:
    types = ["resourceGroups" if t.lower() == "resourcegroups" else t for t in tail[0::2]]
    suffix = _SUFFIXES.get(call.method, "action")
    lists = len(tail) % 2 == 1
    scope = call.path.rpartition("/")[0] if lists else call.path
    return Asked("/".join([_OUTSIDE, *types, suffix]), scope or subscription, lists, len(tail) > 1)


def _of_type(
    call: Call, namespace: str, base: str, tail: Sequence[str], spelled: Callable[[str], str]
) -> Asked:
    odd = len(tail) % 2 == 1
    named = spelled("/".join([namespace, *tail[0::2]]))
    provider = f"{base}/providers/{namespace}"
    if odd and len(tail) == 1 and call.method != "GET":
        # Verbs of the provider itself: registration and the like.
        suffix = "read" if tail[0].lower() in _READS else "action"
        return Asked(f"{named}/{suffix}", base, False, "/resourcegroups/" in base.lower())
    suffix = _SUFFIXES.get(call.method, "action")
    scope = "/".join([provider, *(tail[:-1] if odd else tail)])
    in_group = "/resourcegroups/" in base.lower()
    return Asked(f"{named}/{suffix}", scope, odd and call.method == "GET", in_group)
