/* reader: text to a tree. A node is a view of the text; nothing is copied. */
#include "mini.h"

#include <stdio.h>
#include <string.h>

enum { NESTING_MAX = 200 };

static void skip_space(reader *r)
{
    for (;; r->at++) {
        if (*r->at == ';') {
            r->at += strcspn(r->at, "\n");
        }
        if (*r->at == '\n') {
            r->line++;
        } else if (*r->at == '\0' || strchr(" \t\r", *r->at) == NULL) {
            return;
        }
    }
}

bool reader_more(reader *r)
{
    skip_space(r);
    return *r->at != '\0';
}

static node *read_one(machine *m, reader *r);

static void read_items(machine *m, reader *r, node *list)
{
    node **end = &list->items;
    while (m->error[0] == '\0' && reader_more(r) && *r->at != ')') {
        *end = read_one(m, r);
        end = &(*end)->next;
    }
    if (m->error[0] == '\0' && *r->at != ')') {
        fail(m, "a ')' is missing");
        return;
    }
    r->at += *r->at == ')';
}

static void read_list(machine *m, reader *r, node *list)
{
    r->at++;
    if (r->depth == NESTING_MAX) {
        fail(m, "nested too deeply");
        return;
    }
    r->depth++;
    read_items(m, r, list);
    r->depth--;
}

static void read_string(machine *m, reader *r, node *n)
{
    n->text = ++r->at;
    n->size = strcspn(r->at, "\"\n");
    r->at += n->size;
    if (*r->at != '"') {
        fail(m, "a string has no end");
        return;
    }
    r->at++;
}

static void read_word(machine *m, reader *r, node *n)
{
    n->text = r->at;
    n->size = strcspn(r->at, " \t\r\n();\"");
    r->at += n->size;
    if (n->size == 0) {
        fail(m, "a ')' too many");
        return;
    }
    bool is_number = strspn(n->text + (n->text[0] == '-'), "0123456789.") > 0;
    n->type = is_number ? NODE_NUMBER : NODE_NAME;
}

static node *read_one(machine *m, reader *r)
{
    node *n = node_new(m);
    if (*r->at == '(') {
        n->type = NODE_LIST;
        read_list(m, r, n);
    } else if (*r->at == '"') {
        n->type = NODE_STRING;
        read_string(m, r, n);
    } else {
        read_word(m, r, n);
    }
    return n;
}

node *reader_form(machine *m, reader *r)
{
    m->error[0] = '\0';
    node *form = read_one(m, r);
    if (m->error[0] != '\0') {
        r->at += strlen(r->at); /* who knows where the next form begins */
    }
    return form;
}

bool source_size(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    long end = file != NULL && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (file != NULL) {
        fclose(file);
    }
    if (end < 0 || end > INT32_MAX) {
        fprintf(stderr, "mini: cannot read %s\n", path);
        return false;
    }
    *ret_size = (size_t)end;
    return true;
}

bool source_read(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "rb");
    bool is_whole = file != NULL && fread(text, 1, size, file) == size;
    if (file != NULL) {
        fclose(file);
    }
    text[is_whole ? size : 0] = '\0';
    if (!is_whole) {
        fprintf(stderr, "mini: cannot read %s\n", path);
    }
    return is_whole;
}
