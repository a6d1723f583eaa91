-- json: writes a generated document, parses it and writes it again.
-- Usage: json.lua [SCALE]      the two texts must be equal.

local scale = tonumber((...)) or 1
local rounds = math.max(1, math.floor(18 * scale))

local escapes = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t"}
local unescapes = {['"'] = '"', ["\\"] = "\\", ["/"] = "/", n = "\n", t = "\t"}

local write -- forward: values nest

local function write_string(text)
    return '"' .. text:gsub('[%c"\\]', escapes) .. '"'
end

local function write_array(array)
    local parts = {}
    for i, value in ipairs(array) do
        parts[i] = write(value)
    end
    return "[" .. table.concat(parts, ",") .. "]"
end

local function write_object(object)
    local names, parts = {}, {}
    for name in pairs(object) do
        names[#names + 1] = name
    end
    table.sort(names)
    for i, name in ipairs(names) do
        parts[i] = write_string(name) .. ":" .. write(object[name])
    end
    return "{" .. table.concat(parts, ",") .. "}"
end

function write(value)
    local kind = type(value)
    if kind == "string" then
        return write_string(value)
    elseif kind == "table" then
        return #value > 0 and write_array(value) or write_object(value)
    end
    return tostring(value)
end

local parse -- forward: parse(text, at) -> value, the position after it

local function fail(at, wanted)
    error(("json: expected %s at byte %d"):format(wanted, at), 0)
end

local function skip(text, at)
    return text:find("%S", at) or #text + 1
end

local function parse_string(text, at)
    local parts = {}
    while true do
        local stop = text:find('["\\]', at) or fail(at, "a closing quote")
        parts[#parts + 1] = text:sub(at, stop - 1)
        if text:byte(stop) == 34 then
            return table.concat(parts), stop + 1
        end
        parts[#parts + 1] = unescapes[text:sub(stop + 1, stop + 1)] or fail(stop, "an escape")
        at = stop + 2
    end
end

local function parse_array(text, at)
    local array = {}
    at = skip(text, at)
    if text:byte(at) == 93 then
        return array, at + 1
    end
    while true do
        array[#array + 1], at = parse(text, at)
        at = skip(text, at)
        local mark = text:byte(at)
        at = at + 1
        if mark == 93 then
            return array, at
        elseif mark ~= 44 then
            fail(at - 1, "',' or ']'")
        end
    end
end

local function parse_member(text, at, object)
    at = skip(text, at)
    local name, value
    if text:byte(at) ~= 34 then
        fail(at, "a name")
    end
    name, at = parse_string(text, at + 1)
    at = skip(text, at)
    if text:byte(at) ~= 58 then
        fail(at, "':'")
    end
    value, at = parse(text, at + 1)
    object[name] = value
    return skip(text, at)
end

local function parse_object(text, at)
    local object = {}
    at = skip(text, at)
    if text:byte(at) == 125 then
        return object, at + 1
    end
    while true do
        at = parse_member(text, at, object)
        local mark = text:byte(at)
        at = at + 1
        if mark == 125 then
            return object, at
        elseif mark ~= 44 then
            fail(at - 1, "',' or '}'")
        end
    end
end

local function parse_word(text, at)
    local word = text:match("^%a+", at)
    if word == "true" or word == "false" then
        return word == "true", at + #word
    end
    local number = text:match("^-?%d+%.?%d*", at) or fail(at, "a value")
    return math.tointeger(number) or tonumber(number), at + #number
end

function parse(text, at)
    at = skip(text, at)
    local mark = text:byte(at)
    if mark == 34 then
        return parse_string(text, at + 1)
    elseif mark == 91 then
        return parse_array(text, at + 1)
    elseif mark == 123 then
        return parse_object(text, at + 1)
    end
    return parse_word(text, at)
end

local function document(seed)
    local people = {}
    for i = 1, 600 do
        people[i] = {
            id = seed * 1000 + i,
            name = "person \"" .. (seed * i) % 977 .. "\"\n",
            active = i % 3 == 0,
            score = (i * 37 % 100) + 0.25,
            tags = {"tag" .. i % 17, "tag" .. i % 23, "line\tbreak"},
            home = {street = i .. " Main Street", city = "city" .. i % 40},
        }
    end
    return {people = people, seed = seed}
end

local checksum = 0
for round = 1, rounds do
    local text = write(document(round))
    local again = write((parse(text, 1)))
    assert(text == again, "json: the round trip changed the text")
    for i = 1, #again, 101 do
        checksum = (checksum * 31 + again:byte(i)) % 1000000007
    end
end
print("json", rounds, checksum)
