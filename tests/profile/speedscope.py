# SPDX-License-Identifier: MIT
"""speedscope.py SCHEMA FILE - the file is what speedscope's schema says, and adds up."""
import json
import sys

import jsonschema

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
with open(sys.argv[2], encoding="utf-8") as file:
    document = json.load(file)
jsonschema.validate(document, schema)
frames = document["shared"]["frames"]
assert document["profiles"], "no profiles"
for profile in document["profiles"]:
    assert len(profile["samples"]) == len(profile["weights"]) > 0
    assert sum(profile["weights"]) == profile["endValue"]
    assert all(0 <= i < len(frames) for stack in profile["samples"] for i in stack)
shown = document["profiles"][document["activeProfileIndex"]]
assert shown["unit"] in ("nanoseconds", "bytes"), shown["unit"]
