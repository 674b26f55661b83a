# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What can be wrong with a template."""

from __future__ import annotations


class TemplateError(Exception):
    """A template that Resource Manager would not take. `path` is where in the request it is wrong."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class NotYetKnownError(TemplateError):
    """A function that needs deployed resources, called where none are deployed yet."""
