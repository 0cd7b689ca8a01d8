"""Tasks in SQLite: each visitor has a list of his own."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

MOST_TASKS = 200
"""How many tasks a list may have."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY,
    list TEXT NOT NULL,
    text TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS task_list ON task (list);
"""


class ListFull(Exception):
    """There are `MOST_TASKS` already."""


@dataclass(frozen=True)
class Task:
    """One thing to do."""

    id: int
    text: str
    done: bool


class Store:
    """The tasks in a file; one for each process, since SQLite does not survive a fork."""

    def __init__(self, path: Path) -> None:
        # Each statement is a transaction of its own; who writes waits for others who do.
        self._database = sqlite3.connect(path, timeout=5, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def tasks(self, owner: str) -> list[Task]:
        """Every task of a list, in the order they were added; those that are done come last."""
        rows = self._database.execute(
            "SELECT id, text, done FROM task WHERE list = ? ORDER BY done, id", (owner,)
        )
        return [Task(number, text, bool(done)) for number, text, done in rows]

    def add(self, owner: str, text: str) -> None:
        """Add a task; raises `ListFull`."""
        added = self._database.execute(
            "INSERT INTO task (list, text) SELECT ?, ?"
            " WHERE (SELECT count(*) FROM task WHERE list = ?) < ?",
            (owner, text, owner, MOST_TASKS),
        )
        if not added.rowcount:
            raise ListFull

    def toggle(self, owner: str, number: int) -> bool:
        """Tick a task, or untick it; false if the list has none of this number."""
        changed = self._database.execute(
            "UPDATE task SET done = NOT done WHERE list = ? AND id = ?", (owner, number)
        )
        return changed.rowcount == 1

    def delete(self, owner: str, number: int) -> bool:
        """Forget a task; false if the list has none of this number."""
        deleted = self._database.execute(
            "DELETE FROM task WHERE list = ? AND id = ?", (owner, number)
        )
        return deleted.rowcount == 1

    def clear(self, owner: str) -> None:
        """Forget what is done."""
        self._database.execute("DELETE FROM task WHERE list = ? AND done", (owner,))
