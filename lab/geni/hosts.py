"""Looks into nodes as their experimenter does: by ssh, with a key of one's own."""
import pathlib
import subprocess
import tempfile
import time

LONG = 60
# Root does this as a node first boots: then others than root may ping, as they
# may in the usual distributions. Called by its path, for the shell of busybox
# has a ping of its own, which may not.
PING = 'cp /bin/busybox /bin/.ping && chmod 4755 /bin/.ping && mv /bin/.ping /bin/ping'


class Key:
    """A key of ssh, which is gone afterwards."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix='geni-key-')
        self.private = pathlib.Path(self._folder.name) / 'key'
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', self.private],
                       check=True)
        self.public = self.private.with_suffix('.pub')
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def ssh(self, login, command):
        """What a command says in a node; LOGIN is user, host and port. None where it fails."""
        user, host, port = login
        ran = subprocess.run(
            ['ssh', '-i', self.private, '-p', str(port), '-o', 'BatchMode=yes',
             '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
             '-o', 'LogLevel=ERROR', '-o', 'ConnectTimeout=5', f'{user}@{host}', command],
            capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.said = ran.stderr.strip()
        return ran.stdout.strip() if ran.returncode == 0 else None

    def wait(self, what, login, command):
        """The same, as soon as it works."""
        try:
            return wait(what, lambda: self.ssh(login, command))
        except SystemExit as late:
            raise SystemExit(f'{late}: {self.said}') from None


def wait(what, look):
    """Looks until something is there, and answers it."""
    begun = time.monotonic()
    while time.monotonic() < begun + LONG:
        if found := look():
            return found
        time.sleep(0.5)
    raise SystemExit(f'{what}: not within {LONG} s')


def visit(key, logins, peers):
    """Into each node by ssh; from each, the address of the other end answers.

    LOGINS and PEERS are by the name of the node: how it is reached, and what
    is at the other end of its link.
    """
    for name, login in logins.items():
        called = key.wait(f'ssh into {name}', login, 'hostname')
        print(f'  ssh {login[0]}@{login[1]}: this is {called}')
        ping = f'/bin/ping -c 1 -W 5 {peers[name]}'
        said = key.wait(f'ping from {name}', login, ping)
        print(f'  {name}: {said.splitlines()[1]}')
