"""dicts: they grow, lose half of their keys, nest, and are sorted."""
import sys

SCALE = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
total = 0
for step in range(max(1, int(40 * SCALE))):
    table = {f"key {i * 7 + step}": {"id": i, "list": [i, i + 1], "set": {i, i % 7}}
             for i in range(4000)}
    for number, key in enumerate(list(table)):
        if number % 2 == 0:
            del table[key]
    rows = sorted(table.values(), key=lambda row: -row["id"])
    total += rows[3]["list"][1] + len({row["id"] % 100 for row in rows}) + len(repr(rows))
print("dicts", total)
