#!/usr/bin/env python3
"""Calls an aggregate by version 3 of its API, with nothing but Python's own library.

usage: v3.py URL BOX [--user NAME] [--slice NAME]

URL is https://HOST:PORT; BOX is what `operation-manager geni init BOX` has made.
"""
import argparse
import pathlib
import ssl
import sys
import xml.etree.ElementTree as ET
import xmlrpc.client

RSPEC = '{http://www.geni.net/resources/rspec/3}'
VERSION = {'geni_rspec_version': {'type': 'GENI', 'version': '3'}}


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
        answer = getattr(self.server, method)(*arguments)
        code = answer['code']['geni_code']
        print(f'{method}: code {code}{": " * bool(answer["output"])}{answer["output"]}')
        if code != 0:
            raise Refused(method)
        return answer['value']


def credential(file):
    return {'geni_type': 'geni_sfa', 'geni_version': '3',
            'geni_value': file.read_text()}


def get_version(aggregate):
    value = aggregate.call('GetVersion')
    print(f'  {value["urn"]}, versions {", ".join(sorted(value["geni_api_versions"]))}, '
          f'allocates {value["geni_allocate"]}')
    assert value['geni_api'] == 3, value
    assert value['geni_single_allocation'] == 0, value


def list_resources(aggregate, credentials):
    root = ET.fromstring(aggregate.call('ListResources', credentials, VERSION))
    nodes = root.findall(f'{RSPEC}node')
    for node in nodes:
        types = ', '.join(t.get('name') for t in node.findall(f'{RSPEC}sliver_type'))
        print(f'  {node.get("component_id")}: {types}')
    assert nodes, 'nothing is offered'


def is_refused_without_credential(aggregate):
    try:
        aggregate.call('ListResources', [], VERSION)
    except Refused:
        return
    raise SystemExit('it lists to whoever asks')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('url')
    parser.add_argument('box', type=pathlib.Path)
    parser.add_argument('--user', default='alice')
    parser.add_argument('--slice', default='demo')
    given = parser.parse_args()
    aggregate = Aggregate(given.url, given.box, given.user)
    own = credential(given.box / 'users' / given.user / 'credential.xml')
    get_version(aggregate)
    is_refused_without_credential(aggregate)
    list_resources(aggregate, [own])


if __name__ == '__main__':
    try:
        main()
    except Refused as refused:
        sys.exit(f'{refused} was refused')
