/* text: one operation a line, "new b3 k1 dynamic 40"; # starts a comment. Handles have a letter;
 * contexts, strategies, configurations and their fields have names; an alignment is written out. */
#include "ops.h"

#include "configs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const contexts[] = {"native",    "literal",  "constant", "dynamic",
                                       "temporary", "context5", "context6", "context7"};
static const char *const strategies[] = {"none", "vm",   "unit",      "stack",
                                         "pool", "heap", "strategy6", "strategy7"};

typedef struct spelling {
    const char *what;         /* for a person */
    char letter;              /* of a handle; or ... */
    const char *const *words; /* ... names */
} spelling;

static const spelling spellings[OPERAND_TYPES] = {
    [RUNTIME] = {"a runtime (r0 .. r2)", 'r', NULL},
    [BLOCK] = {"a block (b0 .. b95)", 'b', NULL},
    [HOME] = {"an arena or stack (a0 .. a7)", 'a', NULL},
    [MARK] = {"a mark (m0 .. m7)", 'm', NULL},
    [POOL] = {"a pool (p0 .. p3)", 'p', NULL},
    [KIND] = {"a kind (k0 .. k31)", 'k', NULL},
    [CONTEXT] = {"a context (native, literal, constant, dynamic, temporary, context5 ..)", 0,
                 contexts},
    [STRATEGY] = {"a strategy (none, vm, unit, stack, pool, heap)", 0, strategies},
    [CONFIG] = {"a configuration (usual, pools, counted, ...)", 0, config_names},
    [FIELD] = {"a field of the configuration (limit_bytes, align, ...)", 0, field_names},
    [SIZE] = {"a size (at most 1048576, or at least 4611686018427387904)", 0, NULL},
    [ALIGN] = {"an alignment (a power of two up to 65536)", 0, NULL},
    [NUMBER] = {"a number (0 .. 255)", 0, NULL},
};

/* ---- writing ---- */

static size_t put(char *text, size_t size, size_t length, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int more = vsnprintf(length < size ? text + length : NULL, length < size ? size - length : 0,
                         format, args);
    va_end(args);
    return length + (size_t)more;
}

size_t operation_to_text(const operation *o, char *text, size_t size)
{
    size_t length = put(text, size, 0, "%s", op_rows[o->id].name);
    for (unsigned i = 0; i < OPERANDS_MAX; i++) {
        operand_type type = op_rows[o->id].operands[i];
        const spelling *s = &spellings[type];
        unsigned long long value = o->at[i];
        if (s->words != NULL) {
            length = put(text, size, length, " %s", s->words[value]);
        } else if (s->letter != 0) {
            length = put(text, size, length, " %c%llu", s->letter, value);
        } else if (type != NONE) {
            length = put(text, size, length, " %llu", type == ALIGN ? 1ull << value : value);
        }
    }
    return length;
}

size_t program_to_text(const program *p, char *text, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < p->count; i++) {
        bool fits = length < size;
        length +=
            operation_to_text(&p->ops[i], fits ? text + length : NULL, fits ? size - length : 0);
        length = put(text, size, length, "\n");
    }
    return length;
}

/* ---- reading ---- */

enum { WORD_SIZE = 40 };

typedef struct parser {
    const char *at, *end, *file;
    unsigned line;
    char word[WORD_SIZE]; /* the last one that was read; "" is the line's end */
    char *error;
    size_t error_size;
} parser;

static bool refuse(const parser *p, const char *expected)
{
    (void)snprintf(p->error, p->error_size, "%s:%u: expected %s, found %s%s%s", p->file, p->line,
                   expected, p->word[0] != '\0' ? "'" : "",
                   p->word[0] != '\0' ? p->word : "the end of the line",
                   p->word[0] != '\0' ? "'" : "");
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void next_word(parser *p)
{
    size_t length = 0;
    while (p->at < p->end && is_blank(*p->at)) {
        p->at++;
    }
    while (p->at < p->end && !is_blank(*p->at) && *p->at != '\n' && *p->at != '#') {
        unsigned char c = (unsigned char)*p->at++;
        if (length < WORD_SIZE - 1) {
            p->word[length++] = c < ' ' || c > '~' ? '?' : (char)c;
        }
    }
    p->word[length] = '\0';
}

static void next_line(parser *p)
{
    const char *end = memchr(p->at, '\n', (size_t)(p->end - p->at));
    p->at = end != NULL ? end + 1 : p->end;
    p->line++;
}

static bool find(const char *word, const char *const *words, unsigned count, uint64_t *ret)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

/* Decimal digits only, no sign, no overflow. */
static bool parse_number(const char *word, uint64_t *ret)
{
    uint64_t value = 0;
    for (const char *c = word; *c != '\0'; c++) {
        unsigned digit = (unsigned)(*c - '0');
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *ret = value;
    return word[0] != '\0';
}

static bool parse_operand(parser *p, operand_type type, uint64_t *ret)
{
    const spelling *s = &spellings[type];
    uint64_t value = 0;
    next_word(p);
    if (s->words != NULL) {
        return find(p->word, s->words, operand_range(type), ret) || refuse(p, s->what);
    }
    const char *digits = p->word;
    if (s->letter != 0 && *digits++ != s->letter) {
        return refuse(p, s->what);
    }
    bool sound = parse_number(digits, &value);
    if (type == ALIGN) {
        sound = sound && value != 0 && (value & (value - 1)) == 0 && value <= 65536;
        value = sound ? (uint64_t)__builtin_ctzll(value) : 0;
    }
    *ret = value;
    return (sound && operand_fit(type, value) == value) || refuse(p, s->what);
}

static bool parse_line(parser *p, program *ret)
{
    next_word(p);
    if (p->word[0] == '\0') {
        return true;
    }
    op_id id = 0;
    while (id < OP_COUNT && strcmp(op_rows[id].name, p->word) != 0) {
        id++;
    }
    if (id == OP_COUNT || ret->count == OPS_MAX) {
        return refuse(p, id == OP_COUNT ? "an operation" : "the end: a program has 400 operations");
    }
    operation *o = &ret->ops[ret->count++];
    memset(o, 0, sizeof *o);
    o->id = id;
    for (unsigned i = 0; i < OPERANDS_MAX; i++) {
        operand_type type = op_rows[id].operands[i];
        if (type != NONE && !parse_operand(p, type, &o->at[i])) {
            return false;
        }
    }
    next_word(p);
    return p->word[0] == '\0' || refuse(p, "the end of the line");
}

bool program_from_text(program *ret, const char *text, size_t size, const char *file, char *error,
                       size_t error_size)
{
    parser p = {.at = text,
                .end = text + size,
                .file = file,
                .line = 1,
                .error = error,
                .error_size = error_size};
    ret->count = 0;
    while (p.at < p.end) {
        if (!parse_line(&p, ret)) {
            return false;
        }
        next_line(&p);
    }
    return true;
}
