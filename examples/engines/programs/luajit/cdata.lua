-- cdata: C structures that the collector owns, of several sizes, in a ring.
local scale = tonumber((...)) or 1
local ffi = require "ffi"
ffi.cdef "typedef struct { double x, y; int kind; } point;"
local ring, sum = {}, 0
for i = 1, 800000 * scale do
    local p = ffi.new("point", i, i * 2, i % 5)
    local bytes = ffi.new("uint8_t[?]", 8 + i % 300)
    bytes[i % 8] = i % 256
    ring[i % 1000] = {p, bytes}
    local old = ring[(i * 7) % 1000]
    sum = (sum + (old and old[1].y or 0) + bytes[i % 8]) % 1000003
end
print("cdata", sum)
