# SPDX-License-Identifier: MIT
# heap.py < dump.json - who holds what, a line each: "NAME live/objects total/objects"; ended
# goroutines by who started them, all threads together.
import json
import sys

dump = json.load(sys.stdin)


def figures(heap):
    return "%d/%d %d/%d" % (
        heap["heap_live"], heap["heap_objects"], heap["heap_total"], heap["heap_total_objects"])


for g in dump["goroutines"]:
    print(g["name"] or "g%d" % g["id"], figures(g["memory"]))
for site in dump["heap"]["ended"]:
    spawn = site["spawn"]
    print("ended:" + ((spawn and spawn["function"]) or "-"), figures(site))
print("outside", figures(dump["heap"]["outside"]))
