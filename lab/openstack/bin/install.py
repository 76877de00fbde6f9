"""What the lab needs on this machine: packages of the system, and a venv."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

from common import HERE, LabError, cache_dir, command, locked, say

CLIENTS = ['python-openstackclient', 'python-heatclient']
MINIMAL = ['keystone', 'openstack-heat', 'cheroot', 'PyMySQL', *CLIENTS]
PACKAGES = {
    'min': MINIMAL,
    'full': [*MINIMAL, 'openstack-placement', 'glance', 'nova', 'neutron'],
}
CONSTRAINTS = HERE / 'constraints.txt'
# mariadb-server-core alone lacks my_print_defaults, which is in the other.
DATABASE = ['mariadb-server-core', 'mariadb-client-core']
# Debian keeps the daemon out of an ordinary user's PATH.
SYSTEM_PATH = os.environ.get('PATH', '') + ':/usr/sbin:/usr/bin:/usr/libexec'


def default_venv():
    own = os.environ.get('OSLAB_VENV')
    return (pathlib.Path(own).absolute() if own
            else cache_dir() / 'openstack-venv')


def base_python():
    return os.environ.get('OSLAB_PYTHON', sys.executable)


def works(argv):
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


# -- packages of the system ------------------------------------------------

def daemon(name):
    return shutil.which(name, path=SYSTEM_PATH)


def missing_for_venv():
    """Debian's packages without which the venv cannot be made or filled."""
    python = base_python()
    missing = []
    # Debian has the module venv in any case, and ensurepip apart from it.
    if not works([python, '-c', 'import venv, ensurepip']):
        missing.append('python3-venv')
    # Some packages come as source only.
    if not (shutil.which('gcc') or shutil.which('cc')):
        missing += ['gcc', 'libc6-dev']
    if not works([python, '-c', 'import sysconfig, os; os.stat(os.path.join('
                  'sysconfig.get_path("include"), "Python.h"))']):
        missing.append('libpython3-dev')
    return missing


def missing_for_database():
    return ([] if daemon('mariadbd') and daemon('my_print_defaults')
            else DATABASE)


def system_packages(missing, log):
    """Install Debian packages as root; else name them all and stop."""
    if not missing:
        return
    names = ' '.join(missing)
    if os.geteuid() != 0 or not shutil.which('apt-get'):
        raise LabError(f'missing on this machine: {names}\n'
                       f'as root: apt-get install -y {names}')
    say(f'apt-get install {names}')
    apt = ['apt-get', '-o', 'DPkg::Lock::Timeout=300', '-y', '-qq']
    quiet = {'DEBIAN_FRONTEND': 'noninteractive'}
    install = [*apt, 'install', '--no-install-recommends', *missing]
    try:
        command(install, log, **quiet)
    except LabError:
        # A fresh machine knows no packages yet.
        command([*apt, 'update'], log, **quiet)
        command(install, log, **quiet)


# -- the venv --------------------------------------------------------------

def fingerprint(kind):
    text = CONSTRAINTS.read_text() + '\n' + ' '.join(PACKAGES[kind])
    return hashlib.sha256(text.encode()).hexdigest()


def is_filled(venv, kind):
    """Whether the venv holds KIND; a full one holds what min needs."""
    try:
        stamp = json.loads((venv / 'installed.json').read_text())
    except (OSError, ValueError):
        return False
    return any(stamp.get(k) == fingerprint(k) for k in {kind, 'full'})


def all_system_packages(venv):
    """See to Debian's packages that a lab needs, before anything else.

    Whoever may not install them hears of all of them at once, and before
    minutes have gone into something that cannot end well.
    """
    log = venv.with_name(venv.name + '-install.log')
    with locked(venv.with_name(venv.name + '.lock'),
                f'another installation into {venv}'):
        filled = any(is_filled(venv, kind) for kind in PACKAGES)
        system_packages([*([] if filled else missing_for_venv()),
                         *missing_for_database()], log)


def fill_venv(venv, kind, also_missing=()):
    """Make sure that VENV holds the packages of KIND, exactly as pinned.

    ALSO_MISSING are packages of the system that the caller needs, so that
    all of them are named, or installed, at once.
    """
    log = venv.with_name(venv.name + '-install.log')
    # Several labs share one venv: the second waits until the first is done.
    with locked(venv.with_name(venv.name + '.lock'),
                f'another installation into {venv}'):
        python = venv / 'bin/python'
        usable = works([str(python), '-c', 'import pip'])
        if usable and is_filled(venv, kind):
            system_packages(list(also_missing), log)
            return
        system_packages([*missing_for_venv(), *also_missing], log)
        if not usable:
            # The Python it was made with may be gone.
            say(f'venv: {base_python()} -> {venv}')
            shutil.rmtree(venv, ignore_errors=True)
            venv.parent.mkdir(parents=True, exist_ok=True)
            command([base_python(), '-m', 'venv', str(venv)], log)
        stamp = venv / 'installed.json'
        stamp.unlink(missing_ok=True)   # until pip is through, it holds none
        say(f'pip install {" ".join(PACKAGES[kind])} (minutes; see {log})')
        command([str(python), '-m', 'pip', 'install',
                 '--disable-pip-version-check', '-c', str(CONSTRAINTS),
                 *PACKAGES[kind]], log)
        stamp.write_text(json.dumps({kind: fingerprint(kind)}) + '\n')
