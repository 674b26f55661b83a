# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Deletes the versions of a gallery that its rules let go: judged first, all of them, and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.deletion import to_its_end
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery import required_gallery
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery_facts import gallery_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    GALLERY_API,
    check_definition_name,
    gallery_id,
    parent_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.replication import read_version
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.retention import (
    Rules,
    Verdict,
    verdicts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.soft_deleted import purge
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.usage import find_usage
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import is_failed

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


@dataclass(frozen=True)
class PruneRequest:
    """What is to be looked through. `definition` None: all of the gallery. `subscriptions`: where machines
    are looked for; `purge`: what soft delete would keep goes, too."""

    gallery_id: str
    definition: str | None
    rules: Rules
    subscriptions: tuple[str, ...]
    purge: bool

    @classmethod
    def from_options(cls, options: Mapping[str, Any], subscription: str) -> PruneRequest:
        """Read the module's options. Raises InvalidInput for what cannot be right in any case."""
        if options.get("definition"):
            check_definition_name("definition", options["definition"])
        gallery = gallery_id(subscription, options.get("resource_group"), options["gallery"])
        looked = [subscription, gallery.split("/")[2], *(options.get("subscriptions") or ())]
        return cls(
            gallery_id=gallery,
            definition=options.get("definition") or None,
            rules=Rules.from_options(options),
            subscriptions=tuple(dict.fromkeys(each.casefold() for each in looked)),
            purge=bool(options.get("purge")),
        )


class Judged(NamedTuple):
    """All versions with their verdicts, by definition and number; `shared`: others may use them unseen."""

    verdicts: Sequence[Verdict]
    shared: bool
    keeps_deleted: bool

    @property
    def going(self) -> list[str]:
        """The ids of those that go."""
        return [str(each.version["id"]) for each in self.verdicts if each.goes]


def judge(session: AzureSession, request: PruneRequest, now: datetime) -> Judged:
    """Look at versions, machines and scale sets. Nothing is changed."""
    gallery = required_gallery(session, request.gallery_id)
    definitions = sorted(_definitions(session, request))
    listed = in_parallel(lambda name: _versions(session, f"{request.gallery_id}/images/{name}"), definitions)
    usage = find_usage(session, gallery, request.subscriptions)
    facts = gallery_facts(gallery)
    found = [
        verdict
        for name, versions in zip(definitions, listed, strict=True)
        for verdict in verdicts(name, versions, request.rules, usage, now)
    ]
    return Judged(found, facts["sharing"]["permissions"] != "private", facts["soft_delete"])


def _definitions(session: AzureSession, request: PruneRequest) -> list[str]:
    names = [str(each["name"]) for each in session.arm.list(f"{request.gallery_id}/images", GALLERY_API)]
    if request.definition is None:
        return names
    named = [name for name in names if name.casefold() == request.definition.casefold()]
    if not named:
        raise InvalidInput(
            f"definition: there is no image definition {request.definition} in gallery"
            f" {request.gallery_id.rpartition('/')[2]}.",
            remedy="Correct its name, or leave it out to look through the whole gallery.",
        )
    return named


def _versions(session: AzureSession, definition: str) -> list[dict[str, Any]]:
    """All versions of a definition. Of those that failed it is read whether some region has them."""
    listed = session.arm.list(f"{definition}/versions", GALLERY_API)
    return in_parallel(
        lambda each: (read_version(session, each["id"]) or each) if is_failed(each) else each, listed
    )


def remove(session: AzureSession, request: PruneRequest, judged: Judged, waiter: Waiter) -> None:
    """Delete what goes. All are tried; raises AzureError that names those which are still there."""
    purged = request.purge and judged.keeps_deleted

    def one(version: str) -> AzureError | None:
        try:
            session.arm.delete(version, GALLERY_API, to_its_end(waiter) if purged else waiter)
            if purged:
                purge(session, parent_id(version), version.rpartition("/")[2], waiter)
        except AzureError as error:
            return error
        return None

    going = judged.going
    failed = [
        (version, error)
        for version, error in zip(going, in_parallel(one, going), strict=True)
        if error is not None
    ]
    if failed:
        causes = "; ".join(f"{version}: {error.message}" for version, error in failed)
        first = failed[0][1]
        raise AzureError(
            f"{len(failed)} of {len(going)} versions could not be deleted: {causes}",
            code=first.code,
            status=first.status,
            request_id=first.request_id,
            remedy=first.remedy,
        )


def shown(request: PruneRequest, judged: Judged, *, apply: bool) -> dict[str, Any]:
    """What the module returns and shows, as the members of an outcome. Without `apply` nothing changes."""
    rows = [
        {
            "id": each.version["id"],
            "definition": str(each.version["id"]).split("/")[-3],
            "version": each.version["name"],
            "channel": request.rules.channel(each.version),
            "goes": each.goes,
            "reason": each.reason,
        }
        for each in judged.verdicts
    ]
    going = judged.going if apply else []
    named = [f"{row['definition']}/{row['version']}" for row in rows]
    left = [name for name, row in zip(named, rows, strict=True) if row["id"] not in going]
    warnings = []
    if judged.shared and judged.going:
        warnings.append(
            "The gallery is shared with others, whose machines and scale sets were not looked at: they may"
            " use versions that go."
        )
    return {
        "changed": bool(going),
        "result": {"versions": rows, "removed": judged.going},
        "before": {"versions": named},
        "after": {"versions": left},
        "actions": [f"Deleted version {row['id']}: {row['reason']}" for row in rows if apply and row["goes"]],
        "warnings": warnings,
    }
