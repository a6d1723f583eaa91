-- trees: builds and drops binary trees beside one that stays.
local scale = tonumber((...)) or 1
local function tree(depth)
    return depth == 0 and {} or {tree(depth - 1), tree(depth - 1)}
end
local function count(node)
    return node[1] and 1 + count(node[1]) + count(node[2]) or 1
end
local stays, sum = tree(14), 0
for i = 1, math.max(1, 3000 * scale) do
    sum = sum + count(tree(4 + i % 8))
end
print("trees", sum, count(stays))
