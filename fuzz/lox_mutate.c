/* lox_mutate: random Lox texts; edits of tokens and statements. The same dice, the same text. */
#include "lox.h"

#include "target.h"

#include <ctype.h>
#include <string.h>

/* What an edit may write. fuzz/dict.py makes the dictionary of it. */
static const char *const words[] = {
    "and",       "class", "else",   "false",  "for",
    "fun",       "if",    "nil",    "or",     "print",
    "return",    "super", "this",   "true",   "var",
    "while",     "init",  "clock",  "(",      ")",
    "{",         "}",     ",",      ".",      "-",
    "+",         ";",     "/",      "*",      "!",
    "!=",        "=",     "==",     ">",      ">=",
    "<",         "<=",    "//",     "\"",     "\"s\"",
    "\"\"",      "0",     "1",      "2.5",    "100000000000",
    "a",         "b",     "f",      "g",      "A",
    "B",         "o",     "s",      "i",      "a = a + 1",
    "s = s + s", "()",    "(a, b)", "this.a", "super.m()",
    "A()",       "\n\n",  " ",
};

/* What a random text is made of, over a few names; the first ones define all that it needs. */
static const char *const statements[] = {
    "var a = 1;\n",
    "var s = \"xy\";\n",
    "fun f(a, b) { return a + b; }\n",
    "fun g() { var c = 0; fun h() { c = c + 1; return c; } return h; }\n",
    "class A { init(n) { this.n = n; } m() { return this.n; } }\n",
    "class B < A { m() { return super.m() + 1; } k() { var m = super.m; return m(); } }\n",
    "var o = B(2);\n",
    "var b = g();\nprint b();\n",
    "class A {}\n",
    "o.x = o.m;\nprint o.x();\n",
    "o.f = f;\nprint o.f(1, 2);\n",
    "o.a = o.b = o.c = o.d = o.e = o.g = o.h = o.i = o.j = s;\n",
    "for (var i = 0; i < 9; i = i + 1) { s = s + \"ab\"; }\n",
    "while (a < 5) { a = a + 1; if (a == 3) print a; else f(a, 1); }\n",
    "{ var l = a; fun f() { return l; } l = l + 1; print f() and !l or nil; }\n",
    "fun r(n) { if (n < 2) return n; return r(n - 1) + r(n - 2); }\nprint r(5);\n",
    "for (var i = 0; i < 3; i = i + 1) { class C { m() { return i; } } print C().m() >= -i; }\n",
    "print f;\nprint A;\nprint o;\nprint o.m;\nprint clock;\nprint s;\n",
    "\n",
};

enum {
    WORDS = sizeof words / sizeof words[0],
    STATEMENTS = sizeof statements / sizeof statements[0],
    DEFINITIONS = 8
};

typedef struct text {
    uint8_t *bytes;
    size_t size, most;
} text;

typedef struct part {
    size_t at, size;
} part;

/* ---- tokens ---- */

static bool is_word(uint8_t byte)
{
    return isalnum(byte) || byte == '_' || byte == '.';
}

static size_t token_size(const text *t, size_t at)
{
    size_t end = at + 1;
    if (is_word(t->bytes[at])) {
        while (end < t->size && is_word(t->bytes[end])) {
            end++;
        }
    } else if (t->bytes[at] == '"') {
        const uint8_t *quote = memchr(t->bytes + end, '"', t->size - end);
        end = quote != NULL ? (size_t)(quote - t->bytes) + 1 : end;
    } else if (end < t->size && t->bytes[end] == '=') {
        end++;
    }
    return end - at;
}

/* Where a token begins, nearest before or at `at`. */
static size_t token_at(const text *t, size_t at)
{
    size_t begin = 0;
    while (begin < t->size) {
        size_t size = token_size(t, begin);
        if (begin + size > at) {
            return begin;
        }
        begin += size;
    }
    return t->size;
}

static part some_tokens(const text *t, size_t most, dice *d)
{
    part p = {token_at(t, roll(d, t->size + 1)), 0};
    for (size_t count = 1 + roll(d, most); count > 0 && p.at + p.size < t->size; count--) {
        p.size += token_size(t, p.at + p.size);
    }
    return p;
}

/* A place behind a `;`, `{` or `}` where a statement may stand: not within parentheses, and not
 * among the methods of a class. */
