# strings: pieces are cut, joined and looked up.
words = "the quick brown fox jumps over the lazy dog and comes back again".split(" ")
counts = {}
length = 0
[2, (3000 * $scale).to_i].max.times do |i|
  line = ""
  40.times { |j| line << words[(i * 7 + j * 3) % words.size] << (i % 100).to_s << " " }
  parts = line.split(" ")
  parts.each { |part| counts[part] = (counts[part] || 0) + 1 }
  length += parts.join("-").upcase.size
end
puts "strings #{length} #{counts.size}"
