// small: a bit of everything, for runs whose allocations fail in turn.
var rows = [], parts = [];
for (var i = 0; i < 30; i++) {
    rows.push({id: i, name: "name " + i, f: (function (n) { return function () { return n; }; })(i)});
}
for (var k = 0; k < rows.length; k++) { parts.push(rows[k].name.replace(/n/g, "N") + rows[k].f()); }
rows.sort(function (a, b) { return a.name < b.name ? -1 : 1; });
var caught = 0;
try { throw new Error("seven"); } catch (e) { caught = e.message.length; }
print("small", parts.join(",").length, rows[1].id, caught, JSON.parse(JSON.stringify(rows)).length);
