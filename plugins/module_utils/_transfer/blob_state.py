# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether a blob that an upload or a copy has made is complete, as its metadata tells."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput

STATE = "goldenimage_state"
#: Of a copy: it has not been verified yet.
COPYING = "copying"
UPLOADING = "uploading"
COMPLETE = "complete"


def check_state(what: str, metadata: Mapping[str, str]) -> None:
    """Refuse to read a blob that is not complete; one without a state is nobody's here. Raises InvalidInput.

    :param what: the blob, as a sentence begins with it
    """
    state = metadata.get(STATE, COMPLETE)
    if state != COMPLETE:
        raise InvalidInput(
            f"{what} is not complete, its state is {state}.",
            remedy="Let the upload or copy into it be completed first.",
        )
