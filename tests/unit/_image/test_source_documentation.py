# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is returned is what the documentation of the modules names."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import Verdict
from ansible_collections.goldenimage.azure.plugins.module_utils._image.marketplace_browsing import detailed
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SourceFacts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import described
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import TARGETS
from ansible_collections.goldenimage.azure.plugins.modules import (
    compatibility_check,
    image_source_info,
    marketplace_info,
)

DEBIAN = "Debian:debian-12:12-gen2:0.1.2"
FACTS = SourceFacts("marketplace", DEBIAN, reference=DEBIAN, pinned=DEBIAN)


@pytest.mark.parametrize(
    ("module", "value", "returned"),
    [
        (image_source_info, "source", described(FACTS, "s")),
        (compatibility_check, "findings", dict.fromkeys(Verdict._fields)),
        (marketplace_info, "images", detailed(FACTS)),
    ],
    ids=["image_source_info", "compatibility_check", "marketplace_info"],
)
def test_every_key_that_is_returned_is_documented(module: Any, value: str, returned: dict[str, Any]) -> None:
    documented = yaml.safe_load(module.RETURN)[value]["contains"]
    assert set(documented) == set(returned)


def test_every_kind_of_target_can_be_asked_about() -> None:
    target = yaml.safe_load(compatibility_check.DOCUMENTATION)["options"]["target"]
    assert target["suboptions"]["type"]["choices"] == list(TARGETS)
