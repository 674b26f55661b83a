# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings about whether a subscription has accepted the terms of a plan, and keeps a record of it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._image.marketplace_agreements import (
    agreement_facts,
    answer_agreement,
    read_agreement,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import plan_text
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import SourceLookup

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# Claims of an access token of Microsoft Entra ID that tell who it was issued to.
_WHO = ("upn", "unique_name", "appid", "oid", "tid")
# It differs each time the terms are read.
_VOLATILE = ("retrieved",)


@dataclass
class Terms:
    """What was done. `terms` {} and `before` {}: there is no plan."""

    terms: dict[str, Any]
    before: dict[str, Any]
    changed: bool = False
    audit: dict[str, Any] | None = None
    actions: list[str] = field(default_factory=list)


def plan_wanted(session: AzureSession, options: Mapping[str, Any]) -> dict[str, str]:
    """The plan that the options name, {} for an image without one. Raises NotFound and InvalidInput."""
    if options.get("plan"):
        return dict(options["plan"])
    lookup = SourceLookup(
        session,
        resource_group=options.get("resource_group"),
        location=options.get("location"),
        terms=False,
    )
    return dict(lookup.describe(lookup.parse(options["source"])).plan or {})


def ensure_terms(
    session: AzureSession, plan: Mapping[str, str], options: Mapping[str, Any], *, check_mode: bool
) -> Terms:
    """Accept or cancel the terms, as option `state` says, unless they are so already.

    Raises InvalidInput when the plan is unknown, the terms are other ones than `terms_digest` says, or the
    record could not be kept; nothing is changed then.
    """
    if not plan:
        return Terms({}, {}, actions=["The image has no plan, and so no terms."])
    agreement = read_agreement(session, plan)
    before = _shown(agreement)
    wanted = {"accepted": True, "cancelled": False}.get(options["state"])
    digest = options.get("terms_digest")
    if digest and digest != before["terms_digest"]:
        raise InvalidInput(
            f"terms_digest: Azure links to other texts for plan {plan_text(plan)} now.",
            remedy=f"Read them again; their digest is {before['terms_digest']}.",
        )
    if wanted is None or wanted == before["accepted"]:
        return Terms(before, before)
    after = {**before, "accepted": wanted}
    verb = "Accepted" if wanted else "Cancelled"
    actions = [f"{verb} the terms of plan {plan_text(plan)}."]
    if check_mode:
        return Terms(after, before, changed=True, actions=actions)
    record = Path(options["audit_file"]).expanduser() if options.get("audit_file") else None
    if record is not None:
        _append(record, "")
    after = _shown(answer_agreement(session, plan, agreement, accepted=wanted))
    audit = {
        "action": verb.lower(),
        "plan": plan_text(plan),
        "subscription": session.subscription_id,
        "who": who(session),
        "when": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "terms_digest": before["terms_digest"],
    }
    if record is not None:
        _append(record, json.dumps(audit, sort_keys=True) + "\n")
    return Terms(after, before, changed=True, audit=audit, actions=actions)


def _shown(agreement: Mapping[str, Any]) -> dict[str, Any]:
    facts = agreement_facts(agreement)
    return {name: value for name, value in facts.items() if name not in _VOLATILE}


def _append(record: Path, line: str) -> None:
    """Write at the end of a file that only its owner can read; "" sees whether that is possible."""
    try:
        handle = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as stream:
            stream.write(line)
    except OSError as error:
        raise InvalidInput(f"audit_file: {record} cannot be written: {error.strerror}.") from error


def who(session: AzureSession) -> dict[str, str]:
    """The identity that is signed in, by its token's own claims; nothing of the token itself."""
    parts = str(session.credential.get_token(session.cloud.scope).token).split(".")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(padded))
    except (IndexError, ValueError):
        # Azure does not promise that its tokens can be read.
        return {}
    return {name: str(claims[name]) for name in _WHO if isinstance(claims, dict) and claims.get(name)}