static size_t some_boundary(const text *t, dice *d)
{
    size_t chosen = 0, seen = 1, depth = 0;
    uint64_t classes = 0; /* a bit for each open brace, the innermost last */
    bool is_class = false;
    for (size_t at = 0, size; at < t->size; at += size) {
        size = token_size(t, at);
        uint8_t byte = t->bytes[at];
        depth += byte == '(';
        depth -= byte == ')' && depth != 0;
        is_class = is_class || (size == 5 && memcmp(t->bytes + at, "class", size) == 0);
        if (byte != ';' && byte != '{' && byte != '}') {
            continue;
        }
        classes = byte == '{' ? classes << 1 | is_class : byte == '}' ? classes >> 1 : classes;
        is_class = false;
        if (depth == 0 && (classes & 1) == 0 && roll(d, ++seen) == 0) {
            chosen = at + 1;
        }
    }
    return chosen;
}

/* Up to the end of that statement: what it opens, it closes. */
static part some_statement(const text *t, dice *d)
{
    size_t at = some_boundary(t, d), end, depth = 0;
    for (end = at; end < t->size; end += token_size(t, end)) {
        uint8_t byte = t->bytes[end];
        depth += byte == '{' || byte == '(';
        bool closes = byte == '}' || byte == ')';
        if (closes && depth == 0) {
            break;
        }
        depth -= closes;
        if (depth == 0 && (byte == ';' || byte == '}')) {
            end++;
            break;
        }
    }
    return (part){at, end - at};
}

/* ---- edits ---- */

/* `size` bytes in place of a part; nothing where there is no room. */
static void replace(text *t, part old, const void *bytes, size_t size)
{
    if (size > t->most - (t->size - old.size)) {
        return;
    }
    uint8_t *at = t->bytes + old.at;
    memmove(at + size, at + old.size, t->size - old.at - old.size);
    memcpy(at, bytes, size);
    t->size += size - old.size;
}

static void replace_by_word(text *t, part old, const char *word)
{
    replace(t, old, word, strlen(word));
}

static void copy_to(text *t, part from, part to)
{
    enum { COPY_MOST = 512 };
    uint8_t copy[COPY_MOST];
    from.size = from.size < COPY_MOST ? from.size : COPY_MOST;
    memcpy(copy, t->bytes + from.at, from.size);
    replace(t, to, copy, from.size);
}

/* A statement becomes the body of something. */
static void wrap(text *t, part p, dice *d)
{
    static const char *const heads[] = {"{",
                                        "while (a < 9) {",
                                        "for (var i = 0; i < 5; i = i + 1) {",
                                        "if (a) {",
                                        "fun f() {",
                                        "class A { m() {",
                                        "class B < A { init() {"};
    enum { HEADS = sizeof heads / sizeof heads[0] };
    const char *head = heads[roll(d, HEADS)], *tail = head[0] == 'c' ? "}}" : "}";
    replace_by_word(t, (part){p.at + p.size, 0}, tail);
    replace_by_word(t, (part){p.at, 0}, head);
}

static bool is_keyword(const text *t, part p)
{
    enum { KEYWORDS = 17 };
    for (unsigned i = 0; i < KEYWORDS; i++) {
        if (strlen(words[i]) == p.size && memcmp(words[i], t->bytes + p.at, p.size) == 0) {
            return true;
        }
    }
    return false;
}

/* A name, number or string; nothing where a few tries don't find one. */
static part some_value(const text *t, dice *d)
{
    enum { TRIES = 8 };
    for (unsigned i = 0; i < TRIES; i++) {
        part one = some_tokens(t, 1, d);
        uint8_t byte = one.size != 0 ? t->bytes[one.at] : ' ';
        if (byte == '"' || (is_word(byte) && byte != '.' && !is_keyword(t, one))) {
            return one;
        }
    }
    return (part){0, 0};
}

static void exchange_operator(text *t, dice *d)
{
    static const char *const operators[] = {"+",  "-",  "*",  "/",  "<",     ">",
                                            "<=", ">=", "==", "!=", " and ", " or "};
    enum { OPERATORS = sizeof operators / sizeof operators[0], TRIES = 16 };
    for (unsigned i = 0; i < TRIES; i++) {
        part one = some_tokens(t, 1, d);
        uint8_t byte = one.size != 0 ? t->bytes[one.at] : ' ';
        bool is_operator = byte != '\0' && strchr("+-*/<>=!", byte) != NULL;
        if (is_operator && !(byte == '=' && one.size == 1) && !(byte == '!' && one.size == 1)) {
            replace_by_word(t, one, operators[roll(d, OPERATORS)]);
            return;
        }
    }
}

