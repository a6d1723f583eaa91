// closures: functions that hold functions, in a ring that forgets the oldest.
function adder(n, before) {
    return function (x) { return x + n + (before ? 1 : 0); };
}
var ring = [], sum = 0;
for (var i = 0; i < 200000 * scale; i++) {
    var f = adder(i % 7, ring[(i + 1) % 500]);
    ring[i % 500] = f;
    sum = (sum + f(i)) % 1000003;
}
print("closures", sum, ring.length);
