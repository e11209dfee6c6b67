"""Where a study's trials are kept: a journal file, or a database that several machines share."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.exc import SQLAlchemyError

from textdet.common.errors import DataError

SQLITE_TIMEOUT = 60  # s that a process waits while others write


def open_storage(storage: str) -> optuna.storages.BaseStorage:
    """Open a storage, or make it.

    Params:
        storage: the name of a journal file that ends in .log, or a database's URL.

    Raises:
        DataError: the file is not a journal, or the database's driver is not installed.
        Exception: what the library, the database or its driver says.
    """
    if "://" in storage or not storage.endswith(".log"):
        return _open_database(storage)
    _check_journal(Path(storage))
    lock = JournalFileOpenLock(storage)
    backend = JournalFileBackend(storage, lock)
    _cut_torn_line(Path(storage), lock)
    return optuna.storages.JournalStorage(backend)


@contextmanager
def using_storage() -> Iterator[None]:
    """Report a storage that fails while it is used as DataError."""
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        reason = first_line(error.__cause__ or error)
        raise DataError(f"the storage failed, the same command goes on ({reason})") from None


def first_line(error: BaseException) -> str:
    """The first line of what an error says, else its name."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def hide_password(text: str, storage: str) -> str:
    """Hide the password that a storage's URL holds, and each part of it in a text.

    Params:
        text: which may quote the URL, or what was taken for its host.
        storage: see open_storage.
    """
    found = re.findall(r"://.*?:(.*)@", storage) + re.findall(r"password=([^&]*)", storage)
    # A password with an @ of its own reaches into what is taken for the host.
    parts = {part for password in found for part in (password, *password.split("@"))}
    parts |= {unquote(part) for part in parts}
    for part in sorted(filter(None, parts), key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def _open_database(url: str) -> optuna.storages.RDBStorage:
    if url.startswith("postgres:"):  # as some hosts write it
        raise DataError("SQLAlchemy writes postgresql://")
    if url.startswith("sqlite"):
        options: dict = {"connect_args": {"timeout": SQLITE_TIMEOUT}}
    else:  # a server may drop what was idle while the network ran
        options = {"pool_pre_ping": True}
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except ImportError as error:
        reason = str(error.__cause__ or error)
        if re.match(r"postgresql(\+psycopg)?:", url):
            reason += ', install it by: pip install "psycopg[binary]"'
        raise DataError(f"its driver is not installed: {reason}") from None


def _check_journal(path: Path) -> None:
    """Make sure that a file is a journal before it is written to. Raises DataError."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        first = file.read(20)
    if not re.match(rb'\{"op_code": ?\d', first):
        raise DataError("is there, and no journal of Optuna's")


def _cut_torn_line(journal: Path, lock: JournalFileOpenLock) -> None:
    """Drop a last line that was not written to its end: what is appended to it would be lost."""
    lock.acquire()
    try:
        whole = journal.read_bytes().rfind(b"\n") + 1
        if whole < journal.stat().st_size:
            with journal.open("r+b") as file:
                file.truncate(whole)
    finally:
        lock.release()
