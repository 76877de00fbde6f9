"""geni-lib as a contender: reads one advertisement, some times; prints the
milliseconds of the processor that each took.
"""
import json
import sys
import time

from geni.rspec.pgad import Advertisement


def main():
    text = open(sys.argv[1], encoding='utf-8').read()
    taken = []
    # Large ones take long enough to be measured once.
    for _ in range(3 if len(text) > 1 << 20 else 10):
        begun = time.process_time()
        ad = Advertisement(xml=text)
        nodes = sum(1 for _ in ad.nodes)
        taken.append((time.process_time() - begun) * 1e3)
        assert nodes > 0
    print(json.dumps(taken))


main()
