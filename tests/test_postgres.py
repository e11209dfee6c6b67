"""A study in PostgreSQL: on a server that the tests start, where one is installed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from conftest import SIZE, assert_refused

from textdet.common.errors import DataError
from textdet.data.triplets import read_samples, read_triplet
from textdet.decoding.settings import DetectionSettings
from textdet.tuning import study as studies
from textdet.tuning.maps import MapFolder
from textdet.tuning.scoring import Scorer
from textdet.tuning.storage import hide_password

HERE = DetectionSettings(long_side=SIZE)
PASSWORD = "s@cret:/ %"  # each of these signs has a meaning in URLs
RANDOM = 10  # Optuna's first trials do not depend on one another


# --- The server ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    """The port of a server on 127.0.0.1 whose user tester has PASSWORD."""
    pytest.importorskip("psycopg", reason='no driver: pip install "psycopg[binary]"')
    debians = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (debians and debians[-1])
    if not found:
        pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")
    bin = Path(found).parent
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        (Path(folder) / "password").write_text(PASSWORD)
        options: dict = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if os.getuid() == 0:  # as whom the server does not run
            options |= {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": folder}
            for path in (folder, Path(folder) / "password"):
                shutil.chown(path, "postgres", "postgres")
        data = Path(folder) / "data"
        init = [bin / "initdb", "-D", data, "--no-sync", "--username=tester", "--locale=C"]
        init += ["--encoding=UTF8", "--auth=scram-sha-256", f"--pwfile={folder}/password"]
        subprocess.run(init, check=True, **options)
        free.close()
        command = [bin / "postgres", "-D", data, "-p", str(port), "-c", "fsync=off"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        with subprocess.Popen(command, **options) as process:
            try:
                yield port
            finally:
                process.send_signal(signal.SIGINT)  # does not wait for connections


@contextmanager
def connected(port: int):
    """A connection to the server, once it answers; what is sent takes effect at once."""
    import psycopg

    deadline = time.monotonic() + 60
    where = {"host": "127.0.0.1", "port": port, "user": "tester", "dbname": "postgres"}
    while True:
        try:
            connection = psycopg.connect(**where, password=PASSWORD, autocommit=True)
            break
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    with connection:
        yield connection


@pytest.fixture
def database(server):
    """The URL of an empty database."""
    with connected(server) as connection:
        connection.execute("DROP DATABASE IF EXISTS shared WITH (FORCE)")
        connection.execute("CREATE DATABASE shared")
    return f"postgresql://tester:{quote(PASSWORD, safe='')}@127.0.0.1:{server}/shared"


# --- The study -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maps(triplets, tmp_path_factory):
    """Folder of the triplets' own maps, each fainter than the next."""
    samples, folder = read_samples(triplets)[0], MapFolder(tmp_path_factory.mktemp("true") / "maps")
    folder.path.mkdir()
    for number, sample in enumerate(samples):
        share = 0.3 + 0.35 * number / len(samples)
        np.save(folder.file(number), (read_triplet(sample)[1] * share).astype(np.uint8))
    return folder.path


def open_study(storage, name="study"):
    return studies.open_study(str(storage), Path("none"), name, "key", HERE)


def search(study, maps, triplets, n_trials):
    samples = read_samples(triplets)[0]
    scorer = Scorer({SIZE: MapFolder(maps)}, list(range(len(samples))), samples)
    studies.search(study, scorer, HERE, n_trials, n_jobs=1)


def share(url, maps, triplets):
    """What each of the processes does: endless trials of one study."""
    search(open_study(url), maps, triplets, 100_000)


def test_a_killed_process_leaves_the_study_to_the_others(database, maps, triplets, tmp_path):
    study = open_study(database)

    def wait_for(count):
        deadline = time.monotonic() + 120
        while len(studies.finished_trials(study)) < count:
            assert any(process.is_alive() for process in processes), "ended by themselves"
            assert time.monotonic() < deadline
            time.sleep(0.1)

    processes = [
        get_context("spawn").Process(target=share, args=(database, maps, triplets))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    try:
        count = 0
        for process in processes:  # after the first one is killed the other goes on
            wait_for(count + RANDOM // 2)
            process.kill()
            process.join()
            count = len(studies.finished_trials(study))
    finally:
        for process in processes:
            process.kill()
    search(study, maps, triplets, count + 2)
    trials = study.trials
    assert [trial.number for trial in trials] == list(range(len(trials)))
    finished = [trial for trial in trials if trial.state.is_finished()]
    assert len(finished) == count + 2
    assert len(trials) - len(finished) <= len(processes)  # those under way when they were killed

    alone = open_study(tmp_path / "trials.log")
    search(alone, maps, triplets, RANDOM)
    for one, shared in zip(alone.trials, trials[:RANDOM], strict=True):
        if shared in finished:  # what was killed may not have drawn its settings yet
            assert shared.params == one.params
            assert shared.values == one.values
            assert shared.user_attrs["sweep"] == one.user_attrs["sweep"]
    assert len({tuple(trial.values) for trial in alone.trials}) > RANDOM // 2


def test_connections_that_the_server_drops_are_made_anew(database, server, maps, triplets):
    study = open_study(database)
    with connected(server) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shared'"
        )
    search(study, maps, triplets, 1)
    assert len(studies.finished_trials(study)) == 1
    with connected(server) as connection:
        connection.execute("DROP DATABASE shared WITH (FORCE)")
    with pytest.raises(DataError, match="the storage failed, .*database .shared. does not exist"):
        search(study, maps, triplets, 2)


# --- What is said ----------------------------------------------------------------------------


def test_a_refused_password_is_not_printed(database, random_model, triplets, run_here):
    wrong = database.replace(quote(PASSWORD, safe=""), "not-this")
    flags = ("--input_dir", triplets, "--model_dir", random_model)
    result = run_here("tune.py", *flags, "--storage", wrong)
    assert_refused(result, "tester:***@127.0.0.1", "password authentication failed")
    assert "not-this" not in result.stdout + result.stderr
    result = run_here("tune.py", *flags, "--storge", wrong)  # a slip of the pen
    assert_refused(result, "--storge", "tester:***@127.0.0.1")


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DataError, match=r'pip install "psycopg\[binary\]"') as raised:
        open_study("postgresql://me:secret@localhost/optuna")
    assert "secret" not in str(raised.value) and "me:***@localhost" in str(raised.value)


@pytest.mark.parametrize(
    ("storage", "text", "shown"),
    [
        ("postgresql://me:pw@host/db", "postgresql://me:pw@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host:1/db", "postgresql://me@host:1/db", "postgresql://me@host:1/db"),
        ("postgresql://me:a@b@host/db", "no host 'b@host'", "no host '***@host'"),
        ("postgresql://a@b.c:pw@host/db", "a@b.c:pw@host", "a@b.c:***@host"),
        ("postgresql://me:a%40b@host/db", "for a@b, that is a%40b", "for ***, that is ***"),
        ("postgresql://host/db?user=me&password=pw&x=1", "password=pw&x=1", "password=***&x=1"),
        ("sqlite:///study.db", "sqlite:///study.db", "sqlite:///study.db"),
        ("trials.log", "trials.log", "trials.log"),
    ],
)
def test_passwords_are_hidden(storage, text, shown):
    assert hide_password(text, storage) == shown
