# hashes: they grow, lose half of their keys, and nest.
total = 0
[1, (40 * $scale).to_i].max.times do |round|
  h = {}
  4000.times { |i| h["key #{i * 7 + round}"] = {:id => i, :list => [i, i + 1], :name => i.to_s} }
  h.keys.each_with_index { |key, i| h.delete(key) if i % 2 == 0 }
  total += h.values.map { |v| v[:list][1] }.inject(0) { |a, b| a + b } % 10007 + h.size
end
puts "hashes #{total}"
