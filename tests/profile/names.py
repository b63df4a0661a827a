# SPDX-License-Identifier: MIT
"""names.py patch FROM TO | names.py KIND FILE - make the strange program, and look at what is
written of it: each format says what its readers refuse."""
import gzip
import json
import re
import sys
import xml.dom.minidom

# Control characters, all kinds of quotes and brackets, what is no UTF-8, what clears a terminal.
STRANGE = b";\"'`<&>]]>\\%s{}\n\r\t\x01\x1b[2J\x7f\x9b\xff\xc2\x9b\xed\xa0\x80\xc0\xaf,=12 3"
BYTES = {
    b'strange_function_name_of_forty_bytes_in': STRANGE,
    b'strange_file_name_of_forty_bytes_in_all.c': STRANGE[:-2] + b'd.c',
    b'strange_spawner_a': b'evil ;"\n\xe9spawner',
    b'strange_spawner_b': b'evil ;"\n\xe8spawner',
}


def patch(source, target):
    with open(source, 'rb') as file:
        data = file.read()
    for name, strange in BYTES.items():
        strange = strange.ljust(len(name), b'x')[:len(name)]
        assert name in data, name
        data = data.replace(name, strange)
    with open(target, 'wb') as file:
        file.write(data)


def lines_of(text, pattern):
    for line in text.rstrip('\n').split('\n'):
        assert re.fullmatch(pattern, line), repr(line)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def check_pprof(data):
    """Each string of the table (field 6) is UTF-8."""
    data, at, strings = gzip.decompress(data), 0, []
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            if key >> 3 == 6:
                strings.append(data[at:at + value].decode())
            at += value
    assert any('evil' in s for s in strings), strings


def check(kind, path):
    with open(path, 'rb') as file:
        data = file.read()
    if kind == 'pprof':
        check_pprof(data)
        return
    text = data.decode()  # all of it is UTF-8
    allowed = {'\n', '\t'} if kind in ('go', 'xml', 'dot') else {'\n'}
    # JSON has escapes for those below a blank, and no rule for the others.
    assert kind == 'json' or not any(
        (c < ' ' or '\x7f' <= c < '\xa0') and c not in allowed for c in text), 'control characters'
    if kind == 'json':
        json.loads(text)
    elif kind == 'xml':
        xml.dom.minidom.parseString(data)
    elif kind == 'folded':
        lines_of(text, r'[^;]+(;[^;]+)* [0-9]+')
        assert len({line.rsplit(' ', 1)[0] for line in text.splitlines()}) == len(text.splitlines())
    elif kind == 'metrics':
        lines_of(text, r'# .*|[a-z_]+(\{[a-z_]+="([^"\\]|\\["\\n])*"(,[a-z_]+="([^"\\]|\\["\\n])*")*\})?'
                 r' [0-9.e+-]+')
        samples = [l.rsplit(' ', 1)[0] for l in text.splitlines() if l[0] != '#']
        assert len(set(samples)) == len(samples), 'the same sample twice'
    elif kind == 'github':
        lines_of(text, r'::(error|warning|notice) [a-zA-Z]+=[^,:]*(,[a-zA-Z]+=[^,:]*)*::.*')
    elif kind == 'go':
        lines_of(text, r'goroutine [0-9]+ \[[^\]]*\]:|\S.*\(\.\.\.\)|\t.+:[0-9]+( \+0x[0-9a-f]+)?|'
                 r'created by .+|')
    elif kind == 'dot':
        rest = re.sub(r'"([^"\\]|\\.)*"', 'S', text)
        assert '"' not in rest and rest.count('{') == rest.count('}'), rest


if sys.argv[1] == 'patch':
    patch(*sys.argv[2:])
else:
    check(*sys.argv[1:])
