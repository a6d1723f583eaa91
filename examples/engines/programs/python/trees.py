"""trees: builds and drops binary trees beside one that stays."""
import sys

SCALE = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0


def tree(depth):
    return (None, None) if depth == 0 else (tree(depth - 1), tree(depth - 1))


def count(node):
    return 1 if node[0] is None else 1 + count(node[0]) + count(node[1])


stays, total = tree(14), 0
for i in range(max(1, int(400 * SCALE))):
    total += count(tree(4 + i % 8))
print("trees", total, count(stays))
