#!/usr/bin/env python3
"""Writes a prelude in Lox of about so many bytes to stdout: functions, classes and a hierarchy of them,
as a library that an interpreter loads at start has them. Nothing in it is an instance.

usage: lox_prelude.py BYTES
"""
import sys

PART = """fun clamp{n}(value, low, high) {{
  // Between low and high, both included.
  if (value < low) return low;
  if (value > high) return high;
  return value;
}}

class Vector{n} {{
  init(x, y) {{
    this.x = x;
    this.y = y;
  }}
  plus(other) {{ return Vector{n}(this.x + other.x, this.y + other.y); }}
  times(factor) {{ return Vector{n}(this.x * factor, this.y * factor); }}
  dot(other) {{ return this.x * other.x + this.y * other.y; }}
  describe() {{ return "a vector of module {n}"; }}
}}

class Named{n} < Vector{n} {{
  init(name, x, y) {{
    super.init(x, y);
    this.name = name;
  }}
  describe() {{ return this.name + ": " + super.describe(); }}
}}

fun sum{n}(count) {{
  var total = 0;
  for (var i = 0; i < count; i = i + 1) {{
    total = total + clamp{n}(i * 3, 1, count + {n});
  }}
  return total;
}}

var greeting{n} = "module {n} is " + "loaded";
"""


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit(__doc__.strip().split("\n")[-1])
    size, number = 0, 0
    while size < int(sys.argv[1]):
        part = PART.format(n=number)
        sys.stdout.write(part)
        size += len(part)
        number += 1


if __name__ == "__main__":
    main()
