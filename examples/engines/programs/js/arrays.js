// arrays: they grow at their end, are sorted, mapped and cut.
var sum = 0;
for (var round = 0; round < Math.max(1, 15 * scale); round++) {
    var a = [], seed = round + 1;
    for (var i = 0; i < 8000; i++) { seed = (seed * 1103 + 12345) % 65521; a.push(seed); }
    var b = a.slice(100, 3000).map(function (x) { return {key: x, pair: [x, x % 10]}; });
    b.sort(function (x, y) { return x.key - y.key; });
    sum += b[10].key + b.filter(function (x) { return x.pair[1] === 3; }).length + a.length;
}
print("arrays", sum);
