"""Accounting for the Slurm of these tests: mariadbd and slurmdbd on loopback, for limits, QOS and sacct.

Needs Debian's mariadb-server and slurmdbd beside what tests/cluster/slurm.py needs.
"""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.cluster import slurm
from tests.cluster.slurm import run, wait_for

CONF = Path("/etc/slurm/slurmdbd.conf")
PLACE = Path("/tmp/stemma-slurm-accounting")
SOCKET = Path("/run/mysqld/mysqld.sock")  # where slurmdbd looks for it
PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd", "sacctmgr")
PORT = 16819
SLURMDBD = f"""{slurm.MARK}AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={PORT}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=stemma
CommunicationParameters=NoInAddrAny
PidFile={PLACE}/slurmdbd.pid
LogFile={PLACE}/slurmdbd.log
"""
SLURM = f"""AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={PORT}
AccountingStorageEnforce=limits,qos
AccountingStoreFlags=job_comment
"""


def missing() -> str | None:
    """Why there can be no accounting here; None where there can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} missing; apt-get install mariadb-server slurmdbd"
    foreign = SOCKET.exists() or CONF.exists() and not CONF.read_text().startswith(slurm.MARK)
    return f"{CONF} or {SOCKET} belongs to this site" if foreign else None


def up() -> None:
    """Slurm anew, with accounting: user root of account `lab`."""
    slurm.down()
    start_database()
    CONF.write_text(SLURMDBD)
    CONF.chmod(0o600)
    run("slurmdbd")
    wait_for(lambda: "started" in (PLACE / "slurmdbd.log").read_text(), "slurmdbd to start")
    slurm.up(SLURM)
    manage("add", "account", "lab")
    manage("add", "user", "root", "account=lab", "defaultaccount=lab")


def start_database() -> None:
    """An empty one that only a socket leads to."""
    for folder in (PLACE, SOCKET.parent):
        folder.mkdir(exist_ok=True)
        shutil.chown(folder, "mysql", "mysql")
    data = f"--datadir={PLACE}/data"
    run("mariadb-install-db", "--no-defaults", "--user=mysql", data, "--auth-root-authentication-method=socket")
    options = ["--no-defaults", "--user=mysql", "--skip-networking", f"--socket={SOCKET}"]
    with (PLACE / "mariadbd.log").open("w") as log:
        subprocess.Popen(["mariadbd", *options, data, f"--pid-file={PLACE}/mariadbd.pid"], stdout=log, stderr=log)
    wait_for(lambda: run("mariadb", "-e", "select 1", check=False).returncode == 0, "mariadbd to answer")
    run("mariadb", "-e", "create database stemma")


def down() -> None:
    """Slurm, slurmdbd and the database end, with all that they hold."""
    slurm.down()
    for name in ("slurmdbd", "mariadbd"):
        with suppress(FileNotFoundError, ProcessLookupError):
            pid = int((PLACE / f"{name}.pid").read_text())
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists() or is_zombie(pid), f"{name} to end")
    shutil.rmtree(PLACE, ignore_errors=True)
    CONF.unlink(missing_ok=True)


def is_zombie(pid: int) -> bool:
    return " Z " in Path(f"/proc/{pid}/stat").read_text()


def manage(*words: str) -> None:
    """sacctmgr, and it is in force."""
    run("sacctmgr", "-i", *words)
