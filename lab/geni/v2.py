#!/usr/bin/env python3
"""Calls an aggregate by version 2 of its API, with geni-lib as it is published.

usage: PYTHON v2.py URL BOX [--user NAME] [--slice NAME]

PYTHON is the one that `install` prints; URL is https://HOST:PORT; BOX is what
`operation-manager geni init BOX` has made.
"""
import argparse
import datetime
import importlib.metadata
import pathlib
import types

from geni.aggregate import amtypes, apis  # noqa: F401 (they register themselves)
from geni.aggregate.apis import ListResourcesError
from geni.aggregate.core import AM
from geni.rspec import pg

from hosts import PING, Key, visit, wait

PEERS = {'one': '192.168.2.2', 'two': '192.168.2.1'}


class Context:
    """What geni-lib needs to know of a user, and no more."""

    def __init__(self, box, user, slice_name):
        own = box / 'users' / user
        # geni-lib sends the certificate with whatever is above it in the file.
        self.cf = types.SimpleNamespace(
            cert=str(own / 'certificate.pem'), key=str(own / 'key.pem'))
        self.usercred_path = str(own / 'credential.xml')
        self._slice = str(box / 'slices' / slice_name / f'{user}.xml')
        self._users = []

    def getSliceInfo(self, name):
        return types.SimpleNamespace(urn=name, path=self._slice)

    def lets_in(self, urn, public_key):
        self._users = [types.SimpleNamespace(urn=urn, _keys=[str(public_key)])]


def two_nodes_with_a_link(am):
    request = pg.Request()
    link = pg.Link('lan')
    link.addComponentManager(am)
    for name, address in (('one', '192.168.2.1'), ('two', '192.168.2.2')):
        node = pg.Node(name, 'lxc', exclusive=False)
        node.component_manager_id = am
        link.addInterface(node.addInterface('0', pg.IPv4Address(address, '255.255.255.0')))
        node.addService(pg.Execute('sh', PING))
        request.addResource(node)
    request.addResource(link)
    return request


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('url')
    parser.add_argument('box', type=pathlib.Path)
    parser.add_argument('--user', default='alice')
    parser.add_argument('--slice', default='demo')
    given = parser.parse_args()
    context = Context(given.box, given.user, given.slice)
    url = f'{given.url}/xmlrpc/am/2.0'
    am = AM('box', url, 'amapiv2', 'opengeni')
    # The same aggregate as one that geni-lib takes for ProtoGENI's.
    protogeni = AM('box', url, 'amapiv2', 'pg')
    print(f'geni-lib {importlib.metadata.version("geni-lib")}')

    version = am.getversion(context)
    print(f'GetVersion: {version["urn"]}, version {version["geni_api"]}')
    assert version['geni_api'] == 2, version

    offered = protogeni.listresources(context)
    assert offered.error_url == '', offered.error_url
    for node in offered.nodes:
        print(f'ListResources: {node.component_id}: {", ".join(node.sliver_types)}')
    assert list(offered.nodes), 'nothing is offered'

    authority = version['urn'].rsplit('+', 2)[0]
    demo = f'{authority}+slice+{given.slice}'
    with Key() as key:
        context.lets_in(f'{authority}+user+{given.user}', key.public)
        made = am.createsliver(context, demo, two_nodes_with_a_link(version['urn']))
        print(f'CreateSliver: {", ".join(node.client_id for node in made.nodes)} '
              f'until {made.expiresstr}')

        def ready():
            status = am.sliverstatus(context, demo)
            assert status['geni_status'] != 'failed', status
            return status['geni_status'] == 'ready'
        wait('SliverStatus ready', ready)
        print('SliverStatus: ready')
        manifest = protogeni.listresources(context, demo)
        logins = {}
        for node in manifest.nodes:
            login = node.logins[0]
            logins[node.client_id] = (login.username, login.hostname, login.port)
        visit(key, logins, PEERS)

    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5)
    print(f'RenewSliver: {am.renewsliver(context, demo, later)}, '
          f'until {am.sliverstatus(context, demo)["geni_expires"]}')
    am.deletesliver(context, demo)
    print('DeleteSliver: done')
    try:
        am.listresources(context, demo)
        raise SystemExit('what was deleted is listed')
    except ListResourcesError as refused:
        print(f'ListResources: {refused}')


if __name__ == '__main__':
    main()
