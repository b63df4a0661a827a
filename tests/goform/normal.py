# SPDX-License-Identifier: MIT
"""normal.py FILE: goroutines in Go's text form, without what differs from run to run.

Each line must be one of Go's, by the rules of its runtime/traceback.go, or this fails. What comes
out are the blocks of goroutines that are in a function wait_*, sorted, with numbers and paths
replaced, without the frames of libraries and without Go's package names: the same for a Go program
and for one of ours that does the same.
"""
import re
import sys

# The states are checked by comparing; here, what may be around them.
HEAD = re.compile(r'goroutine [0-9]+ \[([^,\]]+)((?:, [1-9][0-9]* minutes)?)'
                  r'((?:, locked to thread)?)((?:, [^\]]*)?)\]:')
CALL = re.compile(r'(\S.*)\((|\.\.\.|(?:0x[0-9a-f]+\??|\{.*\}|_)(?:, .*)?)\)')
PLACE = re.compile(r'\t(\S.*):([0-9]+)( \+0x[0-9a-f]+)?')
CREATED = re.compile(r'created by (\S+) in goroutine [0-9]+')
NO_STACK = '\tgoroutine running on other thread; stack unavailable'


def bad(number, line):
    sys.exit(f'line {number} is not as Go writes it: {line!r}')


def blocks(lines):
    """Check each line, and give lists of (kind, text)."""
    block, previous = [], ''
    for number, line in enumerate(lines, 1):
        if line == '':
            if block:
                yield block
            block, previous = [], ''
            continue
        if not block:
            head = HEAD.fullmatch(line)
            if not head:  # what a dying program says before them
                if line.startswith('goroutine '):
                    bad(number, line)
                continue
            block = [('head', f'goroutine N [{head[1]}{head[2]}{head[3]}]:')]
            previous = 'head'
            continue
        if previous in ('call', 'created'):
            place = PLACE.fullmatch(line) or bad(number, line)
            block.append((previous + ' place', '\tFILE:N' + (' +0xN' if place[3] else '')))
            previous = 'created place' if previous == 'created' else 'place'
            continue
        if previous == 'created place':
            bad(number, line)
        created = CREATED.fullmatch(line)
        call = CALL.fullmatch(line)
        if created:
            name = re.sub(r'^main\.', '', created[1])
            block.append(('created', f'created by {name} in goroutine N'))
            previous = 'created'
        elif call:
            block.append(('call', call[1]))
            previous = 'call'
        elif line == NO_STACK and previous == 'head':
            previous = 'place'
        else:
            bad(number, line)
    if block:
        yield block


def main():
    texts = []
    with open(sys.argv[1], encoding='utf-8') as file:
        lines = file.read().split('\n')
    for block in blocks(lines):
        text, ours = '', False
        for kind, line in block:
            if kind == 'call':
                ours = re.match(r'(main\.)?wait_\w+$', line) is not None
                line = re.sub(r'^main\.', '', line) + '(...)'
            if kind not in ('call', 'call place') or ours:
                text += line + '\n'
        if re.search(r'^wait_', text, re.M):
            texts.append(text)
    print('\n'.join(sorted(texts)))


main()
