// strings: pieces are cut, joined, replaced and looked up.
var words = "the quick brown fox jumps over the lazy dog and comes back again".split(" ");
var counts = {}, length = 0;
for (var i = 0; i < Math.max(2, 1000 * scale); i++) {
    var line = "";
    for (var j = 0; j < 40; j++) {
        line += words[(i * 7 + j * 3) % words.length] + (i % 100) + " ";
    }
    var parts = line.replace(/o[a-z]/g, "O").split(" ");
    for (var k = 0; k < parts.length; k++) {
        counts[parts[k]] = (counts[parts[k]] || 0) + 1;
    }
    length += parts.join("-").toUpperCase().length;
}
print("strings", length, Object.keys(counts).length);
