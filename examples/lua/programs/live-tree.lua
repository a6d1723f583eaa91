-- live-tree: a large search tree stays alive while its keys come and go.
-- Usage: live-tree.lua [SCALE]      about 80 MB live at scale 1.

local scale = tonumber((...)) or 1
local size = math.max(16, math.floor(240000 * scale))

local seed = 42
local function random(limit) -- Lehmer's generator: the same on every machine
    seed = seed * 48271 % 2147483647
    return seed % limit + 1
end

local function leaf(key)
    return {key = key, name = "key " .. key, values = {key, key * 2, key * 3}}
end

local function build(low, high) -- balanced: the middle key is the root
    if low > high then
        return nil
    end
    local middle = (low + high) // 2
    local node = leaf(middle * 2)
    node.left = build(low, middle - 1)
    node.right = build(middle + 1, high)
    return node
end

local function find(node, key)
    local depth = 0
    while node and node.key ~= key do
        node = key < node.key and node.left or node.right
        depth = depth + 1
    end
    return node, depth
end

local function replace(node, round) -- new contents, old ones become garbage
    node.name = "key " .. node.key .. " round " .. round
    node.values = {round, node.key, node.values[1], node.values[2]}
end

local root = build(1, size)
local checksum = 0
for round = 1, size // 12 do
    local node, depth = find(root, random(size) * 2)
    replace(node, round)
    checksum = (checksum * 31 + depth + #node.name + node.values[3]) % 1000000007
end
print("live-tree", size, checksum)
