#!/usr/bin/env python3
"""Calls an aggregate by version 3 of its API, with nothing but Python's own library.

usage: v3.py URL BOX [--user NAME] [--slice NAME]

URL is https://HOST:PORT; BOX is what `operation-manager geni init BOX` has made.
"""
import argparse
import datetime
import pathlib
import ssl
import sys
import xml.etree.ElementTree as ET
import xmlrpc.client
from xml.sax.saxutils import escape

from hosts import PING, Key, visit, wait

RSPEC = '{http://www.geni.net/resources/rspec/3}'
VERSION = {'geni_rspec_version': {'type': 'GENI', 'version': '3'}}
PEERS = {'left': '192.168.3.2', 'right': '192.168.3.1'}
REQUEST = """
<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">
  <node client_id="left" component_manager_id="{am}" exclusive="false">
    <sliver_type name="lxc"/><services><execute shell="sh" command="{ping}"/></services>
    <interface client_id="left:0"><ip address="192.168.3.1" netmask="255.255.255.0" type="ipv4"/></interface>
  </node>
  <node client_id="right" component_manager_id="{am}" exclusive="false">
    <sliver_type name="lxc"/><services><execute shell="sh" command="{ping}"/></services>
    <interface client_id="right:0"><ip address="192.168.3.2" netmask="255.255.255.0" type="ipv4"/></interface>
  </node>
  <link client_id="wire">
    <component_manager name="{am}"/>
    <interface_ref client_id="left:0"/><interface_ref client_id="right:0"/>
  </link>
</rspec>
"""


class Refused(Exception):
    """The aggregate answered with another code than 0."""


class Aggregate:
    """An aggregate, called as one user of the box."""

    def __init__(self, url, box, user):
        tls = ssl.create_default_context(cafile=box / 'roots/root.pem')
        own = box / 'users' / user
        tls.load_cert_chain(own / 'certificate.pem', own / 'key.pem')
        self.server = xmlrpc.client.ServerProxy(
            f'{url}/xmlrpc/am/3.0', context=tls)

    def call(self, method, *arguments):
        """The value of an answer of code 0."""
        answer = getattr(self.server, method)(*arguments)
        code, said = answer['code']['geni_code'], answer['output']
        if method != 'Status' or code != 0:
            print(f'{method}: code {code}{": " if said else ""}{said}')
        if code != 0:
            raise Refused(method)
        return answer['value']

    def is_refused(self, method, *arguments):
        try:
            self.call(method, *arguments)
        except Refused:
            return
        raise SystemExit(f'{method} should be refused, and is not')


def credential(file):
    return {'geni_type': 'geni_sfa', 'geni_version': '3',
            'geni_value': file.read_text()}


def get_version(aggregate):
    value = aggregate.call('GetVersion')
    print(f'  {value["urn"]}, versions {", ".join(sorted(value["geni_api_versions"]))}, '
          f'allocates {value["geni_allocate"]}')
    assert value['geni_api'] == 3, value
    assert value['geni_single_allocation'] == 0, value
    return value['urn']


def list_resources(aggregate, credentials):
    root = ET.fromstring(aggregate.call('ListResources', credentials, VERSION))
    nodes = root.findall(f'{RSPEC}node')
    for node in nodes:
        types = ', '.join(t.get('name') for t in node.findall(f'{RSPEC}sliver_type'))
        print(f'  {node.get("component_id")}: {types}')
    assert nodes, 'nothing is offered'


def logins(rspec):
    """How each node of a manifest is reached: user, host, port."""
    found = {}
    for node in ET.fromstring(rspec).findall(f'{RSPEC}node'):
        login = node.find(f'{RSPEC}services/{RSPEC}login')
        found[node.get('client_id')] = tuple(
            login.get(what) for what in ('username', 'hostname', 'port'))
    return found


class Slice:
    """What is done with one slice."""

    def __init__(self, aggregate, urn, credentials):
        self.aggregate, self.urn, self.credentials = aggregate, urn, credentials

    def call(self, method, *more):
        return self.aggregate.call(method, [self.urn], self.credentials, *more)

    def allocate(self, rspec):
        value = self.aggregate.call('Allocate', self.urn, self.credentials, rspec, {})
        for sliver in value['geni_slivers']:
            print(f'  {sliver["geni_sliver_urn"]}: {sliver["geni_allocation_status"]} '
                  f'until {sliver["geni_expires"]}')

    def becomes(self, state):
        """Waits until all slivers are in this operational state."""
        def all_are():
            slivers = self.call('Status', {})['geni_slivers']
            for sliver in slivers:
                assert not sliver['geni_error'], sliver
            return all(s['geni_operational_status'] == state for s in slivers)
        wait(state, all_are)
        print(f'Status: {state}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('url')
    parser.add_argument('box', type=pathlib.Path)
    parser.add_argument('--user', default='alice')
    parser.add_argument('--slice', default='demo')
    given = parser.parse_args()
    aggregate = Aggregate(given.url, given.box, given.user)
    own = credential(given.box / 'users' / given.user / 'credential.xml')
    am = get_version(aggregate)
    aggregate.is_refused('ListResources', [], VERSION)
    list_resources(aggregate, [own])

    authority = am.rsplit('+', 2)[0]
    demo = Slice(aggregate, f'{authority}+slice+{given.slice}',
                 [credential(given.box / 'slices' / given.slice / f'{given.user}.xml')])
    with Key() as key:
        user = {'urn': f'{authority}+user+{given.user}', 'keys': [key.public.read_text()]}
        demo.allocate(REQUEST.format(am=am, ping=escape(PING)).strip())
        demo.call('Provision', {**VERSION, 'geni_users': [user]})
        demo.becomes('geni_notready')
        demo.call('PerformOperationalAction', 'geni_start', {})
        demo.becomes('geni_ready')
        visit(key, logins(demo.call('Describe', VERSION)['geni_rspec']), PEERS)
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5)
    for sliver in demo.call('Renew', later.strftime('%Y-%m-%dT%H:%M:%SZ'), {}):
        print(f'  {sliver["geni_sliver_urn"]}: until {sliver["geni_expires"]}')
    for sliver in demo.call('Delete', {}):
        print(f'  {sliver["geni_sliver_urn"]}: {sliver["geni_allocation_status"]}')
    aggregate.is_refused('Status', [demo.urn], demo.credentials, {})


if __name__ == '__main__':
    try:
        main()
    except Refused as refused:
        sys.exit(f'{refused} was refused')
