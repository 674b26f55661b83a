# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rights and locks that stand in the way of galleries, definitions and versions are told before a write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.prune import (
    PruneRequest,
    check_rights,
    judge,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Refused

from tests.integration import captures
from tests.integration.captures import GALLERIES
from tests.integration.cloud import LocalAzure
from tests.integration.galleries import Bring, definition, gallery, refused, version, written

_ACTION = "Microsoft.Compute/galleries"


@pytest.fixture(scope="module")
def made(azure: LocalAzure, session: AzureSession, group: str) -> str:
    """Id of a definition with version 1.0.0 and 1.0.1 in a gallery of its own, and the disk they are of."""
    parent = captures.definition(azure, group, "web")
    disk = azure.disk(group, "web", osType="Linux", hyperVGeneration="V1")
    for number in ("1.0.0", "1.0.1"):
        options = of_version(group, version=number, source=disk, replication_mode="Shallow")
        assert version(session, options).changed
    return parent


def of_version(group: str, **more: Any) -> dict[str, Any]:
    return {"resource_group": group, "gallery": "golden", "definition": "web", **more}


def of_definition(group: str, **more: Any) -> dict[str, Any]:
    return {"resource_group": group, "gallery": "golden", "name": "web", **more}


def of_gallery(group: str, **more: Any) -> dict[str, Any]:
    return {"resource_group": group, "name": "golden", **more}


@pytest.fixture(scope="module")
def reader(azure: LocalAzure) -> Iterator[AzureSession]:
    """Somebody who may look at everything, and change nothing."""
    environ = {
        **azure.env,
        "AZURE_CLIENT_ID": azure.env["LOCAL_AZURE_READER_CLIENT_ID"],
        "AZURE_SECRET": azure.env["LOCAL_AZURE_READER_SECRET"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", azure.env["REQUESTS_CA_BUNDLE"])
        with open_session({}, environ) as opened:
            yield opened


def fresh(**more: Any) -> dict[str, Any]:
    return {"os_type": "Linux", "hyper_v_generation": "V2", **more}


@pytest.mark.parametrize(
    ("bring", "options", "actions"),
    [
        (gallery, lambda group: of_gallery(group, name="other"), ["write"]),
        (gallery, lambda group: of_gallery(group, description="ours"), ["write"]),
        (
            gallery,
            lambda group: of_gallery(
                group, sharing={"permissions": "groups", "tenants": ["0" * 8 + "-0000" * 3 + "-" + "1" * 12]}
            ),
            ["write", "share/action"],
        ),
        (definition, lambda group: of_definition(group, **fresh(name="other")), ["images/write"]),
        (definition, lambda group: of_definition(group, description="ours"), ["images/write"]),
        (
            version,
            lambda group: of_version(group, source={"managed_disk": "web"}, version="9.0.0"),
            ["images/versions/write"],
        ),
        (
            version,
            lambda group: of_version(group, version="1.0.0", tags={"a": "b"}),
            ["images/versions/write"],
        ),
        (
            version,
            lambda group: of_version(group, version="1.0.0", state="absent"),
            ["images/versions/delete"],
        ),
    ],
    ids=["make", "change", "share", "define", "redefine", "publish", "retag", "delete"],
)
def test_rights_that_are_missing_are_named_before_any_write(
    azure: LocalAzure,
    reader: AzureSession,
    group: str,
    *,
    made: str,
    bring: Bring,
    options: Callable[[str], dict[str, Any]],
    actions: list[str],
) -> None:
    assert made
    words = [f"the signed-in identity may not {_ACTION}/{action}." for action in actions]
    told = refused(azure, bring, reader, options(group), *words)
    assert {each["id"] for each in told.as_result()["findings"]} == {"missing-right"}
    with pytest.raises(Refused):
        bring(reader, options(group), check=True)


@contextmanager
def locked(azure: LocalAzure, resource: str, level: str) -> Iterator[None]:
    lock = f"{resource}/providers/Microsoft.Authorization/locks/keep"
    assert azure.request("PUT", lock, {"properties": {"level": level}}).status < 300
    try:
        yield
    finally:
        azure.request("DELETE", lock)


def test_locks_are_named_where_they_stand_in_the_way_and_nowhere_else(
    azure: LocalAzure, session: AzureSession, group: str, made: str
) -> None:
    parent = azure.id(group, GALLERIES, "golden")
    wanted = of_version(group, version="1.0.0", tags={"lock": "none"})
    with locked(azure, parent, "ReadOnly"):
        for bring, options in (
            (gallery, of_gallery(group, description="ours")),
            (definition, of_definition(group, description="ours")),
            (version, wanted),
            (version, of_version(group, version="1.0.0", state="absent")),
        ):
            refused(azure, bring, session, options, "lock keep (ReadOnly) on", "Remove the lock")
    with locked(azure, f"{made}/versions/1.0.0", "CanNotDelete"):
        said = "lock keep (CanNotDelete) on"
        refused(azure, version, session, of_version(group, version="1.0.0", state="absent"), said)
        assert version(session, wanted).changed, "what is only changed is not deleted"
    assert not version(session, wanted).changed


def test_a_locked_version_stays_when_others_go(
    azure: LocalAzure, session: AzureSession, reader: AzureSession, group: str, made: str
) -> None:
    options = {"resource_group": group, "gallery": "golden", "keep": 1}
    request = PruneRequest.from_options(options, session.subscription_id)
    now = datetime.now(timezone.utc)
    with locked(azure, f"{made}/versions/1.0.0", "CanNotDelete"):
        first, last = judge(session, request, now).verdicts
    assert (first.goes, first.reason) == (False, "lock keep forbids to delete it")
    assert (last.goes, last.reason) == (False, "it is the newest")
    mark = azure.mark()
    judged = judge(reader, request, now)
    assert judged.going == [f"{made}/versions/1.0.0"]
    with pytest.raises(Refused, match=r"may not Microsoft\.Compute/galleries"):
        check_rights(reader, judged)
    check_rights(session, judged)
    assert written(azure, mark) == []
