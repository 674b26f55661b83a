# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Resources and operations of the local Azure in one SQLite file, so that its state survives a restart."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
  key TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, resource_group TEXT NOT NULL,
  name TEXT NOT NULL, body TEXT NOT NULL, hidden TEXT NOT NULL, position INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS resources_by_type ON resources (type, resource_group);
CREATE TABLE IF NOT EXISTS operations (id TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


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
        self._db.executescript(_SCHEMA)
        path.chmod(0o600)

    def close(self) -> None:
        self._db.close()

    def get(self, resource_id: str) -> Resource | None:
        row = self._db.execute(
            "SELECT id, type, resource_group, name, body, hidden FROM resources WHERE key = ?",
            (resource_id.lower(),),
        ).fetchone()
        return None if row is None else _resource(row)

    def put(self, resource: Resource) -> None:
        self._db.execute(
            "INSERT INTO resources (key, id, type, resource_group, name, body, hidden, position) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(position), 0) + 1 FROM resources)) "
            "ON CONFLICT (key) DO UPDATE SET body = excluded.body, hidden = excluded.hidden",
            (
                resource.id.lower(),
                resource.id,
                resource.type,
                resource.resource_group.lower(),
                resource.name,
                json.dumps(resource.body),
                json.dumps(resource.hidden),
            ),
        )

    def delete(self, resource_id: str) -> None:
        """Removes the resource and everything below it (subnets, containers)."""
        key = resource_id.lower()
        self._db.execute(
            "DELETE FROM resources WHERE key = ? OR substr(key, 1, ?) = ?", (key, len(key) + 1, key + "/")
        )

    def of_type(self, resource_type: str, resource_group: str | None = None) -> Iterator[Resource]:
        """In order of creation."""
        query = (
            "SELECT id, type, resource_group, name, body, hidden FROM resources WHERE type = ? COLLATE NOCASE"
        )
        values = [resource_type]
        if resource_group is not None:
            query += " AND resource_group = ?"
            values.append(resource_group.lower())
        for row in self._db.execute(query + " ORDER BY position", values).fetchall():
            yield _resource(row)

    def in_group(self, resource_group: str) -> Iterator[Resource]:
        """Every resource of the group, the group itself excepted; the newest first, as deletion needs it."""
        rows = self._db.execute(
            "SELECT id, type, resource_group, name, body, hidden FROM resources "
            "WHERE resource_group = ? AND type != 'Microsoft.Resources/resourceGroups' ORDER BY position "
            "DESC",
            (resource_group.lower(),),
        ).fetchall()
        for row in rows:
            yield _resource(row)

    def everything(self) -> Iterator[Resource]:
        rows = self._db.execute(
            "SELECT id, type, resource_group, name, body, hidden FROM resources ORDER BY position"
        ).fetchall()
        for row in rows:
            yield _resource(row)

    def save_operation(self, operation_id: str, record: Json) -> None:
        self._db.execute(
            "INSERT INTO operations (id, record) VALUES (?, ?) "
            "ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            (operation_id.lower(), json.dumps(record)),
        )

    def operations(self) -> Iterator[Json]:
        for (record,) in self._db.execute("SELECT record FROM operations").fetchall():
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


def _resource(row: tuple[str, str, str, str, str, str]) -> Resource:
    return Resource(row[0], row[1], row[2], row[3], json.loads(row[4]), json.loads(row[5]))
