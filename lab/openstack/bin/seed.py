"""What the lab puts into its services, through their own HTTP APIs."""
import json
import urllib.error
import urllib.request

from common import (ADMIN_PASSWORD, REGION, SERVICE_PASSWORD, SERVICES,
                    USER_PASSWORD, LabError, say)


class Api:
    """One login and plain JSON calls with its token."""

    def __init__(self, lab, user, password, project):
        self.lab = lab
        scope = {'project': {'name': project, 'domain': {'id': 'default'}}}
        body = {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': {
                'name': user, 'domain': {'id': 'default'},
                'password': password}}},
            'scope': scope}}
        self.token = None
        headers, _ = self.call('keystone', 'POST', '/v3/auth/tokens', body)
        self.token = headers['X-Subject-Token']

    def call(self, service, method, path, body=None, headers=None,
             data=None):
        if body is not None:
            data = json.dumps(body).encode()
        request = urllib.request.Request(
            self.lab.url(service, path), data, method=method,
            headers={'Content-Type': 'application/json', **(headers or {})})
        if self.token:
            request.add_header('X-Auth-Token', self.token)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.headers, json.loads(text) if text else None
        except urllib.error.HTTPError as e:
            raise LabError(f'{method} {request.full_url}: {e.code} '
                           f'{e.read().decode(errors="replace")}') from None

    def get(self, service, path):
        return self.call(service, 'GET', path)[1]

    def post(self, service, path, body, **kwargs):
        return self.call(service, 'POST', path, body, **kwargs)[1]

    def ensure(self, service, path, kind, plural, name, **fields):
        """The one KIND of that name under PATH, made where there is none."""
        found = self.get(service, f'{path}?name={name}')[plural]
        found = [x for x in found if x['name'] == name]
        if found:
            return found[0]
        return self.post(service, path,
                         {kind: {'name': name, **fields}})[kind]


def identity(lab, names):
    """Service users, catalog, heat's own domain, two projects and users."""
    api = Api(lab, 'admin', ADMIN_PASSWORD, 'admin')

    def ensure(kind, name, **fields):
        return api.ensure('keystone', f'/v3/{kind}s', kind, f'{kind}s', name,
                          **fields)['id']

    def grant(role, user, project=None, domain=None):
        scope = f'projects/{project}' if project else f'domains/{domain}'
        api.call('keystone', 'PUT', f'/v3/{scope}/users/{user}/roles/{role}')

    roles = {r['name']: r['id']
             for r in api.get('keystone', '/v3/roles')['roles']}
    for name in ('heat_stack_user', 'service'):
        roles.setdefault(name, ensure('role', name))

    service_project = ensure('project', 'service', domain_id='default')
    services = {s['type']: s['id']
                for s in api.get('keystone', '/v3/services')['services']}
    endpoints = {(e['service_id'], e['interface'], e['region_id'])
                 for e in api.get('keystone', '/v3/endpoints')['endpoints']}
    for name in names:
        _, kind, path, _ = SERVICES[name]
        if name != 'keystone':
            user = ensure('user', name, domain_id='default',
                          password=SERVICE_PASSWORD)
            grant(roles['admin'], user, project=service_project)
            grant(roles['service'], user, project=service_project)
        if kind not in services:
            services[kind] = api.post('keystone', '/v3/services', {
                'service': {'type': kind, 'name': name}})['service']['id']
        for interface in ('public', 'internal', 'admin'):
            if (services[kind], interface, REGION) not in endpoints:
                api.post('keystone', '/v3/endpoints', {'endpoint': {
                    'service_id': services[kind], 'interface': interface,
                    'region_id': REGION, 'url': lab.url(name, path)}})

    heat_domain = ensure('domain', 'heat')
    heat_admin = ensure('user', 'heat_domain_admin', domain_id=heat_domain,
                        password=SERVICE_PASSWORD)
    grant(roles['admin'], heat_admin, domain=heat_domain)

    for project_name, user_name in (('demo', 'demo'), ('other', 'other')):
        project = ensure('project', project_name, domain_id='default')
        user = ensure('user', user_name, domain_id='default',
                      password=USER_PASSWORD)
        grant(roles['member'], user, project=project)
    say('identity: projects demo and other, with users of the same names')


