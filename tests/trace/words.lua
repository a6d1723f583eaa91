-- words: counts words, in tables that grow and strings that die.
local count, order = {}, {}
local seed = 1
for line = 1, 300 do
    local words = {}
    for i = 1, 8 do
        seed = (seed * 1103515245 + 12345) % 2147483648
        words[i] = "word" .. seed % 97
    end
    for word in table.concat(words, " "):gmatch("%a+%d+") do
        if not count[word] then order[#order + 1] = word end
        count[word] = (count[word] or 0) + 1
    end
end
table.sort(order, function(a, b) return count[a] > count[b] end)
print(#order, order[1], count[order[1]])
