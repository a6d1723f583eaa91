-- closures: functions that hold functions, in a ring that forgets the oldest.
local scale = tonumber((...)) or 1
local ring, sum = {}, 0
local function adder(n, before)
    return function(x) return x + n + (before and 1 or 0) end
end
for i = 1, 3000000 * scale do
    local f = adder(i % 7, ring[(i + 1) % 500])
    ring[i % 500] = f
    sum = (sum + f(i)) % 1000003
end
print("closures", sum)
