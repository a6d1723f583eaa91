-- strings: building, splitting, replacing; strings of many sizes come and go.
-- Usage: strings.lua [SCALE]

local scale = tonumber((...)) or 1
local rounds = math.max(1, math.floor(800 * scale))

local function words(seed)
    local list = {}
    for i = 1, 500 do
        list[i] = ("word%d-%x"):format(i * seed % 613, i * 2654435761 % 4294967296)
    end
    return list
end

local function append_all(list)
    local text = ""
    for i = 1, 120 do
        text = text .. list[i] .. " "
    end
    return text
end

local function reverse_words(text)
    return (text:gsub("%w+", string.reverse))
end

local function histogram(text)
    local seen, distinct = {}, 0
    for word in text:gmatch("[^ ]+") do
        if not seen[word] then
            distinct = distinct + 1
        end
        seen[word] = (seen[word] or 0) + 1
    end
    return distinct
end

local function mix(checksum, text)
    for i = 1, #text, 37 do
        checksum = (checksum * 33 + text:byte(i)) % 1000000007
    end
    return checksum
end

local checksum = 5381
local recent = {}
for round = 1, rounds do
    local list = words(round)
    local text = table.concat(list, " ")
    local grown = append_all(list)
    recent[round % 16] = reverse_words(text)
    checksum = mix(checksum, recent[round % 16])
    checksum = mix(checksum, grown:upper():rep(3, "/"))
    checksum = (checksum + histogram(text)) % 1000000007
end
print("strings", rounds, checksum)
