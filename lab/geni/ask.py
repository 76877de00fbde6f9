#!/usr/bin/env python3
"""Writes requests as geni-lib writes them, as JSON: a LAN that is shaped, and a LAN at
another aggregate beside one here.

usage: PYTHON ask.py AGGREGATE OTHER

PYTHON is the one that `install` prints; both are URNs.
"""
import json
import sys

from geni.rspec import pg


def lan(request, name, manager, nodes, speed=None):
    made = pg.LAN(name)
    for number, node_name in enumerate(nodes, start=1):
        node = pg.Node(node_name, 'lxc', exclusive=False)
        node.component_manager_id = manager
        interface = node.addInterface('0', pg.IPv4Address(f'10.9.0.{number}', '255.255.255.0'))
        made.addInterface(interface)
        request.addResource(node)
    if speed:
        made.bandwidth = speed
    request.addResource(made)


def main():
    ours, other = sys.argv[1:]
    shaped = pg.Request()
    lan(shaped, 'lan0', ours, ['a', 'b'], speed=2000)
    sites = pg.Request()
    lan(sites, 'here', ours, ['c', 'd'])
    lan(sites, 'there', other, ['x', 'y'])
    print(json.dumps([request.toXMLString(ucode=True) for request in (shaped, sites)]))


if __name__ == '__main__':
    main()
