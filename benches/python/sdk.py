"""openstacksdk as a contender: a stack a line of stdin, an answer a line of
stdout. The first argument is the template's text.

What is measured is `create_stack` and `wait_for_status` as they come; the
connection is there, and logged in, before the first line.
"""
import json
import sys

import openstack
from openstack import version


def say(**answer):
    print(json.dumps(answer), flush=True)


def main():
    template = sys.argv[1]
    connection = openstack.connect()
    connection.authorize()
    say(version=version.__version__)
    for line in sys.stdin:
        name = json.loads(line)['create']
        try:
            stack = connection.orchestration.create_stack(
                name=name, template=template)
            connection.orchestration.wait_for_status(
                stack, status='CREATE_COMPLETE', failures=['CREATE_FAILED'])
            say(created=name)
        except Exception as e:          # whatever it is, it is told
            say(error=f'{type(e).__name__}: {e}')


main()
