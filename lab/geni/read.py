#!/usr/bin/env python3
"""Tells what geni-lib reads of documents, as JSON.

usage: PYTHON read.py FILE...

PYTHON is the one that `install` prints. An advertisement is read as one, everything
else as a manifest: geni-lib has no reader of requests of its own.
"""
import json
import sys

from geni.rspec import pgad, pgmanifest


def advertisement(text):
    ad = pgad.Advertisement(xml=text)
    return {'nodes': [{
        'name': node.name,
        'component': node.component_id,
        'manager': node.component_manager_id,
        'available': node.available,
        'exclusive': node.exclusive,
        'types': sorted(node.sliver_types),
        'images': sorted(image.description for image in node.images.get('lxc', [])),
    } for node in ad.nodes], 'links': len(list(ad.links))}


def manifest(text):
    read = pgmanifest.Manifest(xml=text)
    return {'expires': read.expiresstr, 'nodes': [{
        'name': node.client_id,
        'sliver': node.sliver_id,
        'component': node.component_id,
        'host': node.hostfqdn,
        'logins': [[login.username, login.hostname, login.port] for login in node.logins],
        'interfaces': [[i.client_id, i.address_info and list(i.address_info)]
                       for i in node.interfaces],
    } for node in read.nodes], 'links': [
        [link.client_id, link.vlan, len(link.interface_refs)] for link in read.links]}


def main():
    told = []
    for path in sys.argv[1:]:
        with open(path, encoding='utf-8') as file:
            text = file.read()
        is_ad = 'type="advertisement"' in text
        told.append(advertisement(text) if is_ad else manifest(text))
    print(json.dumps(told))


if __name__ == '__main__':
    main()
