"""The lab's processes: start, wait, stop; never one that is not its own."""
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from common import HERE, HOST, LabError, say, tail


class Processes:
    def __init__(self, lab):
        self.lab = lab
        self.started = []               # by this program, in order

    def pid_file(self, name):
        return self.lab.run / f'{name}.pid'

    def names(self):
        return sorted(p.stem for p in self.lab.run.glob('*.pid'))

    def pid(self, name):
        """The process's id, or None where it does not run.

        A process counts as ours only if its command line names this folder,
        so a stale file with a re-used id does no harm.
        """
        try:
            pid = int(self.pid_file(name).read_text())
            words = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
        except (OSError, ValueError):
            return None
        # Words may be apart by a blank: neutron writes its own line anew.
        folder = re.escape(os.fsencode(str(self.lab.dir)))
        ours = re.search(rb'[ =]' + folder + rb'[ /]',
                         words.replace(b'\0', b' ') + b' ')
        return pid if ours else None

    # -- ports -------------------------------------------------------------

    def is_free(self, port):
        with socket.socket() as s:
            # A connection that lingers is no hindrance, a listener is.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((HOST, port))
            except OSError:
                return False
        return True

    def need_free_ports(self, names):
        busy = [f'{self.lab.port(n)} ({n})' for n in names
                if not self.pid(n) and not self.is_free(self.lab.port(n))]
        if busy:
            raise LabError(f'{HOST}: in use by somebody else: port '
                           f'{", ".join(busy)}; choose another --port-base')

    # -- start -------------------------------------------------------------

    def spawn(self, name, argv, **env):
        self.need_free_ports([name])
        with open(self.lab.log / f'{name}.log', 'ab') as out:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
                cwd=self.lab.dir, env={**os.environ, **env})
        self.pid_file(name).write_text(f'{child.pid}\n')
        self.started.append(name)
        return child

    def start(self, name):
        """Start an OpenStack service; None where it runs already."""
        if self.pid(name):
            say(f'{name}: already running')
            return None
        return self.spawn(
            name, [str(self.lab.venv / 'bin/python'), str(HERE / 'serve.py'),
                   name, str(self.lab.dir), HOST, str(self.lab.port(name))],
            PYTHONPATH=str(HERE / 'plugins'), PYTHONUNBUFFERED='1')

    def wait(self, name, child, answers, limit):
        began = time.monotonic()
        while not answers():
            if child is not None and child.poll() is not None:
                raise LabError(self.last_words(name, 'ended at once'))
            if time.monotonic() - began > limit:
                raise LabError(self.last_words(
                    name, f'does not answer after {limit} s'))
            time.sleep(0.1)
        if child is not None:
            say(f'{name}: {HOST}:{self.lab.port(name)} '
                f'({time.monotonic() - began:.1f} s)')

    def wait_http(self, name, child, limit=120):
        path = '/healthcheck' if name == 'heat' else '/'

        def answers():
            try:
                urllib.request.urlopen(self.lab.url(name, path), timeout=10)
            except urllib.error.HTTPError as e:
                return e.code < 500     # 300, 401: it speaks
            except OSError:
                return False
            return True

        self.wait(name, child, answers, limit)

    def wait_greeting(self, name, child, limit=60):
        """A database speaks first."""
        def answers():
            try:
                with socket.create_connection(
                        (HOST, self.lab.port(name)), 1) as s:
                    return bool(s.recv(1))
            except OSError:
                return False

        self.wait(name, child, answers, limit)

    def last_words(self, name, what):
        path = self.lab.log / f'{name}.log'
        return f'{name} {what}; end of {path}:\n{tail(path)}'

    # -- stop --------------------------------------------------------------

    def signal(self, name, number):
        """Whether the process was there to get the signal."""
        return self.end(name, number, None) is not None

    def end(self, name, number, limit):
        """Signal it, and wait for its end; None where it does not run.

        The wait is on a descriptor of the process, for that says when all
        its threads are gone and its port with them; /proc says less.
        """
        pid = self.pid(name)
        if not pid:
            return None
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        try:
            if self.pid(name) != pid:
                return None
            signal.pidfd_send_signal(process, number)
            if limit is None:
                return True
            # A paused one would never hear it.
            signal.pidfd_send_signal(process, signal.SIGCONT)
            ended = bool(select.select([process], [], [], limit)[0])
            if ended:
                self.reap(pid)
            return ended
        except ProcessLookupError:
            return True
        finally:
            os.close(process)

    def reap(self, pid):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass                        # another command's child

    def stop(self, name, limit=10):
        """Stop it and say so; whether it ended by itself (or did not run)."""
        ended = self.end(name, signal.SIGTERM, limit)
        if ended:
            say(f'{name}: stopped')
        elif ended is False:
            self.kill(name)
        self.pid_file(name).unlink(missing_ok=True)
        return ended is not False

    def kill(self, name):
        ended = self.end(name, signal.SIGKILL, 10)
        if ended is False:
            raise LabError(f'{name}: survives kill -9')
        if ended:
            say(f'{name}: killed')
        self.pid_file(name).unlink(missing_ok=True)

    def stop_all(self, names):
        # The database last, so that the others can still write their ends.
        for name in sorted(names, key=lambda n: n == 'mariadb'):
            self.stop(name, limit=30 if name == 'mariadb' else 10)