def cloud(lab):
    """Image, flavors, network and keypair for project demo."""
    admin = Api(lab, 'admin', ADMIN_PASSWORD, 'admin')
    demo = Api(lab, 'demo', USER_PASSWORD, 'demo')

    image = admin.get('glance', '/v2/images?name=cirros')['images']
    if not image:
        made = admin.post('glance', '/v2/images', {
            'name': 'cirros', 'disk_format': 'raw',
            'container_format': 'bare', 'visibility': 'public'})
        admin.call('glance', 'PUT', f'/v2/images/{made["id"]}/file',
                   data=b'\0' * 1024,
                   headers={'Content-Type': 'application/octet-stream'})

    flavors = {f['name'] for f in
               admin.get('nova', '/v2.1/flavors')['flavors']}
    # Nova refuses m1.nodisk to all but admins: a server that cannot be made.
    for name, vcpus, ram, disk in (('m1.tiny', 1, 64, 1),
                                   ('m1.small', 1, 256, 1),
                                   ('m1.nodisk', 1, 64, 0)):
        if name not in flavors:
            admin.post('nova', '/v2.1/flavors', {'flavor': {
                'name': name, 'vcpus': vcpus, 'ram': ram, 'disk': disk}})

    public = admin.ensure('neutron', '/v2.0/networks', 'network', 'networks',
                          'public', **{'router:external': True,
                                       'provider:network_type': 'flat',
                                       'provider:physical_network': 'public'})
    admin.ensure('neutron', '/v2.0/subnets', 'subnet', 'subnets',
                 'public-subnet', network_id=public['id'], ip_version=4,
                 cidr='203.0.113.0/24', enable_dhcp=False)
    private = demo.ensure('neutron', '/v2.0/networks', 'network', 'networks',
                          'private')
    subnet = demo.ensure('neutron', '/v2.0/subnets', 'subnet', 'subnets',
                         'private-subnet', network_id=private['id'],
                         ip_version=4, cidr='10.20.0.0/16')
    routers = demo.get('neutron', '/v2.0/routers?name=router')['routers']
    if not routers:
        router = demo.post('neutron', '/v2.0/routers', {'router': {
            'name': 'router',
            'external_gateway_info': {'network_id': public['id']}}})
        demo.call('neutron', 'PUT', '/v2.0/routers/'
                  + router['router']['id'] + '/add_router_interface',
                  {'subnet_id': subnet['id']})

    keys = [k['keypair']['name'] for k in
            demo.get('nova', '/v2.1/os-keypairs')['keypairs']]
    if 'demo-key' not in keys:
        demo.post('nova', '/v2.1/os-keypairs', {'keypair': {
            'name': 'demo-key', 'public_key':
            'ssh-ed25519 '
            'AAAAC3NzaC1lZDI1NTE5AAAAIGAelCZGYk1ldraYBn9I0oraPU1og1nu8czaUe9LY9Sp oslab'}})

    # The fake hypervisor has room for more than nova's and neutron's
    # default quotas allow.
    project = demo_project(admin)
    admin.call('nova', 'PUT', f'/v2.1/os-quota-sets/{project}', {
        'quota_set': {'instances': 1000, 'cores': 1000, 'ram': 1000000}})
    admin.call('neutron', 'PUT', f'/v2.0/quotas/{project}', {
        'quota': {'port': 2000}})
    say('cloud: image cirros, flavors m1.tiny, m1.small and m1.nodisk, '
        'networks private and public, keypair demo-key')


def demo_project(admin):
    return admin.get('keystone', '/v3/projects?name=demo')['projects'][0]['id']


def write_client_files(lab):
    auth_url = lab.url('keystone', '/v3')
    accounts = (('oslab', 'demo', 'demo', USER_PASSWORD),
                ('oslab-other', 'other', 'other', USER_PASSWORD),
                ('oslab-admin', 'admin', 'admin', ADMIN_PASSWORD))
    clouds = ''.join(f'''\
  {cloud}:
    region_name: {REGION}
    interface: public
    identity_api_version: 3
    auth:
      auth_url: {auth_url}
      username: {user}
      password: {password}
      project_name: {project}
      user_domain_id: default
      project_domain_id: default
''' for cloud, user, project, password in accounts)
    (lab.dir / 'clouds.yaml').write_text('clouds:\n' + clouds)
    for cloud, user, project, password in accounts:
        suffix = cloud.removeprefix('oslab')
        (lab.dir / f'openrc{suffix}').write_text(f'''\
export OS_AUTH_URL={auth_url}
export OS_IDENTITY_API_VERSION=3
export OS_USERNAME={user}
export OS_PASSWORD={password}
export OS_PROJECT_NAME={project}
export OS_USER_DOMAIN_ID=default
export OS_PROJECT_DOMAIN_ID=default
export OS_REGION_NAME={REGION}
export OS_INTERFACE=public
''')
