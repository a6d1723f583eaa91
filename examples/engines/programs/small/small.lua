-- small: a bit of everything, for runs whose allocations fail in turn.
local rows = {}
for i = 1, 40 do
    rows[#rows + 1] = {id = i, name = ("name %d"):format(i), f = function() return i end}
end
local ok, message = pcall(function() error({code = 7}) end)
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(("x"):rep(i * 100)) end end)
local parts = {}
for _, row in ipairs(rows) do parts[#parts + 1] = row.name:gsub("n", "N") .. row.f() end
table.sort(rows, function(a, b) return a.name < b.name end)
print("small", #table.concat(parts, ","), rows[1].id, ok, message.code, #co() + #co())
print(loadstring and "5.1" or #tostring(load("return {1, 2, 3}")()) > 0)
