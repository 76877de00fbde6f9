"""What every part of the lab shares: names, passwords, small helpers."""
import contextlib
import fcntl
import os
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
HOST = '127.0.0.1'
REGION = 'RegionOne'
ADMIN_PASSWORD = 'oslab-admin'
USER_PASSWORD = 'oslab-user'
SERVICE_PASSWORD = 'oslab-service'
DB_PASSWORD = 'oslab-db'

# name: (port offset, catalog type, path after the port, databases)
SERVICES = {
    'keystone': (0, 'identity', '/v3', ['keystone']),
    'heat': (1, 'orchestration', '/v1/%(tenant_id)s', ['heat']),
    'placement': (2, 'placement', '', ['placement']),
    'glance': (3, 'image', '', ['glance']),
    'neutron': (4, 'network', '', ['neutron']),
    'nova': (5, 'compute', '/v2.1', ['nova_api', 'nova', 'nova_cell0']),
}
DB_PORT_OFFSET = 9
SETS = {'min': ['keystone', 'heat'], 'full': list(SERVICES)}


class LabError(Exception):
    pass


def say(text):
    print(f'[{time.strftime("%H:%M:%S")}] {text}', flush=True)


def tail(path, lines=15):
    return '\n'.join(path.read_text(errors='replace').splitlines()[-lines:])


def command(argv, log, **env):
    """Run to the end, output to the file LOG; an error shows its tail."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'ab') as out:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT,
                              env={**os.environ, **env})
    if done.returncode:
        raise LabError(f'{" ".join(map(str, argv))}: exit status '
                       f'{done.returncode}; end of {log}:\n{tail(log)}')


@contextlib.contextmanager
def locked(path, waiting_for, shared=False):
    """Hold the lock of the file PATH; say so where it must be waited for.

    The kernel lets go of it when the process ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with open(path, 'a') as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'waiting for {waiting_for}')
            fcntl.flock(file, kind)
        yield


def cache_dir():
    own = os.environ.get('RM_CACHE_DIR')
    if own:
        return pathlib.Path(own).absolute()
    base = os.environ.get('XDG_CACHE_HOME')
    base = pathlib.Path(base) if base else pathlib.Path.home() / '.cache'
    return base.absolute() / 'resource-manager'
