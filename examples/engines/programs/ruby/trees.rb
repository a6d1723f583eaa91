# trees: builds and drops binary trees beside one that stays.
def tree(depth)
  depth == 0 ? [nil, nil] : [tree(depth - 1), tree(depth - 1)]
end
def count(node)
  node[0].nil? ? 1 : 1 + count(node[0]) + count(node[1])
end
stays = tree(12)
sum = 0
[1, (200 * $scale).to_i].max.times { |i| sum += count(tree(4 + i % 8)) }
puts "trees #{sum} #{count(stays)}"
