/* scanner: source text to tokens, one at a time. Bytes are bytes: only ASCII means anything. */
#ifndef LOX_SCANNER_H
#define LOX_SCANNER_H

#include <stddef.h>
#include <stdint.h>

typedef enum token_type {
    TOKEN_LEFT_PAREN, TOKEN_RIGHT_PAREN, TOKEN_LEFT_BRACE, TOKEN_RIGHT_BRACE, TOKEN_COMMA,
    TOKEN_DOT, TOKEN_MINUS, TOKEN_PLUS, TOKEN_SEMICOLON, TOKEN_SLASH, TOKEN_STAR,
    TOKEN_BANG, TOKEN_BANG_EQUAL, TOKEN_EQUAL, TOKEN_EQUAL_EQUAL, TOKEN_GREATER,
    TOKEN_GREATER_EQUAL, TOKEN_LESS, TOKEN_LESS_EQUAL,
    TOKEN_IDENTIFIER, TOKEN_STRING, TOKEN_NUMBER,
    TOKEN_AND, TOKEN_CLASS, TOKEN_ELSE, TOKEN_FALSE, TOKEN_FOR, TOKEN_FUN, TOKEN_IF, TOKEN_NIL,
    TOKEN_OR, TOKEN_PRINT, TOKEN_RETURN, TOKEN_SUPER, TOKEN_THIS, TOKEN_TRUE, TOKEN_VAR,
    TOKEN_WHILE,
    TOKEN_ERROR, TOKEN_END,
    TOKEN_TYPES
} token_type;

typedef struct token {
    const char *start; /* in the source; of an error: its message */
    size_t length;
    uint32_t line; /* where it ends */
    token_type type;
} token;

typedef struct scanner {
    const char *start, *at, *end;
    uint32_t line;
} scanner;

token scan(scanner *s);

#endif
