# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Which versions of a definition may go: a verdict on each, with the reason. Nothing is deleted here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.times import moment
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import first_of
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.usage import Usage
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_changes import (
    is_replicated,
    regions_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_fit import protected_until
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_list import by_number
from ansible_collections.goldenimage.azure.plugins.module_utils._image.selection import has_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import in_transition, is_failed
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_galleries import (
    counts_as_latest,
)


@dataclass(frozen=True)
class Rules:
    """What has to hold, all of it, for a version to go; None, False and empty are not asked.

    `keep`: so many of the highest numbers stay, of each channel; `older_than`: in days; `ended`: its end of
    life has passed; `failed`: Azure could not make it. `channel_tag` names the tag whose value is a version's
    channel; only those of `channels`, and with all of `tags`, are considered.
    """

    keep: int | None = None
    older_than: int | None = None
    ended: bool = False
    failed: bool = False
    channel_tag: str | None = None
    channels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Rules:
        """Read the module's options. Raises InvalidInput for rules that let everything go."""
        rules = cls(
            keep=options.get("keep"),
            older_than=options.get("older_than"),
            ended=bool(options.get("ended")),
            failed=bool(options.get("failed")),
            channel_tag=options.get("channel_tag") or None,
            channels=tuple(options.get("channels") or ()),
            tags=tuple(options.get("tags") or ()),
        )
        for option, least in (("keep", 1), ("older_than", 0)):
            value = getattr(rules, option)
            if value is not None and value < least:
                raise InvalidInput(f"{option}: {value} is less than {least}.")
        if rules.channels and not rules.channel_tag:
            raise InvalidInput(
                "channels: nothing says which tag tells a version's channel.", remedy="Set channel_tag."
            )
        if rules.keep is None and rules.older_than is None and not rules.ended and not rules.failed:
            raise InvalidInput(
                "Nothing says which versions may go.",
                remedy="Set at least one of keep, older_than, ended and failed.",
            )
        return rules

    def channel(self, version: Mapping[str, Any]) -> str | None:
        """The channel of a version; None where it has none, or channels are not asked about."""
        wanted = (self.channel_tag or "").casefold()
        for name, value in (version.get("tags") or {}).items():
            if wanted and name.casefold() == wanted:
                return str(value)
        return None


class Verdict(NamedTuple):
    """On one version, which is in wire shape. `reason` is why it stays, or goes."""

    version: Mapping[str, Any]
    goes: bool
    reason: str


def verdicts(
    definition: str, versions: Sequence[Mapping[str, Any]], rules: Rules, usage: Usage, now: datetime
) -> list[Verdict]:
    """On all versions of a definition, the lowest number first. `now` has a time zone."""
    ordered = by_number(versions)
    spared = _newest(ordered, rules)
    kept = _kept(ordered, rules)
    found = []
    for version in ordered:
        name = str(version["name"])
        stays = (
            _not_meant(version, rules)
            or _untouchable(version, usage.of(definition, name))
            or spared.get(name)
            or _by_rules(version, name in kept, rules, now)
        )
        found.append(Verdict(version, not stays, stays or _why(version, rules)))
    return found


def _newest(ordered: Sequence[Mapping[str, Any]], rules: Rules) -> dict[str, str]:
    """The newest usable version, what "latest" means somewhere, and the newest of each channel: they stay."""
    usable = [version for version in ordered if _is_usable(version)]
    spared: dict[str, str] = {}
    for version in usable:
        channel = rules.channel(version)
        if channel is not None:
            newest = [each for each in usable if rules.channel(each) == channel][-1]
            spared[str(newest["name"])] = f"it is the newest of channel {channel}"
    # A region that has not got the newest has a latest of its own.
    for region in sorted({region for version in usable for region in regions_of(version)}):
        latest = [version for version in usable if counts_as_latest(version, region)]
        spared.update(
            {str(version["name"]): f'it is what "latest" means in {region}' for version in latest[-1:]}
        )
    spared.update({str(version["name"]): "it is the newest" for version in usable[-1:]})
    return spared


def _is_broken(version: Mapping[str, Any]) -> bool:
    """Whether Azure could not make it. One that only some regions have not got can be used in others."""
    return is_failed(version) and not is_replicated(version)


def _is_usable(version: Mapping[str, Any]) -> bool:
    """Whether machines can be made of it now, at least in some region."""
    state = str((version.get("properties") or {}).get("provisioningState")).casefold()
    return state in ("succeeded", "updating") or is_replicated(version)


def _kept(ordered: Sequence[Mapping[str, Any]], rules: Rules) -> set[str]:
    """The highest numbers of each channel. Versions that failed, or may still fail, do not count."""
    if rules.keep is None:
        return set()
    by_channel: dict[str | None, list[str]] = {}
    for version in ordered:
        if _is_usable(version):
            by_channel.setdefault(rules.channel(version), []).append(str(version["name"]))
    return {name for names in by_channel.values() for name in names[-rules.keep :]}


def _not_meant(version: Mapping[str, Any], rules: Rules) -> str | None:
    if not has_tags(version.get("tags"), rules.tags):
        return "it does not have the tags asked for"
    channel = rules.channel(version)
    if rules.channels and channel not in rules.channels:
        return f"its channel is {channel}" if channel else "it has no channel"
    return None


def _untouchable(version: Mapping[str, Any], users: Sequence[str]) -> str | None:
    if users:
        return f"it is used by {first_of(sorted(set(users)))}"
    if in_transition(dict(version)):
        return "Azure is at work on it"
    end = protected_until(version)
    return f"it is protected until its end of life, {end}" if end else None


def _by_rules(version: Mapping[str, Any], kept: bool, rules: Rules, now: datetime) -> str | None:
    """The first of the rules that does not hold."""
    if kept:
        return f"it is one of the {rules.keep} highest to keep"
    publishing = (version.get("properties") or {}).get("publishingProfile") or {}
    if rules.older_than is not None:
        published = moment(str(publishing.get("publishedDate") or ""))
        if published is None or now - published < timedelta(days=rules.older_than):
            return f"it is not older than {rules.older_than} days"
    if rules.ended:
        end = moment(str(publishing.get("endOfLifeDate") or ""))
        if end is None or end > now:
            return "its end of life has not come" if end else "it has no end of life"
    if rules.failed and not _is_broken(version):
        return "it did not fail"
    return None


def _why(version: Mapping[str, Any], rules: Rules) -> str:
    publishing = (version.get("properties") or {}).get("publishingProfile") or {}
    parts = []
    if rules.keep is not None:
        parts.append(f"it is none of the {rules.keep} highest")
    if rules.older_than is not None:
        parts.append(f"it is from {publishing.get('publishedDate')}")
    if rules.ended:
        parts.append(f"its end of life was {publishing.get('endOfLifeDate')}")
    if rules.failed:
        parts.append("it failed")
    return ", ".join(parts)
