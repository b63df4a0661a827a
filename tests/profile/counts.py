# SPDX-License-Identifier: MIT
"""counts.py FILE FUNCTION AT_LEAST - the first profile of a speedscope file counts that many."""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
frames = document["shared"]["frames"]
profile = document["profiles"][0]
count = sum(weight for stack, weight in zip(profile["samples"], profile["weights"])
            if any(frames[i]["name"] == sys.argv[2] for i in stack))
print(count)
sys.exit(count < int(sys.argv[3]))
