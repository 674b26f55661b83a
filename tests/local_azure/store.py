# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Resources and operations of the local Azure in one SQLite file, so that its state survives a restart."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
  key TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL COLLATE NOCASE, subscription TEXT NOT NULL,
  resource_group TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, hidden TEXT NOT NULL,
  position INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS resources_in_group ON resources (subscription, resource_group, type, position);
CREATE INDEX IF NOT EXISTS resources_of_group ON resources (subscription, resource_group, position);
CREATE INDEX IF NOT EXISTS resources_of_type ON resources (type, subscription, position);
CREATE INDEX IF NOT EXISTS resources_in_subscription ON resources (subscription, position);
CREATE INDEX IF NOT EXISTS resources_by_name ON resources (type, name COLLATE NOCASE);
CREATE INDEX IF NOT EXISTS resources_by_position ON resources (position);
CREATE TABLE IF NOT EXISTS operations (id TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
# A state directory from before there were several subscriptions: all its ids begin with the same one.
_MIGRATION = """
ALTER TABLE resources RENAME TO older;
{schema}
INSERT INTO resources SELECT key, id, type, substr(key, 16, 36), resource_group, name, body, hidden, position
  FROM older;
DROP TABLE older;
"""
_COLUMNS = "id, type, resource_group, name, body, hidden"


@dataclass
class Resource:
    """`body` is the resource as served; `hidden` what Azure knows and never shows (keys, blobs, power)."""

    id: str
    type: str
    resource_group: str
    name: str
    body: Json
    hidden: Json = field(default_factory=dict)

    @property
    def properties(self) -> Json:
        properties: Json = self.body.setdefault("properties", {})
        return properties

    @property
    def subscription(self) -> str:
        """Empty for what belongs to no subscription."""
        return subscription_in(self.id)

    @property
    def location(self) -> str:
        return str(self.body.get("location", ""))

    @property
    def state(self) -> str:
        return str(self.properties.get("provisioningState", ""))


class Store:
    """Synchronous and used from the server's event loop only: each call is one short transaction."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        columns = [row[1] for row in self._db.execute("PRAGMA table_info(resources)")]
        older = bool(columns) and "subscription" not in columns
        self._db.executescript(_MIGRATION.format(schema=_SCHEMA) if older else _SCHEMA)
        #: Counts the writes, for those who keep what they have read.
        self.version = 0
        path.chmod(0o600)

    def close(self) -> None:
        self._db.close()

    def get(self, resource_id: str) -> Resource | None:
        """The resource with that id, in any case, and with or without the slash that an id begins with."""
        key = resource_id.lower()
        key = f"/{key}" if key.startswith("subscriptions/") else key
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM resources WHERE key = ?", (key,))  # noqa: S608
        row = rows.fetchone()
        return None if row is None else _resource(row)

    def put(self, resource: Resource) -> None:
        self.version += 1
        self._db.execute(
            f"INSERT INTO resources (key, {_COLUMNS}, subscription, position) "  # noqa: S608 - constants
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(position), 0) + 1 FROM resources)) "
            "ON CONFLICT (key) DO UPDATE SET body = excluded.body, hidden = excluded.hidden",
            (
                resource.id.lower(),
                resource.id,
                resource.type,
                resource.resource_group.lower(),
                resource.name,
                json.dumps(resource.body),
                json.dumps(resource.hidden),
                resource.subscription,
            ),
        )

    def delete(self, resource_id: str) -> None:
        """Removes the resource and everything below it (subnets, containers)."""
        key = resource_id.lower()
        self.version += 1
        # What is below begins with a slash, and "0" is the character behind the slash.
        self._db.execute(
            "DELETE FROM resources WHERE key = ? OR (key > ? AND key < ?)", (key, key + "/", key + "0")
        )

    def _select(self, condition: str, values: Sequence[str], order: str = "position") -> Iterator[Resource]:
        query = f"SELECT {_COLUMNS} FROM resources WHERE {condition} ORDER BY {order}"  # noqa: S608
        for row in self._db.execute(query, values).fetchall():
            yield _resource(row)

    def of_type(
        self, resource_type: str, resource_group: str | None = None, subscription: str | None = None
    ) -> Iterator[Resource]:
        """In order of creation; of every subscription where none is named."""
        condition, values = "type = ?", [resource_type]
        if subscription is not None:
            condition += " AND subscription = ?"
            values.append(subscription.lower())
        if resource_group is not None:
            condition += " AND resource_group = ?"
            values.append(resource_group.lower())
        return self._select(condition, values)

    def page(
        self,
        resource_type: str | None,
        resource_group: str | None,
        subscription: str,
        after: int,
        limit: int,
    ) -> list[tuple[int, Resource]]:
        """Up to `limit` resources behind the place `after`, each with its place; of all types without one."""
        condition, values = "subscription = ?", [subscription.lower()]
        if resource_type is not None:
            condition += " AND type = ?"
            values.append(resource_type)
        if resource_group is not None:
            condition += " AND resource_group = ?"
            values.append(resource_group.lower())
        rows = self._db.execute(
            f"SELECT {_COLUMNS}, position FROM resources WHERE {condition} AND position > ? "  # noqa: S608
            "ORDER BY position LIMIT ?",
            (*values, after, limit),
        )
        return [(row[6], _resource(row[:6])) for row in rows.fetchall()]

    def count_of_type(self, resource_type: str, subscription: str) -> int:
        """How many `of_type` would give, without reading them."""
        row = self._db.execute(
            "SELECT COUNT(*) FROM resources WHERE type = ? AND subscription = ?",
            (resource_type, subscription.lower()),
        ).fetchone()
        return int(row[0])

    def mentioning(self, resource_type: str, text: str) -> Iterator[Resource]:
        """Those of a type whose body has the text somewhere, whatever the case: few of many, to look into."""
        return self._select(
            "type = ? AND instr(lower(body), ?) > 0", (resource_type, json.dumps(text)[1:-1].lower())
        )

    def named(self, resource_type: str, name: str) -> Resource | None:
        """For types whose names are unique in all Azure, whatever their case: storage accounts."""
        return next(self._select("type = ? AND name = ? COLLATE NOCASE", (resource_type, name)), None)

    def below(self, resource_id: str, resource_type: str) -> Iterator[Resource]:
        """The resources of that type under another one: the image versions of a definition."""
        key = resource_id.lower()
        return self._select("type = ? AND key > ? AND key < ?", (resource_type, key + "/", key + "0"))

    def in_group(self, subscription: str, resource_group: str) -> Iterator[Resource]:
        """Every resource of the group, the group itself excepted; the newest first, as deletion needs it."""
        return self._select(
            "subscription = ? AND resource_group = ? AND type != 'Microsoft.Resources/resourceGroups'",
            (subscription.lower(), resource_group.lower()),
            "position DESC",
        )

    def save_operation(self, operation_id: str, record: Json) -> None:
        self._db.execute(
            "INSERT INTO operations (id, record) VALUES (?, ?) "
            "ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            (operation_id.lower(), json.dumps(record)),
        )

    def delete_operation(self, operation_id: str) -> None:
        self._db.execute("DELETE FROM operations WHERE id = ?", (operation_id.lower(),))

    def operations(self) -> Iterator[Json]:
        """In the order in which they began."""
        for (record,) in self._db.execute("SELECT record FROM operations ORDER BY rowid").fetchall():
            yield json.loads(record)

    def next_number(self, counter: str) -> int:
        """Counts 1, 2, 3 ... for each name and never goes back, not even after a restart."""
        self._db.execute(
            "INSERT INTO counters (name, value) VALUES (?, 1) "
            "ON CONFLICT (name) DO UPDATE SET value = value + 1",
            (counter,),
        )
        row = self._db.execute("SELECT value FROM counters WHERE name = ?", (counter,)).fetchone()
        return int(row[0])


def subscription_in(resource_id: str) -> str:
    """The subscription that an id or path begins with, in small letters; empty where it begins otherwise."""
    parts = resource_id.lower().split("/", 3)
    return parts[2] if len(parts) > 2 and parts[1] == "subscriptions" else ""


def _resource(row: tuple[str, str, str, str, str, str]) -> Resource:
    return Resource(row[0], row[1], row[2], row[3], json.loads(row[4]), json.loads(row[5]))
