"""threads: the GIL goes from one to the other, and compression and hashing run without it."""
import hashlib
import sys
import threading
import zlib

SCALE = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
results = [0] * 4


def work(number):
    kept = []
    for i in range(max(2, int(60 * SCALE))):
        text = "".join(f"{i * j % 1000} " for j in range(600)).encode()
        packed = zlib.compress(text * 4, 1)
        assert zlib.decompress(packed) == text * 4
        kept = kept[-20:] + [packed]
        results[number] += len(packed) + hashlib.sha256(text).digest()[0]


threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("threads", results)