/* Values and operators for others: what parsed, parses. */
static void exchange(text *t, dice *d)
{
    static const char *const values[] = {
        "a",   "b",       "f",       "g",       "A",         "B",       "o",    "s",
        "i",   "n",       "nil",     "true",    "false",     "0",       "1",    "2.5",
        "-a",  "!a",      "this",    "super.m", "(o.n = a)", "clock()", "\"\"", "(1 / 0)",
        "g()", "(a + 1)", "(s + s)", "f(a, 1)", "A(1)",      "o.m()",   "o.n",  "(a and b)"};
    enum { VALUES = sizeof values / sizeof values[0] };
    part one = some_value(t, d), other = some_value(t, d);
    if (one.size == 0 || roll(d, 4) == 0) {
        exchange_operator(t, d);
    } else if (other.size != 0 && roll(d, 3) != 0) {
        copy_to(t, other, one);
    } else {
        replace_by_word(t, one, values[roll(d, VALUES)]);
    }
}

/* Mostly leaves a text that parses. */
static void edit_statements(text *t, dice *d)
{
    part one = some_statement(t, d), before = {one.at, 0};
    switch (roll(d, 8)) {
    case 0:
        replace_by_word(t, one, "");
        break;
    case 1:
        copy_to(t, some_statement(t, d), before);
        break;
    case 2:
        copy_to(t, some_statement(t, d), one);
        break;
    case 3:
        wrap(t, one, d);
        break;
    case 4:
        replace_by_word(t, before, statements[roll(d, STATEMENTS)]);
        break;
    default:
        exchange(t, d);
        break;
    }
}

/* Mostly does not. */
static void edit_tokens(text *t, dice *d)
{
    enum { FEW = 6 };
    part one = some_tokens(t, 1, d), before = {one.at, 0};
    switch (roll(d, 5)) {
    case 0:
        replace_by_word(t, some_tokens(t, FEW, d), "");
        break;
    case 1:
        replace_by_word(t, one, words[roll(d, WORDS)]);
        break;
    case 2:
        replace_by_word(t, before, words[roll(d, WORDS)]);
        break;
    case 3:
        copy_to(t, some_tokens(t, 1, d), one);
        break;
    default:
        copy_to(t, some_tokens(t, FEW, d), before);
        break;
    }
}

static void edit(text *t, dice *d)
{
    void (*one)(text *, dice *) = roll(d, 6) == 0 ? edit_tokens : edit_statements;
    for (size_t edits = 1 + roll(d, 4); edits > 0; edits--) {
        one(t, d);
    }
}

static void fill(text *t, dice *d)
{
    t->size = 0;
    for (size_t i = 0; i < DEFINITIONS && roll(d, 30) != 0; i++) {
        replace_by_word(t, (part){t->size, 0}, statements[i]);
    }
    for (size_t count = 2 + roll(d, 8); count > 0; count--) {
        replace_by_word(t, (part){t->size, 0}, statements[roll(d, STATEMENTS)]);
    }
}

/* What is no program gets through the parser alone: few of them are enough, and what such a text
 * becomes is seldom one. */
size_t lox_mutate(uint8_t *bytes, size_t size, size_t most, dice *d)
{
    enum { KEPT_MOST = 4096, TRIES = 6 };
    static uint8_t kept[KEPT_MOST];
    text t = {bytes, size < most ? size : most, most < KEPT_MOST ? most : KEPT_MOST};
    t.size = t.size < t.most ? t.size : t.most;
    bool may_break = roll(d, 8) == 0;
    if (t.size == 0 || (!may_break && !lox_parses(bytes, t.size))) {
        fill(&t, d);
    }
    size_t kept_size = t.size;
    memcpy(kept, bytes, kept_size);
    for (unsigned i = 0; i < TRIES; i++) {
        edit(&t, d);
        if (t.size != 0 && (may_break || lox_parses(bytes, t.size))) {
            return t.size;
        }
        memcpy(bytes, kept, kept_size);
        t.size = kept_size;
    }
    return t.size;
}

size_t lox_make(uint8_t *bytes, size_t most, dice *d)
{
    text t = {bytes, 0, most};
    fill(&t, d);
    return lox_mutate(bytes, t.size, most, d);
}

size_t lox_splice(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                  size_t most, dice *d)
{
    size_t head = roll(d, a_size + 1), from = roll(d, b_size + 1);
    head = head < most ? head : most;
    size_t tail = b_size - from < most - head ? b_size - from : most - head;
    memcpy(out, a, head);
    memcpy(out + head, b + from, tail);
    return head + tail;
}
