"""objects: instances, closures and exceptions in a ring that forgets the oldest."""
import sys

SCALE = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y
        self.move = lambda by: Point(self.x + by, self.y)


ring, total = [None] * 1000, 0
for i in range(int(200000 * SCALE)):
    point = Point(i % 11, i * 1000003)
    if ring[(i + 1) % 1000] and i % 3 == 0:
        point = point.move(ring[(i + 1) % 1000].x)
    try:
        total = (total + point.x // (i % 17)) % 1000003
    except ZeroDivisionError as error:
        total += len(str(error))
    ring[i % 1000] = point
print("objects", total)
