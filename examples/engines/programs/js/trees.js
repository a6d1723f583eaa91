// trees: builds and drops binary trees beside one that stays.
function tree(depth) {
    return depth === 0 ? {left: null, right: null} : {left: tree(depth - 1), right: tree(depth - 1)};
}
function count(node) {
    return node.left === null ? 1 : 1 + count(node.left) + count(node.right);
}
var stays = tree(12), sum = 0;
for (var i = 0; i < Math.max(1, 60 * scale); i++) {
    sum += count(tree(4 + i % 8));
}
print("trees", sum, count(stays));
