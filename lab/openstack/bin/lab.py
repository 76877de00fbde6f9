"""The lab: its folder, its addresses, and the verbs that act on all of it."""
import concurrent.futures
import json
import pathlib
import signal
import time

import database
import install
import schema
import seed
from common import (DB_PASSWORD, DB_PORT_OFFSET, HOST, SERVICES, SETS,
                    LabError, locked, say)
from configuration import Configuration
from processes import Processes

DEFAULTS = {'port_base': 25000, 'db': 'mariadb', 'token_seconds': 3600,
            'max_stacks': 512}
# These are in the databases and in clients' files already.
FIXED = ('port_base', 'db')


class Lab:
    def __init__(self, directory, **wanted):
        self.dir = pathlib.Path(directory).resolve()
        self.etc, self.log, self.run, self.db_dir = (
            self.dir / d for d in ('etc', 'log', 'run', 'db'))
        self.settings_file = self.dir / 'settings.json'
        wanted = {k: v for k, v in wanted.items() if v is not None}
        found = (json.loads(self.settings_file.read_text())
                 if self.settings_file.exists() else {})
        for key in FIXED:
            if key in found and wanted.get(key, found[key]) != found[key]:
                raise LabError(f'{self.dir} was made with {key} '
                               f'{found[key]}; use another folder')
        self.settings = {**DEFAULTS, 'venv': str(install.default_venv()),
                         **found, **wanted}
        self.venv = pathlib.Path(self.settings['venv'])
        self.processes = Processes(self)

    # -- addresses ---------------------------------------------------------

    def port(self, name):
        offset = (DB_PORT_OFFSET if name == 'mariadb'
                  else SERVICES[name][0])
        return self.settings['port_base'] + offset

    def url(self, name, path=''):
        return f'http://{HOST}:{self.port(name)}{path}'

    def connection(self, database_name):
        if self.settings['db'] == 'sqlite':
            return f'sqlite:///{self.db_dir}/{database_name}.sqlite?timeout=60'
        return (f'mysql+pymysql://oslab:{DB_PASSWORD}@{HOST}:'
                f'{self.port("mariadb")}/{database_name}?charset=utf8mb4')

    # -- the folder --------------------------------------------------------

    def need_lab(self):
        if not self.settings_file.exists():
            raise LabError(f'{self.dir} is not a lab (it has no '
                           f'{self.settings_file.name})')

    def lock(self):
        return locked(self.dir / 'lab.lock',
                      f'another command on {self.dir}')

    def make_folder(self):
        for d in (self.etc, self.log, self.run, self.db_dir):
            d.mkdir(parents=True, exist_ok=True)
        self.save_settings()

    def save_settings(self):
        self.settings_file.write_text(json.dumps(self.settings) + '\n')

    # -- up ----------------------------------------------------------------

    def up(self, kind):
        if (not self.settings_file.exists() and self.dir.is_dir()
                and any(f.name != 'lab.lock' for f in self.dir.iterdir())):
            raise LabError(f'{self.dir} holds something that is not a lab; '
                           'use another folder')
        # Before minutes of work, not after them.
        self.processes.need_free_ports(self.everything(kind))
        with self.lock():
            try:
                self.up_locked(kind)
            except BaseException:
                started = self.processes.started
                if started:
                    say('failed; stopping what was started')
                    self.processes.stop_all(started)
                raise

    def everything(self, kind):
        names = list(SETS[kind])
        if self.settings['db'] == 'mariadb':
            names.append('mariadb')
        return names

    def up_locked(self, kind):
        names = SETS[kind]
        began = time.monotonic()
        self.make_folder()
        install.fill_venv(self.venv, kind,
                          install.missing_for_database()
                          if self.settings['db'] == 'mariadb' else ())
        installed = time.monotonic()
        configuration = Configuration(self)
        configuration.write_all(names)
        self.make_databases(kind)
        self.once('bootstrap', schema.bootstrap)
        migrated = time.monotonic()
        self.stop_changed(configuration)
        # Nova alone logs in to keystone as it starts: it waits for its user.
        children = {n: self.processes.start(n) for n in names if n != 'nova'}
        self.processes.wait_http('keystone', children.pop('keystone'))
        seed.identity(self, names)
        if 'nova' in names:
            children['nova'] = self.processes.start('nova')
        for name, child in children.items():
            self.processes.wait_http(name, child)
        if 'nova' in names:
            seed.cloud(self)
        seed.write_client_files(self)
        ended = time.monotonic()
        say(f'ready in {ended - began:.1f} s (install '
            f'{installed - began:.1f}, database {migrated - installed:.1f}, '
            f'start {ended - migrated:.1f})')
        say(f'OS_CLIENT_CONFIG_FILE={self.dir}/clouds.yaml OS_CLOUD=oslab '
            f'{self.venv}/bin/openstack stack list')

    def make_databases(self, kind):
        fresh = not any(self.db_dir.iterdir())
        restored = fresh and database.restore(self, kind)
        database.prepare(self)
        database.start(self)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(self.once, f'schema-{n}',
                                getattr(schema, f'tables_{n}'))
                    for n in SETS[kind]]
            for job in jobs:
                job.result()
        if fresh and not restored and self.settings['db'] == 'mariadb':
            # Only a database that ended well may be copied.
            if self.processes.stop('mariadb', limit=60):
                database.keep(self, kind)
            database.start(self)

    def once(self, what, step):
        """Run the step unless an earlier run of it went through."""
        stamp = self.db_dir / f'{what}.done'
        if not stamp.exists():
            began = time.monotonic()
            step(self)
            say(f'{what}: {time.monotonic() - began:.1f} s')
            stamp.touch()

    def stop_changed(self, configuration):
        """Stop what runs with another configuration; who did it is told."""
        stopped = [n for n in configuration.changed if self.processes.pid(n)]
        for name in stopped:
            say(f'{name}: its configuration is another now')
            self.processes.stop(name)
        return stopped

    # -- the other verbs ---------------------------------------------------

    def down(self):
        self.need_lab()
        with self.lock():
            names = self.processes.names()
            if not any(self.processes.pid(n) for n in names):
                say(f'{self.dir}: nothing runs')
            self.processes.stop_all(names)

    def status(self):
        """Print it; whether everything runs."""
        self.need_lab()
        total, well = 0, True
        for name in self.known():
            pid = self.processes.pid(name)
            if not pid:
                print(f'{name:10} not running')
                well = False
                continue
            fields = dict(
                line.split(':', 1) for line in
                pathlib.Path(f'/proc/{pid}/status').read_text().splitlines())
            rss = int(fields['VmRSS'].split()[0]) // 1024
            peak = int(fields['VmHWM'].split()[0]) // 1024
            total += rss
            print(f'{name:10} pid {pid:<8} port {self.port(name)} '
                  f'{rss:5} MiB (peak {peak})')
        print(f'{"total":38} {total:5} MiB')
        return well

    def reconfigure(self):
        self.need_lab()
        with self.lock():
            self.save_settings()
            configuration = Configuration(self)
            configuration.write_all(configuration.written())
            for name in self.stop_changed(configuration):
                self.processes.wait_http(name, self.processes.start(name))

    def known(self):
        """The processes that this lab has when all is well."""
        own = ['mariadb'] if self.settings['db'] == 'mariadb' else []
        return [*own, *Configuration(self).written()]

    def need_service(self, name):
        self.need_lab()
        if name not in self.known():
            raise LabError(f'no service {name} in {self.dir}; it has '
                           f'{", ".join(self.known())}')

    def stop(self, name):
        self.need_service(name)
        with self.lock():
            if not self.processes.pid(name):
                say(f'{name}: does not run')
            self.processes.stop(name)

    def start(self, name):
        self.need_service(name)
        with self.lock():
            if name == 'mariadb':
                database.start(self)
            else:
                self.processes.wait_http(name, self.processes.start(name))

    def pause(self, name):
        self.need_service(name)
        if not self.processes.signal(name, signal.SIGSTOP):
            raise LabError(f'{name}: does not run')

    def resume(self, name):
        self.need_service(name)
        if not self.processes.signal(name, signal.SIGCONT):
            raise LabError(f'{name}: does not run')

    def kill(self, name=None):
        """No lock: this must work while something else hangs."""
        self.need_lab()
        if name:
            self.need_service(name)
        for each in [name] if name else self.processes.names():
            self.processes.kill(each)
