-- tables: arrays that grow, maps that fill and empty, records that are sorted.
-- Usage: tables.lua [SCALE]

local scale = tonumber((...)) or 1
local rounds = math.max(1, math.floor(230 * scale))

local function random(seed) -- Lehmer's generator: the same on every machine
    return function(limit)
        seed = seed * 48271 % 2147483647
        return seed % limit + 1
    end
end

local function grow_arrays(next_random)
    local sum = 0
    for _ = 1, 300 do
        local array = {}
        for i = 1, next_random(60) do
            array[i] = i * 3
        end
        sum = sum + #array + (array[#array] or 0)
    end
    return sum
end

local function fill_and_empty(next_random)
    local map, left = {}, 0
    for i = 1, 4000 do
        map[next_random(9000)] = i
    end
    for key, value in pairs(map) do
        if value % 3 ~= 0 then
            map[key] = nil
        else
            left = left + key
        end
    end
    return left
end

local function sort_records(next_random)
    local records, sum = {}, 0
    for i = 1, 1500 do
        records[i] = {key = next_random(100000), order = i}
    end
    table.sort(records, function(a, b)
        if a.key ~= b.key then
            return a.key < b.key
        end
        return a.order < b.order
    end)
    for i = 1, #records, 50 do
        sum = sum + records[i].key * i
    end
    return sum
end

local function matrix(size)
    local rows = {}
    for i = 1, size do
        local row = {}
        for j = 1, size do
            row[j] = i ~ j
        end
        rows[i] = row
    end
    return rows[size][1] + rows[1][size]
end

local next_random = random(20240229)
local checksum = 0
for round = 1, rounds do
    local sum = grow_arrays(next_random) + fill_and_empty(next_random)
    sum = sum + sort_records(next_random) + matrix(40 + round % 20)
    checksum = (checksum * 31 + sum) % 1000000007
end
print("tables", rounds, checksum)
