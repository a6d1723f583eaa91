#include "run.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- errors ---- */

static void print_trace(const vm *vm)
{
    for (const frame *f = vm->frame; f != NULL; f = f->caller) {
        const function *function = f->closure->function;
        size_t offset = (size_t)(f->ip - function->chunk.code);
        fprintf(vm->errors_to, "[line %u] in ", chunk_line(&function->chunk, offset - 1));
        if (function->name == NULL) {
            fputs("script\n", vm->errors_to);
        } else {
            fprintf(vm->errors_to, "%s()\n", function->name->text);
        }
    }
}

/* Open ones at `from` or above become their own. */
static void close_upvalues(vm *vm, const value *from)
{
    while (vm->open != NULL && vm->open->location >= from) {
        upvalue *u = vm->open;
        u->closed = *u->location;
        u->location = &u->closed;
        vm->open = u->next;
    }
}

void unwind(vm *vm)
{
    close_upvalues(vm, vm->stack);
    while (vm->frame != NULL) {
        frame *f = vm->frame;
        vm->frame = f->caller;
        mem_pop_frame(&vm->memory, f, sizeof *f);
    }
    vm->depth = 0;
    vm->top = vm->stack;
    vm->root_count = 0;
}

void runtime_error(vm *vm, error_id id, ...)
{
    va_list arguments;
    fflush(vm->out);
    va_start(arguments, id);
    vfprintf(vm->errors_to, vm->errors[id], arguments);
    va_end(arguments);
    fputc('\n', vm->errors_to);
    print_trace(vm);
    unwind(vm);
}

static void undefined(vm *vm, error_id id, const string *name)
{
    runtime_error(vm, id, (int)(name->length > 1u << 30 ? 1u << 30 : name->length), name->text);
}

/* ---- calls: false after an error ---- */

static inline bool call_closure(vm *vm, closure *callee, uint32_t count)
{
    const function *f = callee->function;
    if (FIEF_LIKELY(count == f->arity && vm->depth < vm->options.frames &&
                    f->most_values - count <= (size_t)(vm->stack_end - vm->top))) {
        cache *caches = FIEF_LIKELY(f->number == 0) ? f->chunk.caches : image_caches(vm, f);
        frame *fresh = mem_push_frame(&vm->memory, sizeof *fresh);
        fresh->closure = callee;
        fresh->ip = f->chunk.code;
        fresh->caches = caches;
        fresh->values = vm->top - count - 1;
        fresh->caller = vm->frame;
        vm->frame = fresh;
        vm->depth++;
        return true;
    }
    if (count != f->arity) {
        runtime_error(vm, ERROR_ARITY, f->arity, count);
    } else {
        runtime_error(vm, ERROR_STACK_OVERFLOW);
    }
    return false;
}

static bool call_class(vm *vm, class *callee, uint32_t count)
{
    vm->top[-1 - (ptrdiff_t)count] = from_object(instance_new(vm, callee));
    if (callee->init != NULL) {
        return call_closure(vm, callee->init, count);
    }
    if (count != 0) {
        runtime_error(vm, ERROR_ARITY, 0u, count);
        return false;
    }
    return true;
}

static bool call_value(vm *vm, value callee, uint32_t count)
{
    if (is_object(callee)) {
        switch (type_of(as_object(callee))) {
        case OBJECT_CLOSURE: return call_closure(vm, as_closure(callee), count);
        case OBJECT_CLASS: return call_class(vm, as_class(callee), count);
        case OBJECT_BOUND: {
            const bound *b = (const bound *)as_object(callee);
            vm->top[-1 - (ptrdiff_t)count] = b->receiver;
            return call_closure(vm, b->method, count);
        }
        case OBJECT_NATIVE:
            vm->top -= count;
            vm->top[-1] = native_call(((const native *)as_object(callee))->id);
            return true;
        default: break;
        }
    }
    runtime_error(vm, ERROR_NOT_CALLABLE);
    return false;
}

