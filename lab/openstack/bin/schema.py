"""The services' own tools that make their tables.

What is in `tables_*` is the same for every lab and is kept as a copy; what
knows a port or a key of one lab is in `bootstrap`.
"""
import base64
import os

from common import ADMIN_PASSWORD, REGION, command


def tool(lab, name, *args):
    command([str(lab.venv / 'bin' / name), *args], lab.log / f'{name}.log')


def tables_keystone(lab):
    tool(lab, 'keystone-manage', '--config-file',
         str(lab.etc / 'keystone.conf'), 'db_sync')


def tables_heat(lab):
    tool(lab, 'heat-manage', '--config-file', str(lab.etc / 'heat.conf'),
         'db_sync')


def tables_placement(lab):
    tool(lab, 'placement-manage', '--config-file',
         str(lab.etc / 'placement.conf'), 'db', 'sync')


def tables_glance(lab):
    tool(lab, 'glance-manage', '--config-file',
         str(lab.etc / 'glance-api.conf'), 'db', 'sync')


def tables_neutron(lab):
    tool(lab, 'neutron-db-manage', '--config-file',
         str(lab.etc / 'neutron.conf'), 'upgrade', 'heads')


def cell_url(lab, database):
    """Where nova finds a cell's database.

    Nova fills the braces from its own configuration, so that the record
    holds no port of this lab.
    """
    if lab.settings['db'] == 'sqlite':
        return lab.connection(database)
    return ('{scheme}://{username}:{password}@{hostname}:{port}/'
            + database + '?{query}')


def tables_nova(lab):
    conf = ['--config-file', str(lab.etc / 'nova.conf')]
    tool(lab, 'nova-manage', *conf, 'api_db', 'sync')
    tool(lab, 'nova-manage', *conf, 'cell_v2', 'map_cell0',
         '--database_connection', cell_url(lab, 'nova_cell0'))
    tool(lab, 'nova-manage', *conf, 'db', 'sync')
    tool(lab, 'nova-manage', *conf, 'cell_v2', 'create_cell',
         '--name', 'cell1', '--transport-url', 'fake://',
         '--database_connection', cell_url(lab, 'nova'))


def keys(folder):
    """What `fernet_setup` and `credential_setup` write, without their 2 s."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in ('0', '1'):
        file = folder / number
        if not file.exists():
            file.touch(mode=0o600)
            file.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


def bootstrap(lab):
    """Keystone's first user and its own place in the catalog."""
    url = lab.url('keystone', '/v3')
    tool(lab, 'keystone-manage', '--config-file',
         str(lab.etc / 'keystone.conf'), 'bootstrap',
         '--bootstrap-password', ADMIN_PASSWORD,
         '--bootstrap-region-id', REGION,
         '--bootstrap-public-url', url,
         '--bootstrap-internal-url', url,
         '--bootstrap-admin-url', url)
