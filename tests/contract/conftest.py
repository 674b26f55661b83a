# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The two sets of contracts that the tests of the checks run with."""

from __future__ import annotations

import pytest

from tests.contract.judge import Judge
from tests.contract.openapi_files import ENVIRONMENT, specification_root


@pytest.fixture
def sdk_judge() -> Judge:
    """What is always there: the rules of Resource Manager and the SDK's models."""
    return Judge(openapi_root=None)


@pytest.fixture
def full_judge() -> Judge:
    """The same with Azure's published API files."""
    root = specification_root()
    if root is None:
        pytest.skip(f"Azure's published API files are absent; {ENVIRONMENT} names a folder that holds them")
    return Judge(root)
