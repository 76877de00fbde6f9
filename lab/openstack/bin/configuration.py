"""The services' configuration files."""
import shutil

import schema
from common import HOST, REGION, SERVICE_PASSWORD

# bcrypt's cost. Keystone's own default, 12, takes 0.3 s of CPU and more for
# each login with a password; creating a stack makes several.
PASSWORD_HASH_ROUNDS = 4

FILES = {
    'keystone': 'keystone.conf',
    'heat': 'heat.conf',
    'placement': 'placement.conf',
    'glance': 'glance-api.conf',
    'neutron': 'neutron.conf',
    'nova': 'nova.conf',
}


class Configuration:
    def __init__(self, lab):
        self.lab = lab
        self.changed = set()            # services whose file is another now

    def write_all(self, names):
        for name in names:
            getattr(self, name)()

    def written(self):
        """The services that have a file."""
        return [name for name, file in FILES.items()
                if (self.lab.etc / file).exists()]

    def write_ini(self, name, sections):
        lines = []
        for section, options in sections.items():
            lines.append(f'[{section}]')
            lines += [f'{k} = {v}' for k, v in options.items()]
            lines.append('')
        text = '\n'.join(lines)
        file = self.lab.etc / FILES[name]
        if not file.exists() or file.read_text() != text:
            self.changed.add(name)
            file.write_text(text)

    def service_user(self, name):
        """The keystoneauth options by which service NAME logs in."""
        return {'auth_type': 'password', 'auth_url': self.lab.url('keystone'),
                'username': name, 'password': SERVICE_PASSWORD,
                'project_name': 'service', 'user_domain_id': 'default',
                'project_domain_id': 'default', 'region_name': REGION}

    def authtoken(self, name):
        return {'www_authenticate_uri': self.lab.url('keystone', '/v3'),
                'interface': 'public', 'service_token_roles': 'service',
                'service_token_roles_required': 'true',
                **self.service_user(name)}

    def database(self, name):
        return {'connection': self.lab.connection(name),
                'sqlite_synchronous': 'false', 'max_overflow': 64}

    def lock_path(self):
        path = self.lab.run / 'locks'
        path.mkdir(exist_ok=True)
        return {'lock_path': path}

    def keystone(self):
        for keys in ('fernet-keys', 'credential-keys'):
            schema.keys(self.lab.etc / keys)
        self.write_ini('keystone', {
            'DEFAULT': {'public_endpoint': self.lab.url('keystone')},
            'database': self.database('keystone'),
            'token': {'provider': 'fernet',
                      'expiration': self.lab.settings['token_seconds']},
            'fernet_tokens': {'key_repository': self.lab.etc / 'fernet-keys'},
            # Not used, but Keystone wants to see it: in /etc by default.
            'fernet_receipts': {'key_repository': self.lab.etc / 'fernet-keys'},
            'credential': {'key_repository': self.lab.etc / 'credential-keys'},
            'identity': {'password_hash_rounds': PASSWORD_HASH_ROUNDS},
            'cache': {'enabled': 'true', 'backend': 'dogpile.cache.memory'},
        })

    def heat(self):
        share = self.lab.venv / 'etc/heat'
        self.write_ini('heat', {
            'DEFAULT': {
                'transport_url': 'fake://', 'host': 'oslab',
                'auth_encryption_key': 'oslab-not-a-secret-32-characters',
                'heat_metadata_server_url': self.lab.url('heat'),
                'heat_waitcondition_server_url':
                    self.lab.url('heat', '/v1/waitcondition'),
                'stack_user_domain_name': 'heat',
                'stack_domain_admin': 'heat_domain_admin',
                'stack_domain_admin_password': SERVICE_PASSWORD,
                'region_name_for_services': REGION,
                'enable_stack_abandon': 'true', 'enable_stack_adopt': 'true',
                'environment_dir': share / 'environment.d',
                'template_dir': share / 'templates',
                'plugin_dirs': '',
                'executor_thread_pool_size': 32,
                'max_stacks_per_tenant': self.lab.settings['max_stacks'],
                # Finished deletes of servers are noticed sooner.
                'client_retry_limit': 2,
            },
            # An output over 500 hosts is more than the default of 200 allows.
            'yaql': {'limit_iterators': 2000},
            'paste_deploy': {'api_paste_config': share / 'api-paste.ini'},
            'database': self.database('heat'),
            'keystone_authtoken': self.authtoken('heat'),
            'trustee': self.service_user('heat'),
            'clients_keystone': {'auth_uri': self.lab.url('keystone')},
            'clients': {'endpoint_type': 'publicURL'},
            'oslo_concurrency': self.lock_path(),
        })

    def placement(self):
        self.write_ini('placement', {
            'placement_database': self.database('placement'),
            'api': {'auth_strategy': 'keystone'},
            'keystone_authtoken': self.authtoken('placement'),
        })

    def glance(self):
        images = self.lab.dir / 'images'
        images.mkdir(exist_ok=True)
        self.write_ini('glance', {
            'DEFAULT': {'enabled_backends': 'files:file'},
            'database': self.database('glance'),
            'glance_store': {'default_backend': 'files'},
            'files': {'filesystem_store_datadir': images},
            'os_glance_staging_store': {
                'filesystem_store_datadir': images / 'staging'},
            'os_glance_tasks_store': {
                'filesystem_store_datadir': images / 'tasks'},
            'keystone_authtoken': self.authtoken('glance'),
            'paste_deploy': {
                'flavor': 'keystone',
                'config_file':
                    self.lab.venv / 'etc/glance/glance-api-paste.ini'},
            'oslo_concurrency': self.lock_path(),
        })
        (images / 'staging').mkdir(exist_ok=True)
        (images / 'tasks').mkdir(exist_ok=True)

    def neutron(self):
        self.write_ini('neutron', {
            'DEFAULT': {
                'transport_url': 'fake://', 'host': 'oslab',
                'core_plugin': 'ml2', 'service_plugins': 'router',
                'auth_strategy': 'keystone',
                'api_paste_config':
                    self.lab.venv / 'etc/neutron/api-paste.ini',
                'state_path': self.lab.run / 'neutron',
                'dhcp_agent_notification': 'false',
                'notify_nova_on_port_status_changes': 'true',
                'notify_nova_on_port_data_changes': 'true',
                'rpc_workers': 0,
            },
            'database': self.database('neutron'),
            'keystone_authtoken': self.authtoken('neutron'),
            'nova': self.service_user('nova'),
            'placement': self.service_user('placement'),
            'ml2': {'type_drivers': 'flat,local,vxlan',
                    'tenant_network_types': 'local',
                    'mechanism_drivers': 'oslab',
                    'extension_drivers': 'port_security'},
            'ml2_type_flat': {'flat_networks': '*'},
            'ml2_type_vxlan': {'vni_ranges': '1:1000'},
            'oslo_concurrency': self.lock_path(),
        })

    def nova(self):
        shutil.copy(self.lab.venv / 'etc/nova/api-paste.ini',
                    self.lab.etc / 'nova-api-paste.ini')
        self.write_ini('nova', {
            'DEFAULT': {
                'transport_url': 'fake://', 'host': 'oslab',
                'my_ip': HOST, 'state_path': self.lab.run / 'nova',
                # The fake driver that keeps its node's id over a restart.
                'compute_driver': 'fake.FakeDriverWithoutFakeNodes',
                'vif_plugging_is_fatal': 'false',
                'vif_plugging_timeout': 0,
                'instances_path': self.lab.run / 'nova/instances',
            },
            'api': {'auth_strategy': 'keystone'},
            'api_database': self.database('nova_api'),
            'database': self.database('nova'),
            'keystone_authtoken': self.authtoken('nova'),
            'service_user': {'send_service_user_token': 'true',
                             **self.service_user('nova')},
            'placement': self.service_user('placement'),
            'neutron': self.service_user('neutron'),
            'glance': {'endpoint_override': self.lab.url('glance'),
                       **self.service_user('glance')},
            'cinder': {'catalog_info': 'volumev3::publicURL'},
            'scheduler': {'discover_hosts_in_cells_interval': 30},
            'filter_scheduler': {'track_instance_changes': 'false'},
            'vnc': {'enabled': 'false'},
            'oslo_concurrency': self.lock_path(),
        })
        (self.lab.run / 'nova/instances').mkdir(parents=True, exist_ok=True)
