/* collector: strings and pairs that nobody can reach are freed. */
#include "mini.h"

enum { OBJECTS_AT_FIRST = 500 };

static void mark(value v)
{
    while (v.type == VALUE_PAIR && !v.object->is_marked) {
        v.object->is_marked = true;
        mark(((pair *)v.object)->first);
        v = ((pair *)v.object)->rest;
    }
    if (v.type == VALUE_STRING) {
        v.object->is_marked = true;
    }
}

static void mark_all(const machine *m)
{
    for (const symbol *s = m->symbols; s != NULL; s = s->next) {
        mark(s->value);
    }
    for (const frame *f = m->frame; f != NULL; f = f->caller) {
        for (unsigned i = 0; i < f->top; i++) {
            mark(f->slots[i]);
        }
    }
    for (const function *f = m->functions; f != NULL; f = f->next) {
        for (size_t i = 0; i < f->constant_count; i++) {
            mark(f->constants[i]);
        }
    }
}

void collect(machine *m)
{
    mark_all(m);
    for (object **link = &m->objects; *link != NULL;) {
        object *o = *link;
        if (o->is_marked) {
            o->is_marked = false;
            link = &o->next;
        } else {
            *link = o->next;
            m->object_count--;
            object_free(m, o);
        }
    }
    m->collect_at = OBJECTS_AT_FIRST + 2 * m->object_count;
}

void object_add(machine *m, object *o, value_type type)
{
    *o = (object){.next = m->objects, .type = type};
    m->objects = o;
    m->object_count++;
}
