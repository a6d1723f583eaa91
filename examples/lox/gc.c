/* gc: mark and sweep. Gray objects wait on a stack of their own; where that cannot grow, they stay
 * gray, and the objects are looked through for them until there is none left. */
#include "vm.h"

enum { LIMIT_LEAST = 1 << 20, GROWTH = 2 };

/* ---- mark ---- */

static void gray_push(vm *vm, object *o)
{
    collector *gc = &vm->gc;
    if (gc->gray_count == gc->gray_capacity) {
        size_t capacity = gc->gray_capacity != 0 ? 2 * gc->gray_capacity : 256;
        object **gray = mem_try_resize(&vm->memory, KIND_GRAY, gc->gray,
                                       gc->gray_capacity * sizeof(object *),
                                       capacity * sizeof(object *));
        if (gray == NULL) {
            gc->gray_overflowed = true;
            return;
        }
        gc->gray = gray;
        gc->gray_capacity = capacity;
    }
    gc->gray[gc->gray_count++] = o;
}

/* Strings point at nothing, so they are black at once. */
static void mark_now(vm *vm, object *o)
{
    if (mark_of(o) != WHITE) {
        return;
    }
    if (type_of(o) == OBJECT_STRING) {
        set_mark(o, BLACK);
        return;
    }
    set_mark(o, GRAY);
    gray_push(vm, o);
}

/* An object's header is seldom in the cache, so it is asked for now and looked at a few objects
 * later: they wait in a ring. (The idea is Cher, Hosking and Vitek's, 2004.) */
static void mark_object(vm *vm, object *o)
{
    collector *gc = &vm->gc;
    if (o == NULL) {
        return;
    }
    __builtin_prefetch(o, 1);
    object **slot = &gc->ahead[gc->ahead_at++ % OBJECTS_AHEAD];
    object *due = *slot;
    *slot = o;
    if (due != NULL) {
        mark_now(vm, due);
    }
}

static void mark_value(vm *vm, value v)
{
    if (is_object(v)) {
        mark_object(vm, as_object(v));
    }
}

static void mark_values(vm *vm, const value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mark_value(vm, values[i]);
    }
}

static void mark_table(vm *vm, const table *t)
{
    for (uint32_t i = 0; i < t->capacity; i++) {
        if (t->entries[i].key != NULL) {
            mark_object(vm, (object *)t->entries[i].key);
            mark_value(vm, t->entries[i].value);
        }
    }
}

static void trace_closure(vm *vm, const closure *c)
{
    mark_object(vm, &c->function->head);
    for (uint32_t i = 0; i < c->function->capture_count; i++) {
        mark_object(vm, (object *)c->upvalues[i]);
    }
}

static void trace_class(vm *vm, const class *c)
{
    mark_object(vm, &c->name->head);
    mark_table(vm, &c->methods);
    mark_table(vm, &c->own.fields);
}

static void trace_instance(vm *vm, const instance *i)
{
    mark_object(vm, &class_of(i)->head);
    mark_values(vm, i->fields, room_of(i));
}

static void trace(vm *vm, object *o)
{
    set_mark(o, BLACK);
    switch (type_of(o)) {
    case OBJECT_STRING:
    case OBJECT_NATIVE: break;
    case OBJECT_FUNCTION: {
        const chunk *c = &((const function *)o)->chunk;
        mark_values(vm, c->constants, c->constant_count);
        break;
    }
    case OBJECT_CLOSURE: trace_closure(vm, (const closure *)o); break;
    case OBJECT_UPVALUE: mark_value(vm, *((const upvalue *)o)->location); break;
    case OBJECT_CLASS: trace_class(vm, (const class *)o); break;
    case OBJECT_INSTANCE: trace_instance(vm, (const instance *)o); break;
    case OBJECT_BOUND:
        mark_value(vm, ((const bound *)o)->receiver);
        mark_object(vm, &((const bound *)o)->method->head);
        break;
    }
}

static void drain(vm *vm)
{
    collector *gc = &vm->gc;
    do {
        while (gc->gray_count != 0) {
            trace(vm, gc->gray[--gc->gray_count]);
        }
        for (unsigned i = 0; i < OBJECTS_AHEAD; i++) {
            object *due = gc->ahead[i];
            gc->ahead[i] = NULL;
            if (due != NULL) {
                mark_now(vm, due);
            }
        }
    } while (gc->gray_count != 0);
}

static void mark_roots(vm *vm)
{
    mark_values(vm, vm->stack, (size_t)(vm->top - vm->stack));
    mark_values(vm, vm->roots, vm->root_count);
    mark_values(vm, vm->globals, vm->global_count);
    for (const frame *f = vm->frame; f != NULL; f = f->caller) {
        mark_object(vm, &f->closure->head);
    }
    for (upvalue *u = vm->open; u != NULL; u = u->next) {
        mark_object(vm, &u->head);
    }
}

static void mark_all(vm *vm)
{
    collector *gc = &vm->gc;
    gc->gray_overflowed = false;
    mark_roots(vm);
    drain(vm);
    while (gc->gray_overflowed) {
        gc->gray_overflowed = false;
        for (object *o = gc->objects; o != NULL; o = next_of(o)) {
            if (mark_of(o) == GRAY) {
                trace(vm, o);
                drain(vm);
            }
        }
    }
}

/* ---- sweep ---- */

static void sweep(vm *vm)
{
    object *kept = NULL; /* the last one, whose `next` is still to be set */
    object *o = vm->gc.objects;
    vm->gc.objects = NULL;
    while (o != NULL) {
        object *next = next_of(o);
        if (mark_of(o) == WHITE) {
            object_free(vm, o);
            vm->gc.freed++;
        } else {
            if (mark_of(o) == BLACK) {
                set_mark(o, WHITE);
            }
            if (kept == NULL) {
                vm->gc.objects = o;
            } else if (next_of(kept) != o) {
                set_next(kept, o);
            }
            kept = o;
        }
        o = next;
    }
    if (kept != NULL) {
        set_next(kept, NULL);
    }
}

void gc_collect(vm *vm)
{
    collector *gc = &vm->gc;
    if (gc->is_running) {
        return;
    }
    gc->is_running = true;
    mark_all(vm);
    strings_sweep(&vm->strings);
    sweep(vm);
    mem_trim(&vm->memory);
    gc->collections++;
    size_t limit = gc->bytes * GROWTH > LIMIT_LEAST ? gc->bytes * GROWTH : LIMIT_LEAST;
    gc->limit = gc->is_stressed ? 0 : limit;
    gc->is_running = false;
}

/* Memory is short: once more, if that helps. Not while the VM boots or a collection is on. */
bool gc_on_full(void *user)
{
    vm *vm = user;
    if (vm->gc.is_running || vm->gc.limit == SIZE_MAX) {
        return false;
    }
    size_t freed = vm->gc.freed;
    gc_collect(vm);
    return vm->gc.freed != freed;
}

static void free_objects(vm *vm, object *first)
{
    while (first != NULL) {
        object *next = next_of(first);
        object_free(vm, first);
        first = next;
    }
}

void gc_close(vm *vm)
{
    collector *gc = &vm->gc;
    free_objects(vm, gc->objects);
    free_objects(vm, gc->newborn);
    free_block(vm, KIND_GRAY, gc->gray, gc->gray_capacity * sizeof(object *));
    gc->objects = gc->newborn = NULL;
}
