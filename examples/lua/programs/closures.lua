-- closures: counters, pipelines and coroutines; closures and upvalues churn.
-- Usage: closures.lua [SCALE]

local scale = tonumber((...)) or 1
local rounds = math.max(1, math.floor(56000 * scale))

local function counter(start, step)
    local value = start
    return function()
        value = (value + step) % 65521
        return value
    end, function(other)
        value = value ~ other
    end
end

local function compose(functions)
    local all = function(x) return x end
    for _, f in ipairs(functions) do
        local before = all
        all = function(x) return f(before(x)) end
    end
    return all
end

local function pipeline(seed)
    local stages = {}
    for i = 1, 6 do
        local offset = seed * i
        stages[i] = function(x) return (x * 33 + offset) % 1000003 end
    end
    return compose(stages)
end

local function squares(limit)
    return coroutine.wrap(function()
        for i = 1, limit do
            coroutine.yield(i * i)
        end
    end)
end

local checksum = 0
local kept = {}
for round = 1, rounds do
    local next_value, disturb = counter(round, 7)
    disturb(next_value())
    kept[round % 512] = pipeline(next_value())
    local chosen = kept[(round * 7) % 512] or kept[round % 512]
    checksum = (checksum + chosen(round)) % 1000000007
    if round % 16 == 0 then
        for square in squares(4) do
            checksum = (checksum * 3 + square) % 1000000007
        end
    end
end
print("closures", rounds, checksum)