/* ---- properties ---- */

static bool field_index(const layout *layout, const string *name, uint32_t *ret_index)
{
    value index;
    if (!table_get(&layout->fields, name, &index)) {
        return false;
    }
    *ret_index = (uint32_t)as_number(index);
    return true;
}

static bool has_field(const instance *i, uint32_t index)
{
    return index < room_of(i) && i->fields[index] != VALUE_EMPTY;
}

/* `top[-1]` becomes its method of that name. */
static bool bind_method(vm *vm, const class *class, const string *name)
{
    value method;
    if (!table_get(&class->methods, name, &method)) {
        undefined(vm, ERROR_UNDEFINED_PROPERTY, name);
        return false;
    }
    vm->top[-1] = from_object(bound_new(vm, vm->top[-1], as_closure(method)));
    return true;
}

/* `top[-1]` becomes its property; remembers where a field was. */
static bool get_property(vm *vm, cache *c)
{
    uint32_t index;
    if (!is_of(vm->top[-1], OBJECT_INSTANCE)) {
        runtime_error(vm, ERROR_NO_PROPERTIES);
        return false;
    }
    const instance *i = as_instance(vm->top[-1]);
    if (field_index(i->layout, c->name, &index) && has_field(i, index)) {
        c->version = i->layout->version;
        c->index = index;
        c->method = NULL;
        vm->top[-1] = i->fields[index];
        return true;
    }
    return bind_method(vm, class_of(i), c->name);
}

/* The instance in top[-2] gets top[-1], which replaces it. */
static bool set_property(vm *vm, cache *c)
{
    if (!is_of(vm->top[-2], OBJECT_INSTANCE)) {
        runtime_error(vm, ERROR_NO_FIELDS);
        return false;
    }
    instance *i = as_instance(vm->top[-2]);
    uint32_t index = layout_field(vm, i->layout, c->name);
    if (index >= room_of(i)) {
        instance_make_room(vm, i, index);
    }
    i->fields[index] = vm->top[-1];
    c->version = i->layout->version;
    c->index = index;
    c->method = NULL;
    vm->top[-2] = vm->top[-1];
    vm->top--;
    return true;
}

/* A method is remembered under a version, 0: under none. */
static bool invoke_from(vm *vm, const class *class, cache *c, uint32_t count, uint64_t version)
{
    value method;
    if (!table_get(&class->methods, c->name, &method)) {
        undefined(vm, ERROR_UNDEFINED_PROPERTY, c->name);
        return false;
    }
    if (version != 0) {
        c->version = version;
        c->method = as_closure(method);
    }
    return call_closure(vm, as_closure(method), count);
}

static bool invoke(vm *vm, cache *c, uint32_t count)
{
    value *receiver = &vm->top[-1 - (ptrdiff_t)count];
    uint32_t index;
    if (!is_of(*receiver, OBJECT_INSTANCE)) {
        runtime_error(vm, ERROR_NO_METHODS);
        return false;
    }
    const instance *i = as_instance(*receiver);
    bool is_field = field_index(i->layout, c->name, &index);
    if (is_field && has_field(i, index)) {
        *receiver = i->fields[index];
        return call_value(vm, *receiver, count);
    }
    /* Not where an instance of the class can have a field of that name. */
    return invoke_from(vm, class_of(i), c, count, is_field ? 0 : i->layout->version);
}

/* ---- upvalues, classes ---- */

static upvalue *capture_slot(vm *vm, value *slot)
{
    upvalue **link = &vm->open;
    while (*link != NULL && (*link)->location > slot) {
        link = &(*link)->next;
    }
    if (*link != NULL && (*link)->location == slot) {
        return *link;
    }
    upvalue *fresh = upvalue_new(vm, slot); /* the collector leaves the open ones where they are */
    fresh->next = *link;
    *link = fresh;
    return fresh;
}

