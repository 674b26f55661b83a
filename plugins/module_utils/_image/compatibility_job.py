# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Answers the question of a compatibility check: looks up what is named, and asks the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import GALLERY_API
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import check, findings
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    ERROR,
    WARNING,
    Verdict,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import refuse_if_any
from ansible_collections.goldenimage.azure.plugins.module_utils._image.machine_sizes import find_size
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    SourceFacts,
    facts_from_result,
    facts_result,
    plan_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import SourceLookup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import KINDS, GalleryImage
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    GALLERY_VERSION,
    TargetFacts,
    definition_target,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.common_options import (
    checks_certificates,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_PLAIN = (
    "os_type",
    "os_state",
    "generation",
    "architecture",
    "security_type",
    "zone",
    "encryption",
    "os_disk_size_gb",
    "replication_mode",
    "with_login",
)
_SEVERITIES = {"error": (ERROR,), "warning": (ERROR, WARNING), "never": ()}


@dataclass(frozen=True)
class Answer:
    """What the rules say of a source and a target."""

    source: SourceFacts
    target: TargetFacts
    verdicts: Sequence[Verdict]

    def refuse(self, fail_on: str) -> None:
        """Raise Refused for verdicts of the severity: error, warning, or never."""
        told = [verdict for verdict in self.verdicts if verdict.severity in _SEVERITIES[fail_on]]
        task = f"make {self.target.kind.replace('_', ' ')} {self.target.name} of {self.source.name}"
        refuse_if_any(task, findings(told, lambda verdict: verdict.about))

    def as_result(self) -> dict[str, Any]:
        """The module's returned values."""
        return {
            "compatible": not any(verdict.severity == ERROR for verdict in self.verdicts),
            "findings": [verdict._asdict() for verdict in self.verdicts],
            "source": facts_result(self.source),
        }


def answer_offline(options: Mapping[str, Any]) -> Answer | None:
    """The answer, where everything is said and Azure need not be asked; None otherwise."""
    target = options["target"]
    source = _description(options["source"])
    if source is None or target.get("definition") or target.get("size"):
        return None
    facts = _target(target)
    return Answer(source, facts, check(source, facts))


def answer(session: AzureSession, options: Mapping[str, Any]) -> Answer:
    """The answer after a look at what is named. Raises NotFound and InvalidInput."""
    given = options["target"]
    lookup = SourceLookup(
        session,
        resource_group=options["resource_group"],
        location=given.get("location"),
        verify_tls=checks_certificates(options, signs_in=True),
    )
    # The names are read before anything is asked.
    definition = _definition(lookup, given)
    source = _description(options["source"])
    source = source or lookup.describe(lookup.parse(options["source"]))
    target = replace(_target(given), subscription=session.subscription_id)
    if definition is not None:
        target = _of_definition(session, definition, target)
    if given.get("size"):
        if target.location is None:
            raise InvalidInput(
                "target.size: what a size can do depends on the region, and none is said.",
                remedy="Set target.location.",
            )
        target = replace(target, size=find_size(session, given["size"], target.location))
    return Answer(source, target, check(source, target))


def _description(given: object) -> SourceFacts | None:
    """A source that is described and not only named. Raises InvalidInput for an unknown kind."""
    if not isinstance(given, Mapping) or "kind" not in given or len(given) == 1:
        return None
    if given["kind"] not in KINDS:
        raise InvalidInput(
            f"source.kind: {given['kind']!r} is no kind of source.",
            remedy=f"It is one of {', '.join(KINDS)}.",
        )
    return facts_from_result(given)


def _definition(lookup: SourceLookup, given: Mapping[str, Any]) -> GalleryImage | None:
    if not given.get("definition"):
        return None
    if given["type"] != GALLERY_VERSION:
        raise InvalidInput(f"target.definition: a {given['type'].replace('_', ' ')} has none.")
    found = lookup.parse(given["definition"], "target.definition")
    if not isinstance(found, GalleryImage) or found.version is not None:
        raise InvalidInput(
            f"target.definition: {given['definition']} is no image definition.",
            remedy="Give gallery/definition, or the definition's id.",
        )
    return found


def _of_definition(session: AzureSession, definition: GalleryImage, target: TargetFacts) -> TargetFacts:
    found = session.arm.get(definition.definition_id, GALLERY_API)
    if found is None:
        raise NotFound(
            f"target.definition: there is no definition {definition.definition} in gallery"
            f" {definition.gallery}.",
            remedy="Leave definition out to check what it would have to be, or correct its name.",
        )
    return definition_target(
        found,
        location=target.location,
        regions=target.regions,
        replication_mode=target.replication_mode,
        encryption=target.encryption,
        subscription=definition.subscription,
    )


def _target(given: Mapping[str, Any]) -> TargetFacts:
    location, regions = given.get("location"), given.get("regions")
    return TargetFacts(
        kind=given["type"],
        name=given.get("name") or "the target",
        location=normalize_location(location) if location else None,
        regions=tuple(map(normalize_location, regions)) if regions is not None else None,
        disk_controllers=tuple(given["disk_controllers"]) if given.get("disk_controllers") else None,
        plan=None if given.get("plan") is None else plan_of(given["plan"]),
        **{name: given.get(name) for name in _PLAIN},
    )
