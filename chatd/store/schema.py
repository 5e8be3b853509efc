"""The schema: created, recognised, upgraded.

`schema/vN.ENGINE.sql` is the whole schema of the newest version N (earlier ones are not kept),
`schema/upgrade-N-to-N+1.ENGINE.sql` leads from one version to the next; ENGINE is sqlite or postgresql. A database is
created in one transaction, so there is never half of one. It is upgraded step by step, also in one transaction,
after a copy of everything was made: for SQLite a file beside it (`chatd.sqlite.backup-vN`), for PostgreSQL a schema
`chatd_backup_vN` with a copy of each table.
"""
from __future__ import annotations

import re
from pathlib import Path

from twisted.logger import Logger

from chatd.store.engine import Engine
from chatd.store.errors import NotOurs, SchemaTooNew, StoreError
from chatd.store.session import Session

log = Logger()

SCHEMA_DIR = Path(__file__).with_name("schema")


def newest_version(schema_dir: Path = SCHEMA_DIR) -> int:
    """The version this chatd works with: the highest there is a file for."""
    found = [re.fullmatch(r"v(\d+)\.sqlite\.sql", path.name) for path in schema_dir.iterdir()]
    return max(int(match[1]) for match in found if match)


def ensure(session: Session, engine: Engine, schema_dir: Path = SCHEMA_DIR) -> None:
    """Bring the database behind session to the newest schema. Called first, with nothing else under way.

    Raises SchemaTooNew, NotOurs, or StoreError when the schema's files are not complete; the database is
    then as it was.
    """
    newest = newest_version(schema_dir)
    found = version_of(session, engine)
    if found == newest:
        return
    if found is None:
        _create(session, engine, newest, schema_dir)
        log.info("Created {where} with schema version {version}.", where=engine.where, version=newest)
        return
    if found > newest:
        raise SchemaTooNew(
            f"{engine.where} has schema version {found}, and this chatd knows only up to {newest}. Install the "
            "newer chatd again, or restore the backup that was made when it upgraded the database."
        )
    scripts = [_script(schema_dir, f"upgrade-{n}-to-{n + 1}", engine) for n in range(found, newest)]
    copy = engine.backup(session, found)
    log.info("A copy of {where} was made before its upgrade: {copy}.", where=engine.where, copy=copy)
    _upgrade(session, engine, scripts, newest)
    log.info("Upgraded {where} from schema version {old} to {new}.", where=engine.where, old=found, new=newest)


def version_of(session: Session, engine: Engine) -> int | None:
    """The database's schema version, None if it is empty. Raises NotOurs if it holds something else."""
    tables = engine.tables(session)
    if not tables:
        return None
    row = session.one("SELECT value FROM meta WHERE name = 'schema'") if "meta" in tables else None
    if row is None or not str(row[0]).isdigit():
        raise NotOurs(f"{engine.where} holds tables that are not chatd's. Give chatd a database of its own.")
    return int(row[0])


def _create(session: Session, engine: Engine, version: int, schema_dir: Path) -> None:
    script = _script(schema_dir, f"v{version}", engine)
    session.begin()
    try:
        session.script(script)
        session.run("INSERT INTO meta (name, value) VALUES ('schema', ?)", (str(version),))
        session.commit()
    except BaseException:
        session.rollback()
        raise


def _upgrade(session: Session, engine: Engine, scripts: list[str], version: int) -> None:
    with engine.references_off(session):
        session.begin()
        try:
            for script in scripts:
                session.script(script)
            session.run("UPDATE meta SET value = ? WHERE name = 'schema'", (str(version),))
            engine.check(session)
            session.commit()
        except BaseException:
            session.rollback()
            raise


def _script(schema_dir: Path, stem: str, engine: Engine) -> str:
    path = schema_dir / f"{stem}.{engine.dialect}.sql"
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise StoreError(f"{path} is missing: chatd is not installed completely.") from error
