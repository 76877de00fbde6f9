"""The lab's database, and the copy of it that makes a fresh lab quick."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from common import (DB_PASSWORD, HERE, HOST, SERVICES, cache_dir, command,
                    locked, say)
from install import CONSTRAINTS, daemon


def prepare(lab):
    """Make an empty database unless there is one."""
    data = lab.db_dir / 'mariadb'
    if lab.settings['db'] == 'sqlite' or data.exists():
        return
    # Under another name until it is whole: an interrupted one is no database.
    half = lab.db_dir / 'mariadb-unfinished'
    shutil.rmtree(half, ignore_errors=True)
    command([daemon('mariadb-install-db'), '--no-defaults', *as_root(),
             f'--datadir={half}', '--skip-test-db',
             '--auth-root-authentication-method=normal'],
            lab.log / 'mariadb-install.log')
    half.rename(data)


def as_root():
    return ['--user=root'] if os.geteuid() == 0 else []


def start(lab):
    if lab.settings['db'] == 'sqlite' or lab.processes.pid('mariadb'):
        return
    data = lab.db_dir / 'mariadb'
    init = lab.etc / 'mariadb-init.sql'
    every = sorted({d for s in SERVICES.values() for d in s[3]})
    init.write_text(''.join(
        f'CREATE DATABASE IF NOT EXISTS {d} CHARACTER SET utf8mb4;\n'
        for d in every)
        + f"CREATE USER IF NOT EXISTS 'oslab'@'{HOST}' "
          f"IDENTIFIED BY '{DB_PASSWORD}';\n"
          f"GRANT ALL ON *.* TO 'oslab'@'{HOST}';\n")
    # Nothing here must survive a power cut, so nothing waits for the disk.
    child = lab.processes.spawn('mariadb', [
        daemon('mariadbd'), '--no-defaults', *as_root(), f'--datadir={data}',
        '--socket=mysql.sock', f'--bind-address={HOST}',
        f'--port={lab.port("mariadb")}', f'--init-file={init}',
        f'--pid-file={data}/mariadb.pid', '--skip-log-bin',
        '--skip-name-resolve', '--max-connections=800',
        '--performance-schema=OFF', '--innodb-buffer-pool-size=256M',
        '--innodb-log-file-size=48M',
        '--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0',
        '--innodb-flush-method=nosync', '--sync-frm=OFF'])
    lab.processes.wait_greeting('mariadb', child)


# -- a copy of the empty schemas -------------------------------------------
#
# The services' migrations take 20-100 s of CPU and always end in the same
# tables. The copy is taken before anything of one lab (its ports, its keys)
# is in them, and is good for the same pins, scripts and database server.

def copies():
    return cache_dir() / 'openstack-schema'


def copy_key():
    version = subprocess.run([daemon('mariadbd'), '--no-defaults',
                              '--version'], capture_output=True).stdout
    digest = hashlib.sha256(version)
    for source in (CONSTRAINTS, HERE / 'schema.py',
                   pathlib.Path(__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def copies_lock(shared):
    return locked(copies().with_name('openstack-schema.lock'),
                  'another lab that copies its databases', shared)


def restore(lab, kind):
    """Fill the folder of a fresh lab from the copy; whether there was one."""
    if lab.settings['db'] == 'sqlite':
        return False
    key = copy_key()
    with copies_lock(shared=True):
        # A full lab's copy has all that a minimal one needs.
        for candidate in dict.fromkeys((kind, 'full')):
            source = copies() / f'{candidate}-{key}'
            if not source.is_dir():
                continue
            half = lab.dir / 'db-unfinished'
            shutil.rmtree(half, ignore_errors=True)
            shutil.copytree(source, half)
            lab.db_dir.rmdir()          # fresh, so it is empty
            half.rename(lab.db_dir)
            say(f'databases: from the copy {source.name}')
            return True
    return False


def keep(lab, kind):
    """Keep a copy of this fresh lab's databases, which are at rest now."""
    if lab.settings['db'] == 'sqlite':
        return
    key = copy_key()
    with copies_lock(shared=False):
        copies().mkdir(parents=True, exist_ok=True)
        target = copies() / f'{kind}-{key}'
        for old in copies().iterdir():  # of other pins, or left by a crash
            if not old.name.endswith(f'-{key}'):
                shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            return
        half = pathlib.Path(tempfile.mkdtemp(prefix='unfinished-',
                                             dir=copies()))
        shutil.copytree(lab.db_dir, half, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns('*.sock', '*.pid',
                                                      'ibtmp*'))
        half.rename(target)
    say(f'databases: copy kept as {target.name}')
