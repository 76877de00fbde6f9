#!/usr/bin/env python3
"""Calls an aggregate by version 2 of its API, with geni-lib as it is published.

usage: PYTHON v2.py URL BOX [--user NAME] [--slice NAME]

PYTHON is the one that `install` prints; URL is https://HOST:PORT; BOX is what
`operation-manager geni init BOX` has made.
"""
import argparse
import importlib.metadata
import pathlib
import types

from geni.aggregate import amtypes, apis  # noqa: F401 (they register themselves)
from geni.aggregate.core import AM


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('url')
    parser.add_argument('box', type=pathlib.Path)
    parser.add_argument('--user', default='alice')
    parser.add_argument('--slice', default='demo')
    given = parser.parse_args()
    context = Context(given.box, given.user, given.slice)
    am = AM('box', f'{given.url}/xmlrpc/am/2.0', 'amapiv2', 'opengeni')
    print(f'geni-lib {importlib.metadata.version("geni-lib")}')

    version = am.getversion(context)
    print(f'GetVersion: {version["urn"]}, version {version["geni_api"]}')
    assert version['geni_api'] == 2, version

    offered = am.listresources(context)
    for node in offered.nodes:
        print(f'ListResources: {node.component_id}: {", ".join(node.sliver_types)}')
    assert list(offered.nodes), 'nothing is offered'


if __name__ == '__main__':
    main()
