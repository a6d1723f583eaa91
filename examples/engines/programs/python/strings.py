"""strings: pieces are cut, joined, formatted and looked up."""
import sys

SCALE = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
words = "the quick brown fox jumps over the lazy dog and comes back again".split()
counts, length = {}, 0
for i in range(max(2, int(6000 * SCALE))):
    line = " ".join(f"{words[(i * 7 + j * 3) % len(words)]}{i % 100:03}" for j in range(40))
    for part in line.replace("o", "OO").split():
        counts[part] = counts.get(part, 0) + 1
    length += len(line.upper().encode()) + len(line.title())
print("strings", length, len(counts))
