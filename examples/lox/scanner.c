#include "scanner.h"

#include <stdbool.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* NUL behind the end, as no token begins with it. */
static char peek(const scanner *s, ptrdiff_t ahead)
{
    return ahead < s->end - s->at ? s->at[ahead] : '\0';
}

static void skip_comment(scanner *s)
{
    const char *newline = memchr(s->at, '\n', (size_t)(s->end - s->at));
    s->at = newline != NULL ? newline : s->end;
}

static void skip_blanks(scanner *s)
{
    for (; s->at < s->end; s->at++) {
        switch (*s->at) {
        case ' ':
        case '\t':
        case '\r': break;
        case '\n': s->line++; break;
        case '/':
            if (peek(s, 1) != '/') {
                return;
            }
            skip_comment(s);
            s->at--;
            break;
        default: return;
        }
    }
}

static token make(const scanner *s, token_type type)
{
    return (token){s->start, (size_t)(s->at - s->start), s->line, type};
}

static token make_error(const scanner *s, const char *message)
{
    return (token){message, strlen(message), s->line, TOKEN_ERROR};
}

static token scan_string(scanner *s)
{
    while (s->at < s->end && *s->at != '"') {
        s->line += *s->at == '\n';
        s->at++;
    }
    if (s->at == s->end) {
        return make_error(s, "Unterminated string.");
    }
    s->at++;
    return make(s, TOKEN_STRING);
}

static token scan_number(scanner *s)
{
    while (is_digit(peek(s, 0))) {
        s->at++;
    }
    if (peek(s, 0) == '.' && is_digit(peek(s, 1))) {
        do {
            s->at++;
        } while (is_digit(peek(s, 0)));
    }
    return make(s, TOKEN_NUMBER);
}

static bool reads(const scanner *s, const char *word, size_t length)
{
    return (size_t)(s->at - s->start) == length && memcmp(s->start, word, length) == 0;
}

#define WORD(word, type) \
    if (reads(s, word, sizeof word - 1)) { \
        return type; \
    } \
    break

static token_type word_type(const scanner *s)
{
    switch (s->start[0]) {
    case 'a': WORD("and", TOKEN_AND);
    case 'c': WORD("class", TOKEN_CLASS);
    case 'e': WORD("else", TOKEN_ELSE);
    case 'f':
        if (reads(s, "for", 3)) {
            return TOKEN_FOR;
        }
        if (reads(s, "fun", 3)) {
            return TOKEN_FUN;
        }
        WORD("false", TOKEN_FALSE);
    case 'i': WORD("if", TOKEN_IF);
    case 'n': WORD("nil", TOKEN_NIL);
    case 'o': WORD("or", TOKEN_OR);
    case 'p': WORD("print", TOKEN_PRINT);
    case 'r': WORD("return", TOKEN_RETURN);
    case 's': WORD("super", TOKEN_SUPER);
    case 't':
        if (reads(s, "this", 4)) {
            return TOKEN_THIS;
        }
        WORD("true", TOKEN_TRUE);
    case 'v': WORD("var", TOKEN_VAR);
    case 'w': WORD("while", TOKEN_WHILE);
    default: break;
    }
    return TOKEN_IDENTIFIER;
}

static token scan_word(scanner *s)
{
    while (is_letter(peek(s, 0)) || is_digit(peek(s, 0))) {
        s->at++;
    }
    return make(s, word_type(s));
}

/* One of two types: the longer one where an '=' follows. */
static token make_maybe_equal(scanner *s, token_type alone, token_type with_equal)
{
    if (peek(s, 0) != '=') {
        return make(s, alone);
    }
    s->at++;
    return make(s, with_equal);
}

token scan(scanner *s)
{
    skip_blanks(s);
    s->start = s->at;
    if (s->at == s->end) {
        return make(s, TOKEN_END);
    }
    char c = *s->at++;
    if (is_letter(c)) {
        return scan_word(s);
    }
    if (is_digit(c)) {
        return scan_number(s);
    }
    switch (c) {
    case '(': return make(s, TOKEN_LEFT_PAREN);
    case ')': return make(s, TOKEN_RIGHT_PAREN);
    case '{': return make(s, TOKEN_LEFT_BRACE);
    case '}': return make(s, TOKEN_RIGHT_BRACE);
    case ';': return make(s, TOKEN_SEMICOLON);
    case ',': return make(s, TOKEN_COMMA);
    case '.': return make(s, TOKEN_DOT);
    case '-': return make(s, TOKEN_MINUS);
    case '+': return make(s, TOKEN_PLUS);
    case '/': return make(s, TOKEN_SLASH);
    case '*': return make(s, TOKEN_STAR);
    case '!': return make_maybe_equal(s, TOKEN_BANG, TOKEN_BANG_EQUAL);
    case '=': return make_maybe_equal(s, TOKEN_EQUAL, TOKEN_EQUAL_EQUAL);
    case '<': return make_maybe_equal(s, TOKEN_LESS, TOKEN_LESS_EQUAL);
    case '>': return make_maybe_equal(s, TOKEN_GREATER, TOKEN_GREATER_EQUAL);
    case '"': return scan_string(s);
    default: return make_error(s, "Unexpected character.");
    }
}
