/* source: see source.h. In the templates, F is the file's number and N the piece's. */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>

static const char loops[] =
    "fun add_F_N(first, last) {\n"
    "  var sum = 0;\n"
    "  for (var i = first; i < last; i = i + 1) {\n"
    "    if (i == first + 3 or i == N) { sum = sum - 1; } else { sum = sum + i * 2 - 1 / 4; }\n"
    "  }\n"
    "  while (sum > 1000) sum = sum - 1000;\n"
    "  return sum;\n"
    "}\n"
    "total_F = total_F + add_F_N(N, N + 9);\n";

static const char classes[] =
    "class Shape_F_N {\n"
    "  init(width, height) { this.width = width; this.height = height; }\n"
    "  area() {\n"
    "    if (this.width > 0 and this.height > 0) return this.width * this.height;\n"
    "    return 0;\n"
    "  }\n"
    "  name() { return \"shape N of file F\"; }\n"
    "}\n"
    "class Square_F_N < Shape_F_N {\n"
    "  init(side) { super.init(side, side); this.side = side; }\n"
    "  area() { return super.area() + this.side; }\n"
    "}\n"
    "total_F = total_F + Square_F_N(N).area();\n";

static const char closures[] = "fun counter_F_N(step) {\n"
                               "  var count = 0;\n"
                               "  fun next() { count = count + step; return count; }\n"
                               "  fun twice(f) { f(); return f(); }\n"
                               "  return twice(next);\n"
                               "}\n"
                               "total_F = total_F + counter_F_N(N);\n";

static const char strings[] =
    "fun greet_F_N(name) {\n"
    "  if (name == \"nobody\") return \"silence in file F\";\n"
    "  var text = \"hello, \" + name;\n"
    "  return text + \" from piece \" + \"N\" + \" of file F\";\n"
    "}\n"
    "if (greet_F_N(\"nobody\") == \"silence in \" + \"file F\") print greet_F_N(\"worker N\");\n";

static const char *const templates[] = {loops, classes, closures, loops, strings, classes};
enum { TEMPLATES = sizeof templates / sizeof templates[0] };

static void put_piece(FILE *to, const char *text, unsigned file, unsigned piece)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == 'F' || *at == 'N') {
            fprintf(to, "%u", *at == 'F' ? file : piece);
        } else {
            fputc(*at, to);
        }
    }
}

char *source_make(unsigned number, unsigned pieces, size_t *ret_size)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, ret_size);
    if (to == NULL) {
        return NULL;
    }
    put_piece(to, "var total_F = 0;\n", number, 0);
    for (unsigned i = 0; i < pieces; i++) {
        put_piece(to, templates[(number + i) % TEMPLATES], number, i);
    }
    put_piece(to, "print \"file F:\";\nprint total_F;\n", number, 0);
    return fclose(to) == 0 ? text : NULL;
}
