-- binary-trees: many short-lived trees beside one that stays.
-- Usage: binary-trees.lua [SCALE]      every node is one small table.

local scale = tonumber((...)) or 1
local depth = 12
local rounds = math.max(1, math.floor(380 * scale))

local function grow(levels)
    if levels == 0 then
        return {}
    end
    return {left = grow(levels - 1), right = grow(levels - 1)}
end

local function count(tree)
    if not tree.left then
        return 1
    end
    return 1 + count(tree.left) + count(tree.right)
end

local lasting = grow(depth + 1)
local checksum = 0
for round = 1, rounds do
    local levels = 4 + round % (depth - 3)
    for _ = 1, 1 << (depth - levels) do
        checksum = (checksum * 31 + count(grow(levels))) % 1000000007
    end
end
checksum = (checksum * 31 + count(lasting)) % 1000000007
print("binary-trees", rounds, checksum)