/* On the stack from the start, so that what it captures can be allocated. */
static void push_closure(vm *vm, function *f)
{
    closure *c = closure_new(vm, f);
    *vm->top++ = from_object(c);
    const frame *around = vm->frame;
    for (uint32_t i = 0; i < f->capture_count; i++) {
        capture capture = f->captures[i];
        c->upvalues[i] = capture.is_local ? capture_slot(vm, around->values + capture.index)
                                          : around->closure->upvalues[capture.index];
    }
}

static bool inherit(vm *vm)
{
    if (!is_of(vm->top[-2], OBJECT_CLASS)) {
        runtime_error(vm, ERROR_SUPERCLASS);
        return false;
    }
    const class *from = as_class(vm->top[-2]);
    class *to = as_class(vm->top[-1]);
    table_add_all(vm, &to->methods, &from->methods);
    to->init = from->init;
    vm->top--;
    return true;
}

static void define_method(vm *vm, string *name)
{
    class *to = as_class(vm->top[-2]);
    table_set(vm, &to->methods, name, vm->top[-1]);
    if (name == vm->init_name) {
        to->init = as_closure(vm->top[-1]);
    }
    vm->top--;
}

/* The two on top become their sum. */
static bool add(vm *vm)
{
    value left = vm->top[-2], right = vm->top[-1];
    if (is_of(left, OBJECT_STRING) && is_of(right, OBJECT_STRING)) {
        left = from_object(string_concatenate(vm, as_string(left), as_string(right)));
    } else {
        runtime_error(vm, ERROR_NOT_ADDABLE);
        return false;
    }
    vm->top--;
    vm->top[-1] = left;
    return true;
}

/* ---- the loop ----
 * One function, since the registers that it keeps (ip, top, slots) are the point of it. An opcode
 * that may make an object, call, or fail saves them first: the collector and the traces read them
 * in the VM. */

#define READ_WORD() (ip += 4, read_word(ip - 4))
#define SAVE() (frame->ip = ip, vm->top = top)
#define LOAD()                                                                                    \
    (frame = vm->frame, ip = frame->ip, slots = frame->values, top = vm->top,                     \
     code = &frame->closure->function->chunk)
#define FAIL(id)                                                                                  \
    do {                                                                                          \
        SAVE();                                                                                   \
        runtime_error(vm, id);                                                                    \
        return OUTCOME_RUNTIME_ERROR;                                                             \
    } while (0)
/* `step` with the registers saved: goes on in the frame that is the newest then. */
#define TRY(step)                                                                                 \
    do {                                                                                          \
        SAVE();                                                                                   \
        if (!(step)) {                                                                            \
            return OUTCOME_RUNTIME_ERROR;                                                         \
        }                                                                                         \
        LOAD();                                                                                   \
    } while (0)
#define BOTH_NUMBERS(a, b) FIEF_LIKELY(is_number(a) && is_number(b))
#define ARITHMETIC(operator)                                                                      \
    do {                                                                                          \
        value right = top[-1], left = top[-2];                                                    \
        if (!BOTH_NUMBERS(left, right)) {                                                         \
            FAIL(ERROR_NOT_NUMBERS);                                                              \
        }                                                                                         \
        top--;                                                                                    \
        top[-1] = from_number(as_number(left) operator as_number(right));                         \
    } while (0)
#define COMPARE(negation, operator)                                                               \
    do {                                                                                          \
        value right = top[-1], left = top[-2];                                                    \
        if (!BOTH_NUMBERS(left, right)) {                                                         \
            FAIL(ERROR_NOT_NUMBERS);                                                              \
        }                                                                                         \
        top--;                                                                                    \
        top[-1] = from_bool(negation(as_number(left) operator as_number(right)));                 \
    } while (0)
