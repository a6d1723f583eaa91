-- tables: records that grow by fields and lists that grow by items, half of them dropped.
local scale = tonumber((...)) or 1
local total = 0
for round = 1, math.max(1, 60 * scale) do
    local rows = {}
    for i = 1, 5000 do
        rows[i] = {id = i, name = "name " .. i + round, list = {i, i + 1, i + 2}}
        rows[i].more = {x = i, y = -i}
    end
    for i = 1, 5000, 2 do rows[i] = nil end
    for _, row in pairs(rows) do total = (total + row.list[2] + #row.name) % 1000003 end
end
print("tables", total)
