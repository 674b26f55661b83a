# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Which versions go, and which stay whatever the rules say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import version_number
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.retention import Rules, verdicts
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.usage import Usage, usage_of
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
GALLERY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/golden"
Version = dict[str, Any]


def stamp(days: int) -> str:
    return (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.1234567+00:00")


def version(
    name: str,
    *,
    age: int = 100,
    end: int | None = None,
    state: str = "Succeeded",
    regions: Sequence[str] = ("East US",),
    replicated: Sequence[str] = (),
    excluded: bool = False,
    protected: bool = False,
    **tags: str,
) -> Version:
    """One that was made `age` days ago and ends in `end` days."""
    publishing: dict[str, Any] = {
        "publishedDate": stamp(-age),
        "excludeFromLatest": excluded,
        "targetRegions": [{"name": region} for region in regions],
    }
    if end is not None:
        publishing["endOfLifeDate"] = stamp(end)
    return {
        "id": f"{GALLERY}/images/web/versions/{name}",
        "name": name,
        "tags": tags,
        "properties": {
            "provisioningState": state,
            "publishingProfile": publishing,
            "safetyProfile": {"blockDeletionBeforeEndOfLife": protected},
            "replicationStatus": {"summary": [{"region": each, "state": "Completed"} for each in replicated]},
        },
    }


def going(versions: Sequence[Version], usage: Usage | None = None, **rules: Any) -> list[str]:
    """The numbers of those that go."""
    found = verdicts("web", versions, Rules.from_options(rules), usage or Usage(), NOW)
    return [str(each.version["name"]) for each in found if each.goes]


def reason(versions: Sequence[Version], name: str, usage: Usage | None = None, **rules: Any) -> str:
    found = verdicts("web", versions, Rules.from_options(rules), usage or Usage(), NOW)
    return next(each.reason for each in found if each.version["name"] == name)


def test_numbers_are_counted_not_spelled() -> None:
    versions = [version(name) for name in ("1.10.0", "1.2.0", "1.9.0", "2.0.0")]
    assert going(versions, keep=2) == ["1.2.0", "1.9.0"]
    assert reason(versions, "1.10.0", keep=2) == "it is one of the 2 highest to keep"
    assert reason(versions, "1.2.0", keep=2) == "it is none of the 2 highest"


def test_all_the_rules_given_have_to_hold() -> None:
    versions = [
        version("1.0.0", age=50, end=-1),
        version("1.0.1", age=50),
        version("1.0.2", age=10, end=-1),
        version("1.0.3", end=-1),
        version("1.0.4", end=-1),
    ]
    assert going(versions, keep=2, older_than=30, ended=True) == ["1.0.0"]
    assert reason(versions, "1.0.1", ended=True) == "it has no end of life"
    assert reason(versions, "1.0.2", older_than=30) == "it is not older than 30 days"


def test_the_newest_and_the_latest_of_every_region_stay() -> None:
    versions = [
        version("1.0.0", regions=["East US", "West US"]),
        version("1.0.1", regions=["East US"]),
        version("1.0.2", excluded=True),
        version("1.0.3", excluded=True),
    ]
    assert going(versions, older_than=0) == ["1.0.2"]
    assert reason(versions, "1.0.0", older_than=0) == 'it is what "latest" means in westus'
    assert reason(versions, "1.0.1", older_than=0) == 'it is what "latest" means in eastus'
    assert reason(versions, "1.0.3", older_than=0) == "it is the newest"


def test_channels_are_counted_apart() -> None:
    versions = [
        version("1.0.0", channel="test"),
        version("1.0.1", Channel="test"),
        version("1.0.2", channel="stable"),
        version("1.0.3", channel="stable"),
        version("1.0.4"),
        version("1.0.5"),
    ]
    assert going(versions, keep=1, channel_tag="channel") == ["1.0.0", "1.0.2", "1.0.4"]
    assert going(versions, keep=1, channel_tag="channel", channels=["test"]) == ["1.0.0"]
    assert (
        reason(versions, "1.0.1", older_than=0, channel_tag="channel") == "it is the newest of channel test"
    )
    assert going(versions, keep=1, tags=["channel:stable"]) == ["1.0.2", "1.0.3"]


def test_what_failed_does_not_count_and_goes_when_asked() -> None:
    versions = [
        version("1.0.0"),
        version("1.0.1"),
        version("1.0.2", state="Failed", replicated=["eastus"]),
        version("1.0.3", state="Failed"),
    ]
    assert going(versions, failed=True) == ["1.0.3"]
    assert going(versions, keep=2) == ["1.0.0", "1.0.3"], "1.0.2 can be used in a region"


def test_protected_versions_and_those_in_the_making_stay() -> None:
    versions = [
        version("1.0.0", protected=True, end=5000),
        version("1.0.1", protected=True, end=-1),
        version("1.0.2", state="Updating"),
        version("2.0.0"),
        version("3.0.0", state="Creating"),
    ]
    assert going(versions, keep=1) == ["1.0.1"]
    assert reason(versions, "1.0.0", keep=1).startswith("it is protected until its end of life, ")
    assert reason(versions, "1.0.2", keep=1) == "Azure is at work on it"


def used(*references: Mapping[str, Any]) -> Usage:
    """Usage by machines that say this of their image."""
    gallery = {
        "id": GALLERY,
        "name": "golden",
        "location": "eastus",
        "properties": {
            "identifier": {"uniqueName": "s-GOLDEN"},
            "sharingProfile": {"communityGalleryInfo": {"publicNames": ["all-1"]}},
        },
    }
    return usage_of(gallery, [(f"vm{number}", each) for number, each in enumerate(references)])


@pytest.mark.parametrize(
    "reference",
    [
        {"id": f"{GALLERY}/images/web/versions/1.0.0"},
        {"id": f"{GALLERY}/images/WEB/versions/1.0.0".replace("resourceGroups", "resourcegroups")},
        {"id": f"{GALLERY}/images/web", "exactVersion": "1.0.0"},
        {"id": f"{GALLERY}/images/web/versions/latest", "exactVersion": "1.0.0"},
        {"sharedGalleryImageId": "/SharedGalleries/s-golden/Images/web/Versions/1.0.0"},
        {"communityGalleryImageId": "/CommunityGalleries/all-1/Images/web/Versions/1.0.0"},
        {
            "communityGalleryImageId": "/CommunityGalleries/all-1/Images/web/Versions/latest",
            "exactVersion": "1.0.0",
        },
    ],
)
def test_what_a_machine_uses_stays_however_it_names_it(reference: Mapping[str, Any]) -> None:
    versions = [version("1.0.0"), version("1.0.1"), version("1.0.2")]
    usage = used(reference)
    assert going(versions, usage, keep=1) == ["1.0.1"]
    assert reason(versions, "1.0.0", usage, keep=1) == "it is used by vm0"


def test_machines_of_other_images_use_nothing_here() -> None:
    other = GALLERY.replace("golden", "other")
    usage = used(
        {"id": f"{other}/images/web/versions/1.0.0"},
        {"id": f"{GALLERY}/images/db/versions/1.0.0"},
        {"sharedGalleryImageId": "/SharedGalleries/t-GOLDEN/Images/web/Versions/1.0.0"},
        {"publisher": "p", "offer": "o", "sku": "s", "version": "1.0.0"},
        {},
    )
    assert going([version("1.0.0"), version("1.0.1")], usage, keep=1) == ["1.0.0"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "Nothing says which versions may go"),
        ({"tags": ["a"]}, "Nothing says which versions may go"),
        ({"keep": 0}, "keep: 0 is less than 1"),
        ({"older_than": -1}, "older_than: -1 is less than 0"),
        ({"keep": 1, "channels": ["test"]}, "channels: nothing says which tag"),
    ],
)
def test_rules_that_let_everything_go_are_refused(rules: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Rules.from_options(rules)


VERSIONS = st.lists(
    st.builds(
        version,
        st.tuples(*[st.integers(0, 12)] * 3).map(lambda parts: ".".join(map(str, parts))),
        age=st.integers(0, 400),
        end=st.none() | st.integers(-100, 100),
        state=st.sampled_from(["Succeeded", "Failed", "Creating"]),
        regions=st.lists(st.sampled_from(["East US", "westus"]), min_size=1, unique=True),
        excluded=st.booleans(),
        channel=st.sampled_from(["test", "stable"]),
    ),
    max_size=12,
    unique_by=lambda made: made["name"],
)


RULES = st.fixed_dictionaries(
    {
        "keep": st.integers(1, 4),
        "older_than": st.none() | st.integers(0, 300),
        "ended": st.booleans(),
        "channel_tag": st.sampled_from([None, "channel"]),
    }
)


@given(VERSIONS, RULES, st.integers(0, 11))
def test_whatever_the_rules_what_is_needed_stays(
    versions: list[Version], rules: dict[str, Any], pick: int
) -> None:
    in_use = versions[pick % len(versions)] if versions else version("1.0.0")
    gone = set(going(versions, used({"id": in_use["id"]}), **rules))
    states: dict[str, list[Version]] = {"Succeeded": [], "Failed": [], "Creating": []}
    for each in versions:
        states[each["properties"]["provisioningState"]].append(each)
    made = sorted(states["Succeeded"], key=lambda each: version_number(each["name"]) or ())
    assert in_use["name"] not in gone
    assert not gone & {each["name"] for each in states["Creating"]}
    assert not gone & {each["name"] for each in made[-rules["keep"] :]} or rules["channel_tag"]
    assert not gone & {each["name"] for each in made[-1:]}
