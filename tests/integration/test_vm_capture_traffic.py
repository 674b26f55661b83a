# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""How many requests a capture in place sends, and that it never waits longer than Azure asks for."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.capture_comparison.traffic import Operation, Traffic, traffic_of
from tests.integration.captures import captured, definition, image, machine, version
from tests.integration.cloud import LocalAzure

# A machine that boots guests meanwhile is slow, which is no defect. The SDK's own pauses are far longer.
BUSY_SECONDS = 4.0


def is_in_time(operation: Operation) -> bool:
    return operation.late <= operation.allowed + BUSY_SECONDS


def capture_of_a_running_machine(
    azure: LocalAzure, session: AzureSession, group: str, name: str, target: dict[str, object]
) -> Traffic:
    """What is sent to stop a machine with two data disks, to mark it and to make one target of it."""
    machine(azure, group, name, power="running", marked=False)
    definition(azure, group, name)
    mark = azure.mark()
    captured(session, group, name, target, stop=True, assume_generalized=True)
    return traffic_of(azure.exchanges(mark))


def test_a_capture_to_an_image_sends_few_requests_and_knows_of_each_end_in_time(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    sent = capture_of_a_running_machine(azure, session, group, "few", image("few"))
    assert [operation.what for operation in sent.operations] == ["deallocate", "PUT images"]
    assert all(is_in_time(operation) for operation in sent.operations), sent.operations
    # Deallocate, generalize, the image.
    assert sent.writes == 3
    assert sent.reads <= 10


def test_a_capture_to_a_gallery_sends_few_requests_and_knows_of_each_end_in_time(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    sent = capture_of_a_running_machine(azure, session, group, "published", version("published"))
    assert [operation.what for operation in sent.operations] == ["deallocate", "PUT versions"]
    assert all(is_in_time(operation) for operation in sent.operations), sent.operations
    assert sent.writes == 3
    assert sent.reads <= 12