#define UNLESS(negation, operator)                                                                \
    do {                                                                                          \
        value right = top[-1], left = top[-2];                                                    \
        if (!BOTH_NUMBERS(left, right)) {                                                         \
            FAIL(ERROR_NOT_NUMBERS);                                                              \
        }                                                                                         \
        top -= 2;                                                                                 \
        uint32_t distance = READ_WORD();                                                          \
        ip += negation(as_number(left) operator as_number(right)) ? 0 : distance;                 \
    } while (0)

#if defined(__GNUC__) && !defined(LOX_SWITCH)
#define DISPATCH() goto *labels[*ip++]
#define CASE(name) at_##name
#define NEXT() DISPATCH()
#define LOOP_BEGIN() DISPATCH();
#define LOOP_END()
#else
#define CASE(name) case OP_##name
#define NEXT() continue
#define LOOP_BEGIN()                                                                              \
    for (;;) {                                                                                    \
        switch ((opcode)*ip++) {                                                                  \
        case OPCODE_COUNT: return OUTCOME_RUNTIME_ERROR;
#define LOOP_END()                                                                                \
        }                                                                                         \
    }
#endif

static inline uint32_t read_word(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The field that the cache remembers, where it is this instance's; else empty. */
static inline value cached_field(value receiver, const cache *c)
{
    if (FIEF_LIKELY(is_of(receiver, OBJECT_INSTANCE))) {
        const instance *i = as_instance(receiver);
        if (FIEF_LIKELY(i->layout->version == c->version && c->method == NULL &&
                        c->index < room_of(i))) {
            return i->fields[c->index];
        }
    }
    return VALUE_EMPTY;
}

static outcome execute(vm *vm)
{
#if defined(__GNUC__) && !defined(LOX_SWITCH)
#define OPCODE_LABEL(name) &&at_##name,
    static const void *const labels[] = {OPCODES(OPCODE_LABEL)};
#undef OPCODE_LABEL
#endif
    frame *frame;
    const uint8_t *ip;
    value *top, *slots;
    const chunk *code;
    value *const globals = vm->globals; /* a program that runs has no new ones */
    LOAD();
    LOOP_BEGIN()
    CASE(CONSTANT): *top++ = code->constants[READ_WORD()]; NEXT();
    CASE(NIL): *top++ = VALUE_NIL; NEXT();
    CASE(TRUE): *top++ = VALUE_TRUE; NEXT();
    CASE(FALSE): *top++ = VALUE_FALSE; NEXT();
    CASE(POP): top--; NEXT();
    CASE(GET_LOCAL): *top++ = slots[*ip++]; NEXT();
    CASE(SET_LOCAL): slots[*ip++] = top[-1]; NEXT();
    CASE(SET_LOCAL_POP): slots[*ip++] = *--top; NEXT();
    CASE(GET_UPVALUE): *top++ = *frame->closure->upvalues[*ip++]->location; NEXT();
    CASE(SET_UPVALUE): *frame->closure->upvalues[*ip++]->location = top[-1]; NEXT();
    CASE(GET_GLOBAL): {
        uint32_t index = READ_WORD();
        value v = globals[index];
        if (v == VALUE_EMPTY) {
            SAVE();
            undefined(vm, ERROR_UNDEFINED_VARIABLE, vm->global_names[index]);
            return OUTCOME_RUNTIME_ERROR;
        }
        *top++ = v;
        NEXT();
    }
    CASE(SET_GLOBAL): {
        uint32_t index = READ_WORD();
        if (globals[index] == VALUE_EMPTY) {
            SAVE();
            undefined(vm, ERROR_UNDEFINED_VARIABLE, vm->global_names[index]);
            return OUTCOME_RUNTIME_ERROR;
        }
        globals[index] = top[-1];
        NEXT();
    }
    CASE(DEFINE_GLOBAL): globals[READ_WORD()] = *--top; NEXT();
    CASE(GET_PROPERTY): {
        cache *c = &frame->caches[READ_WORD()];
        value v = cached_field(top[-1], c);
        if (FIEF_LIKELY(v != VALUE_EMPTY)) {
            top[-1] = v;
            NEXT();
        }
        TRY(get_property(vm, c));
        NEXT();
    }
    CASE(GET_LOCAL_PROPERTY): {
        cache *c = &frame->caches[READ_WORD()];
        value receiver = slots[*ip++], v = cached_field(receiver, c);
        if (FIEF_LIKELY(v != VALUE_EMPTY)) {
            *top++ = v;
            NEXT();
        }
        *top++ = receiver;
        TRY(get_property(vm, c));
        NEXT();
    }
    CASE(SET_PROPERTY): {
        cache *c = &frame->caches[READ_WORD()];
        if (FIEF_LIKELY(is_of(top[-2], OBJECT_INSTANCE))) {
            instance *i = as_instance(top[-2]);
            if (FIEF_LIKELY(i->layout->version == c->version && c->index < room_of(i))) {
                i->fields[c->index] = top[-1];
                top--;
                top[-1] = top[0];
                NEXT();
            }
        }
        TRY(set_property(vm, c));
        NEXT();
    }
    CASE(INVOKE): {
        cache *c = &frame->caches[READ_WORD()];
        uint32_t count = *ip++;
        value receiver = top[-1 - (ptrdiff_t)count];
        if (FIEF_LIKELY(is_of(receiver, OBJECT_INSTANCE) && c->method != NULL &&
                        as_instance(receiver)->layout->version == c->version)) {
            TRY(call_closure(vm, c->method, count));
            NEXT();
        }
        TRY(invoke(vm, c, count));
        NEXT();
    }
    CASE(GET_SUPER): {
        cache *c = &frame->caches[READ_WORD()];
        const class *super = as_class(*--top);
        TRY(bind_method(vm, super, c->name));
        NEXT();
    }
    CASE(SUPER_INVOKE): {
        cache *c = &frame->caches[READ_WORD()];
        uint32_t count = *ip++;
        const class *super = as_class(*--top);
        if (FIEF_LIKELY(super->number == c->version)) {
            TRY(call_closure(vm, c->method, count));
            NEXT();
        }
        TRY(invoke_from(vm, super, c, count, super->number));
        NEXT();
    }
    CASE(EQUAL): top--; top[-1] = from_bool(values_equal(top[-1], top[0])); NEXT();
    CASE(NOT_EQUAL): top--; top[-1] = from_bool(!values_equal(top[-1], top[0])); NEXT();
    CASE(GREATER): COMPARE(, >); NEXT();
    CASE(GREATER_EQUAL): COMPARE(!, <); NEXT();
    CASE(LESS): COMPARE(, <); NEXT();
    CASE(LESS_EQUAL): COMPARE(!, >); NEXT();
    CASE(ADD): {
        value right = top[-1], left = top[-2];
        if (BOTH_NUMBERS(left, right)) {
            top--;
            top[-1] = from_number(as_number(left) + as_number(right));
            NEXT();
        }
        TRY(add(vm));
        NEXT();
    }
    CASE(ADD_NUMBER): {
        double right = as_number(code->constants[READ_WORD()]);
        if (FIEF_LIKELY(is_number(top[-1]))) {
            top[-1] = from_number(as_number(top[-1]) + right);
            NEXT();
        }
        FAIL(ERROR_NOT_ADDABLE);
    }
    CASE(SUBTRACT_NUMBER): {
        double right = as_number(code->constants[READ_WORD()]);
        if (FIEF_LIKELY(is_number(top[-1]))) {
            top[-1] = from_number(as_number(top[-1]) - right);
            NEXT();
        }
        FAIL(ERROR_NOT_NUMBERS);
    }
    CASE(SUBTRACT): ARITHMETIC(-); NEXT();
    CASE(MULTIPLY): ARITHMETIC(*); NEXT();
    CASE(DIVIDE): ARITHMETIC(/); NEXT();
    CASE(NOT): top[-1] = from_bool(is_falsey(top[-1])); NEXT();
    CASE(NEGATE):
        if (!is_number(top[-1])) {
            FAIL(ERROR_NOT_A_NUMBER);
        }
        top[-1] = from_number(-as_number(top[-1]));
        NEXT();
    CASE(PRINT):
        value_print(vm->out, *--top);
        if (putc('\n', vm->out) == EOF) {
            SAVE();
            unwind(vm);
            return OUTCOME_IO_ERROR;
        }
        NEXT();
    CASE(JUMP): {
        uint32_t distance = READ_WORD();
        ip += distance;
        NEXT();
    }
    CASE(JUMP_IF_FALSE): {
        uint32_t distance = READ_WORD();
        ip += is_falsey(*--top) ? distance : 0;
        NEXT();
    }
    CASE(AND): {
        uint32_t distance = READ_WORD();
        if (is_falsey(top[-1])) {
            ip += distance;
        } else {
            top--;
        }
        NEXT();
    }
    CASE(OR): {
        uint32_t distance = READ_WORD();
        if (is_falsey(top[-1])) {
            top--;
        } else {
            ip += distance;
        }
        NEXT();
    }
    CASE(LOOP): {
        uint32_t distance = READ_WORD();
        ip -= distance;
        NEXT();
    }
    CASE(STEP):
        if (vm->steps == 0) {
            FAIL(ERROR_NO_STEPS);
        }
        vm->steps--;
        NEXT();
    CASE(UNLESS_EQUAL): {
        uint32_t distance = READ_WORD();
        top -= 2;
        ip += values_equal(top[0], top[1]) ? 0 : distance;
        NEXT();
    }
    CASE(UNLESS_NOT_EQUAL): {
        uint32_t distance = READ_WORD();
        top -= 2;
        ip += values_equal(top[0], top[1]) ? distance : 0;
        NEXT();
    }
    CASE(UNLESS_GREATER): UNLESS(, >); NEXT();
    CASE(UNLESS_GREATER_EQUAL): UNLESS(!, <); NEXT();
    CASE(UNLESS_LESS): UNLESS(, <); NEXT();
    CASE(UNLESS_LESS_EQUAL): UNLESS(!, >); NEXT();
    CASE(CALL): {
        uint32_t count = *ip++;
        value callee = top[-1 - (ptrdiff_t)count];
        if (FIEF_LIKELY(is_of(callee, OBJECT_CLOSURE))) {
            TRY(call_closure(vm, as_closure(callee), count));
            NEXT();
        }
        TRY(call_value(vm, callee, count));
        NEXT();
    }
    CASE(CLOSURE): {
        function *f = (function *)as_object(code->constants[READ_WORD()]);
        SAVE();
        push_closure(vm, f);
        top = vm->top;
        NEXT();
    }
    CASE(CLOSE_UPVALUE): close_upvalues(vm, --top); NEXT();
    CASE(RETURN): {
        value result = top[-1];
        if (vm->open != NULL) {
            close_upvalues(vm, slots);
        }
        vm->frame = frame->caller;
        vm->depth--;
        vm->top = slots;
        mem_pop_frame(&vm->memory, frame, sizeof *frame);
        if (vm->frame == NULL) {
            return OUTCOME_OK;
        }
        *vm->top++ = result;
        LOAD();
        NEXT();
    }
    CASE(CLASS): {
        string *name = frame->caches[READ_WORD()].name;
        SAVE();
        *top++ = from_object(class_new(vm, name));
        NEXT();
    }
    CASE(INHERIT): TRY(inherit(vm)); NEXT();
    CASE(METHOD): {
        string *name = frame->caches[READ_WORD()].name;
        SAVE();
        define_method(vm, name);
        top = vm->top;
        NEXT();
    }
    LOOP_END()
}

outcome run(vm *vm, closure *script)
{
    return call_closure(vm, script, 0) ? execute(vm) : OUTCOME_RUNTIME_ERROR;
}
