# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Translates between what a recording calls things and what they are called in the replay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest
from typing import Any

_GENERATED = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE
)
_BLOB_URL = re.compile(r"https://([a-z0-9]+)\.blob\.(?:core\.windows\.net|storage\.azure\.net)(?::\d+)?")
_PLACEHOLDER = re.compile(r"\{[a-z]+\d*\}")
_LEAST = 6
# For what the recordings keep to themselves; a password must be a good one.
_BLOTTED, _SECRET = "REDACTED", "Blotted-out-0"


class Names:
    """`fixed` are the placeholders; what the server generates is learnt from pairs of answers."""

    def __init__(self, fixed: Mapping[str, str], blob_endpoint: str) -> None:
        self._fixed = dict(fixed)
        self._blob_endpoint = blob_endpoint
        #: What the recording calls it to what it is called here: guids and the like, then whole texts.
        self._generated: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def ours(self, text: str) -> str:
        """A text of the recording as it has to be sent here."""
        whole = self._texts.get(text)
        if whole is not None:
            return whole
        text = "/".join(self._part(part) for part in text.split("/"))
        return _BLOB_URL.sub(rf"{self._blob_endpoint}/\1", text)

    def _part(self, part: str) -> str:
        """A name in a path. One that holds a guid, like a gallery's unique name, may be known as a whole."""
        if part in self._texts:
            return self._texts[part]
        part = _PLACEHOLDER.sub(lambda found: self._fixed.get(found[0], found[0]), part)
        part = _GENERATED.sub(lambda found: self._generated.get(found[0].lower(), found[0]), part)
        return self._texts.get(part, part)

    def request(self, value: Any, seen: Any = None, here: Any = None) -> Any:
        """A request's body as it has to be sent here.

        What the recording's client sent back as it had `seen` it is sent back as it was seen `here`.
        """
        if value == _BLOTTED:
            return _SECRET
        if isinstance(value, str):
            return here if value == seen and isinstance(here, str) else self.ours(value)
        if isinstance(value, list):
            pairs = zip_longest(value, _items(seen), _items(here))
            return [self.request(*items) for items in islice(pairs, len(value))]
        if isinstance(value, Mapping):
            return {
                self.ours(key): self.request(item, _member(seen, key), _member(here, key))
                for key, item in value.items()
            }
        return value

    def theirs(self, text: str) -> str:
        """A text of ours with the placeholders of the recording, guids and the like left out."""
        for placeholder, value in self._fixed.items():
            text = re.sub(re.escape(value), placeholder, text, flags=re.IGNORECASE)
        return plain(text)

    def learn(self, recorded: Any, here: Any) -> None:
        """Takes what stands at the same place of two answers for the same thing."""
        if isinstance(recorded, str) and isinstance(here, str):
            self._learn_text(recorded, here)
        elif isinstance(recorded, Mapping) and isinstance(here, Mapping):
            for key, item in recorded.items():
                if key in here:
                    self.learn(item, here[key])
        elif isinstance(recorded, list) and isinstance(here, list):
            for item, other in _counterparts(recorded, here):
                self.learn(item, other)

    def _learn_text(self, recorded: str, here: str) -> None:
        if recorded == here or self.ours(recorded) == here:
            return
        theirs, ours = _GENERATED.findall(recorded), _GENERATED.findall(here)
        if len(theirs) == len(ours):
            self._generated.update((t.lower(), o) for t, o in zip(theirs, ours, strict=True))
        if self.ours(recorded) == here or len(recorded) < _LEAST or not _nameable(recorded):
            return
        if "/" not in recorded:
            self._texts[recorded] = here
        elif recorded.count("/") == here.count("/") and recorded.startswith("/"):
            for part, other in zip(recorded.split("/"), here.split("/"), strict=True):
                if self.ours(part) != other and part.lower() != other.lower() and len(part) >= _LEAST:
                    self._texts[part] = other


def _counterparts(recorded: list[Any], here: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Items of two lists: each with the one of its own name; the others by their place."""
    own = {_name(item): item for item in here if _name(item)}
    named = {_name(item) for item in recorded} & own.keys()
    rest = (item for item in here if _name(item) not in named)
    for item in recorded:
        name = _name(item)
        other = own[name] if name in named else next(rest, None)
        yield item, other


def _name(item: Any) -> str:
    name = _member(item, "name")
    return name if isinstance(name, str) else ""


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _nameable(text: str) -> bool:
    """Names and ids; not times, versions, sentences or states, which mean the same in every subscription."""
    return any(c.isdigit() for c in text) and not re.search(r"\s|^\d{4}-\d\d-\d\dT|^[\d.]+$", text)


def plain(text: str) -> str:
    """A text without what is different each time."""
    return _GENERATED.sub("{guid}", text)
