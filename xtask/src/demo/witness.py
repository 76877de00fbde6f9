"""Somebody who sees the cloud with eyes of their own.

A user `witness` is made, with a password that nobody else knows and the role
`reader` in project demo: it sees what the project has and can change nothing.
It is asked by a line on stdin and answers with a line of JSON, through
openstacksdk, which has no code in common with what is shown.
"""
import json
import secrets
import sys

import openstack


def make_witness():
    admin = openstack.connect(cloud='oslab-admin')
    identity = admin.identity
    project = identity.find_project('demo', ignore_missing=False)
    role = identity.find_role('reader', ignore_missing=False)
    password = secrets.token_urlsafe(24)
    user = identity.find_user('witness')
    if user:
        identity.update_user(user, password=password)
    else:
        user = identity.create_user(name='witness', password=password,
                                    domain_id='default')
    identity.assign_project_role_to_user(project, user, role)
    return openstack.connect(
        auth_url=admin.config.auth['auth_url'], username='witness',
        password=password, project_name='demo', user_domain_id='default',
        project_domain_id='default', region_name=admin.config.region_name)


def get(service, path):
    answer = service.get(path)
    answer.raise_for_status()
    return answer.json()


def stack(heat, found):
    path = f'/stacks/{found["stack_name"]}/{found["id"]}/resources'
    inside = [r for r in get(heat, path + '?nested_depth=2')['resources']
              if not r['resource_status'].startswith('DELETE')]
    return {'name': found['stack_name'], 'id': found['id'],
            'status': found['stack_status'], 'tags': found.get('tags') or [],
            'slaves': sum(r.get('parent_resource') == 'slave_group'
                          for r in inside)}


def look(eyes):
    heat = eyes.orchestration
    # A list shows what was deleted a moment ago for a moment longer.
    seen = {'stacks': [stack(heat, s) for s in get(heat, '/stacks')['stacks']
                       if s['stack_status'] != 'DELETE_COMPLETE']}
    catalog = eyes.session.auth.get_access(eyes.session).service_catalog
    if catalog.get_endpoints(service_type='compute'):
        servers = get(eyes.compute, '/servers/detail')['servers']
        networks = get(eyes.network, '/networks')['networks']
        ports = get(eyes.network, '/ports')['ports']
        seen['servers'] = sorted(
            f'{s["name"]} ' + ' '.join(
                a['addr'] for n in s['addresses'].values() for a in n)
            for s in servers)
        seen['networks'] = sorted(n['name'] for n in networks)
        seen['ports'] = len(ports)
    return seen


def main():
    eyes = make_witness()
    print(json.dumps({'user': 'witness', 'role': 'reader'}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(look(eyes)), flush=True)


main()
