#!/usr/bin/env python3
"""A small real OpenStack on loopback, in one folder, for tests.

usage: oslab.py VERB DIR [NAME] [options]

up-min    keystone + heat
up-full   keystone + heat + placement + glance + nova (fake hypervisor) + neutron
down      stop what DIR/run/*.pid names, and nothing else
status    one line a service: pid, port, resident memory
set       change --token-seconds or --max-stacks; what runs and reads the
          changed file is started again

stop-service DIR NAME     stop one service (or `mariadb`) cleanly
start-service DIR NAME    start it again and wait until it answers
pause-service DIR NAME    let it hang: connections are taken, none is answered
resume-service DIR NAME   let it go on
kill DIR [NAME]           kill -9 one service, or all of them

packages                    see to the packages of the system, or name those
                            that are missing, and nothing else
install-min, install-full   the same, and fill the shared venv
guard DIR...                wait for the end of stdin, then take DIR... down:
                            a caller holds the other end of that pipe, and
                            however it ends, its labs end too

DIR keeps a lab: etc/, db/, log/, run/, clouds.yaml, openrc*. Running `up`
again is safe: what is there is kept, what is not running is started. Remove
DIR (after `down`) to begin anew.

The venv and a copy of the empty databases are shared by all labs and kept in
$RM_CACHE_DIR, else $XDG_CACHE_HOME/resource-manager, else
~/.cache/resource-manager.

Needs: Linux, Python 3.10 or newer with venv, a C compiler, pip's index and,
for --db mariadb (the default), `mariadbd`. Run as root, what is missing is
installed through apt; otherwise the packages are named and nothing is done.

Environment: OSLAB_PYTHON, the Python to make the venv with; OSLAB_VENV,
another venv to use and fill.
"""
import argparse
import contextlib
import os
import signal
import sys

import install
from lab import Lab, LabError, say

WITHOUT_LAB = {'install-min': 'min', 'install-full': 'full'}
ON_A_SERVICE = ('stop-service', 'start-service', 'pause-service',
                'resume-service')
VERBS = ('up-min', 'up-full', 'down', 'status', 'set', 'kill', 'guard',
         'packages', *ON_A_SERVICE, *WITHOUT_LAB)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('verb', choices=VERBS, metavar='VERB')
    parser.add_argument('words', nargs='*', metavar='DIR [NAME]')
    parser.add_argument('--port-base', type=int)
    parser.add_argument('--db', choices=['sqlite', 'mariadb'])
    parser.add_argument('--token-seconds', type=int,
                        help='life of a token (default 3600)')
    parser.add_argument('--max-stacks', type=int,
                        help='stacks a project may have (default 512)')
    args = parser.parse_args()
    least, most = {'guard': (1, 1000), 'kill': (1, 2)}.get(
        args.verb, (2, 2) if args.verb in ON_A_SERVICE
        else (0, 0) if args.verb in ('packages', *WITHOUT_LAB)
        else (1, 1))
    if not least <= len(args.words) <= most:
        parser.error(f'{args.verb}: wrong number of arguments')
    return args


def guard(directories):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        sys.stdin.buffer.read()
    failed = False
    for directory in directories:
        lab = Lab(directory)
        if not lab.settings_file.exists():
            continue                    # its `up` never came that far
        try:
            lab.down()
        except LabError as e:
            failed = True
            say(f'oslab: {e}')
    sys.exit(1 if failed else 0)


def act(args):
    if args.verb == 'guard':
        guard(args.words)
    if args.verb == 'packages':
        install.all_system_packages(install.default_venv())
        return
    if args.verb in WITHOUT_LAB:
        install.fill_venv(install.default_venv(), WITHOUT_LAB[args.verb],
                          install.missing_for_database())
        return
    lab = Lab(args.words[0], port_base=args.port_base, db=args.db,
              token_seconds=args.token_seconds, max_stacks=args.max_stacks)
    name = args.words[1] if len(args.words) > 1 else None
    if args.verb in ('up-min', 'up-full'):
        lab.up(args.verb.removeprefix('up-'))
    elif args.verb == 'status':
        sys.exit(0 if lab.status() else 1)
    else:
        verb = args.verb.removesuffix('-service')
        getattr(lab, 'reconfigure' if verb == 'set' else verb)(
            *([name] if name else []))


def ask_to_end(number, _frame):
    raise KeyboardInterrupt(signal.Signals(number).name)


def main():
    args = arguments()
    # So that a terminated `up` cleans up as an interrupted one does.
    signal.signal(signal.SIGTERM, ask_to_end)
    try:
        act(args)
    except LabError as e:
        sys.exit(f'oslab: {e}')
    except KeyboardInterrupt:
        sys.exit('oslab: interrupted')
    except BrokenPipeError:
        os._exit(1)


if __name__ == '__main__':
    main()
