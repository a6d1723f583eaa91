# objects: instances with variables in a ring that forgets the oldest.
class Point
  attr_accessor :x, :y, :before
  def initialize(x, y, before)
    @x = x; @y = y; @before = before
  end
  def add(other)
    Point.new(@x + other.x, @y + other.y, nil)
  end
end
ring = []
sum = 0
(300000 * $scale).to_i.times do |i|
  old = ring[(i + 1) % 1000]
  p = Point.new(i % 11, i % 13, nil)
  p = p.add(old) if old && i % 3 == 0
  sum = (sum + p.x * 3 + p.y) % 1000003
  ring[i % 1000] = p
end
puts "objects #{sum} #{ring.size}"
