// json: a document goes to text and back.
function record(i) {
    return {id: i, name: "name " + i, tags: ["a" + i % 3, "b", "c" + i], ratio: i / 8,
            inner: {ok: i % 2 === 0, list: [1, 2, 3, i], nothing: null}};
}
var total = 0;
for (var round = 0; round < Math.max(1, 20 * scale); round++) {
    var all = [];
    for (var i = 0; i < 400; i++) { all.push(record(i + round)); }
    var text = JSON.stringify(all);
    var back = JSON.parse(text);
    total += text.length + back[back.length - 1].inner.list[3];
}
print("json", total);
