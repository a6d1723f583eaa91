/* emit: see emit.h. The C form is flat: the calls that the run made, one a line, with what was
 * written into each block and what it must still hold. */
#include "emit.h"

#include "configs.h"
#include "ops.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char head_includes[] =
    "#include <fief/fief.h>\n\n#include <pthread.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
    "#include <string.h>\n#include <sys/wait.h>\n#include <unistd.h>\n\n";

static const char head_state[] =
    "enum { RUNTIMES = 3, BLOCKS = 96, ARENAS = 8, POOLS = 4, MARKS = "
    "8, UNITS = 8, TEXT = 70000 };\n"
    "static fief_runtime *rt[RUNTIMES], *closed; /* runtimes */\n"
    "static fief_range *ranges[RUNTIMES];\n"
    "static char *b[RUNTIMES][BLOCKS], *kept, *here_taken; /* blocks */\n"
    "static fief_pool *slots_of_ours;\n"
    "static fief_arena *a[RUNTIMES][ARENAS];     /* 0: vm, 1: units, "
    "2: frames; 7: a stack of ours */\n"
    "static fief_pool *p[RUNTIMES][POOLS];\n"
    "static fief_mark m[RUNTIMES][MARKS];\n"
    "static fief_unit u[RUNTIMES][UNITS];\n"
    "static fief_parcel *parcel;\n"
    "static fief_image *image[RUNTIMES][2];\n"
    "static fief_image_config image_config;\n"
    "static char outsides[2][2][64]; /* the host's: externals, each at two addresses */\n"
    "static fief_external externals[2];\n"
    "static fief_config config;\n"
    "static void *roots[RUNTIMES][4];\n"
    "static fief_arena_config arena_config;\n"
    "static char text[TEXT + 1], there[48];\n"
    "static _Alignas(65536) unsigned char buffer[RUNTIMES][1 << 21];\n"
    "static _Alignas(16) unsigned char "
    "arena_buffer[RUNTIMES][ARENAS][5000];\n"
    "static int expected = -1, seen;\n"
    "static unsigned full_calls;\n"
    "extern bool (*const full_plan[])(void);\n"
    "#define stack_of(arena) ((fief_stack *)(void *)(arena))\n\n";

static const char head_checks[] =
    "static void must(bool condition, const char *what)\n{\n"
    "    if (!condition) {\n"
    "        fprintf(stderr, \"repro: not so: %s\\n\", what);\n        abort();\n    }\n}\n\n"
    "static void fill_from(char *block, size_t from, size_t size, unsigned seed)\n{\n"
    "    for (size_t i = from; block != NULL && i < from + size; i++) {\n"
    "        block[i] = (char)(((seed + i * 29) & 0x7F) | 0x80);\n    }\n}\n\n"
    "static void fill(char *block, size_t size, unsigned seed)\n{\n"
    "    fill_from(block, 0, size, seed);\n}\n\n"
    "/* field: where a pointer is; -1: there is none. */\n"
    "static void check(const char *block, size_t size, unsigned seed, long field)\n{\n"
    "    for (size_t i = 0; i < size; i++) {\n"
    "        bool points = field >= 0 && i >= (size_t)field && i < (size_t)field + sizeof(void "
    "*);\n"
    "        must(points || block[i] == (char)(((seed + i * 29) & 0x7F) | 0x80),\n"
    "             \"the block holds what was written\");\n"
    "    }\n}\n\n"
    "static const char *text_of(size_t length)\n{\n"
    "    memset(text, 'x', TEXT);\n    return text + TEXT - length;\n}\n\n"
    "static void expect(int class_id)\n{\n    expected = class_id;\n    seen = 0;\n}\n\n"
    "static void must_have_seen(void)\n{\n"
    "    must(seen == 1, \"the misuse is reported once\");\n    expected = -1;\n}\n\n"
    "/* In a child: an access that is noticed ends it. AddressSanitizer has its own way. */\n"
    "static int touches = -1;\n\n"
    "static void touch(char *byte, int writes, int class_id)\n{\n"
    "    int status = 0;\n    pid_t child = fork();\n"
    "    if (child == 0) {\n        touches = class_id;\n"
    "        (void)!freopen(\"/dev/null\", \"w\", stderr);\n"
    "        if (writes) {\n            *(volatile char *)byte = 1;\n"
    "        } else {\n            (void)*(volatile char *)byte;\n        }\n"
    "        _exit(0);\n    }\n"
    "    must(child > 0 && waitpid(child, &status, 0) == child, \"a child\");\n"
    "    bool poisons = fief_mode()[0] == 'd';\n"
    "    must(poisons ? WIFEXITED(status) && WEXITSTATUS(status) == 99 : status != 0,\n"
    "         \"the access is noticed\");\n}\n\n"
    "static bool on_misuse(const fief_misuse *misuse, void *user)\n{\n    (void)user;\n"
    "    if (touches >= 0) {\n        _exit((int)misuse->class_id == touches ? 99 : 1);\n    }\n"
    "    seen += (int)misuse->class_id == expected;\n"
    "    return (int)misuse->class_id == expected;\n}\n\n";

static const char head_calls[] =
    "static bool on_full(fief_runtime *runtime, size_t size, void *user)\n{\n"
    "    (void)runtime, (void)size, (void)user;\n"
    "    return full_plan[full_calls] != NULL && full_plan[full_calls++]();\n}\n\n"
    "static fief_range *range_of(unsigned i)\n{\n"
    "    ranges[i] = ranges[i] != NULL ? ranges[i] : fief_range_open((size_t)1 << 30);\n"
    "    return ranges[i];\n}\n\n"
    "static fief_runtime *open_runtime(fief_config *c)\n{\n"
    "    fief_error error = {FIEF_OK, \"\"};\n"
    "    c->on_misuse = on_misuse, c->on_full = on_full, c->error = &error;\n"
    "    fief_runtime *opened = fief_open(c);\n"
    "    printf(\"fief_open: %s\\n\", opened != NULL ? \"opened\" : error.text);\n"
    "    return opened;\n}\n\n"
    "static void arenas_of(unsigned i)\n{\n    if (rt[i] != NULL) {\n"
    "        a[i][0] = fief_vm_arena(rt[i]), a[i][1] = fief_compiler_arena(rt[i]);\n"
    "        a[i][2] = &fief_frame_stack(rt[i])->arena;\n    }\n}\n\n"
    "static void churn(fief_runtime *runtime, size_t count, size_t size)\n{\n"
    "    void *blocks[256];\n    fief_heap *heap = fief_runtime_heap(runtime);\n"
    "    for (size_t i = 0; i < count; i++) {\n        blocks[i] = fief_heap_alloc(heap, size);\n"
    "        memset(blocks[i], 0xA5, size);\n    }\n"
    "    for (size_t i = 0; i < count; i += 2) {\n        fief_heap_free(heap, blocks[i], size);\n "
    "   }\n"
    "    for (size_t i = 1; i < count; i += 2) {\n        fief_heap_free(heap, blocks[i], size);\n "
    "   }\n}\n\n";

static const char head_rest[] =
    "static const char *image_file(void)\n{\n    static char name[40];\n"
    "    (void)snprintf(name, sizeof name, \"/tmp/repro-%d.img\", (int)getpid());\n"
    "    return name;\n}\n\n"
    "static void name_externals(fief_image_config *ret_config, unsigned bound)\n{\n"
    "    externals[0] = (fief_external){\"natives\", outsides[0][bound], 64};\n"
    "    externals[1] = (fief_external){\"nil\", outsides[1][bound], 0};\n"
    "    ret_config->externals = externals;\n    ret_config->external_count = 2;\n}\n\n"
    "static void spoil(volatile char *byte)\n{\n    *byte ^= 0x5A;\n}\n\n"
    "static void mend(volatile char *byte)\n{\n    *byte ^= 0x5A;\n}\n\n"
    "static void visit(void *slot, void *unused)\n{\n    (void)slot, (void)unused;\n}\n\n"
    "static void note_cleanup(void *unused)\n{\n    (void)unused;\n}\n\n"
    "/* A cleanup that uses its arena. */\n"
    "static struct busy {\n    fief_arena *arena;\n    int is_stack, deed;\n"
    "} busy[RUNTIMES][ARENAS][3];\n\n"
    "static void take_some(const struct busy *it, size_t size)\n{\n"
    "    void *block = it->is_stack ? fief_stack_push(stack_of(it->arena), size)\n"
    "                               : fief_arena_alloc(it->arena, size);\n"
    "    if (block != NULL) {\n        memset(block, 0xB5, size);\n    }\n}\n\n"
    "static void be_busy(void *argument)\n{\n    const struct busy *it = argument;\n"
    "    if (it->deed == 1) {\n"
    "        (void)fief_arena_cleanup(it->arena, note_cleanup, NULL);\n        return;\n    }\n"
    "    fief_mark mark = fief_arena_mark(it->arena);\n    take_some(it, 40);\n"
    "    if (it->deed == 2) {\n        take_some(it, 3000);\n"
    "        fief_arena_rewind(it->arena, mark);\n    }\n}\n\n"
    "static void call(fief_runtime *runtime, unsigned how)\n{\n    switch (how) {\n"
    "    case 0: (void)fief_heap_alloc(fief_runtime_heap(runtime), 10); break;\n"
    "    case 1: (void)fief_arena_alloc(fief_vm_arena(runtime), 10); break;\n"
    "    case 2: (void)fief_check(runtime); break;\n"
    "    case 3: (void)fief_trim(runtime); break;\n"
    "    case 4: (void)fief_close(runtime); break;\n"
    "    case 5: fief_drop(runtime); break;\n"
    "    case 6: (void)fief_unit_begin(runtime); break;\n"
    "    case 7: (void)fief_new(runtime, 0, FIEF_DYNAMIC, 10); break;\n"
    "    case 8: (void)fief_strdup(runtime, FIEF_DYNAMIC, \"x\"); break;\n"
    "    case 9: (void)fief_malloc(runtime, 10); break;\n"
    "    case 10: (void)fief_pool_open(runtime, \"astray\", 10); break;\n"
    "    case 11: (void)fief_stack_push(fief_frame_stack(runtime), 10); break;\n"
    "    default: (void)fief_limit_set(runtime, FIEF_NO_STRATEGY, 0); break;\n    }\n}\n\n"
    "static unsigned how_astray;\n"
    "static void *be_astray(void *runtime)\n{\n    call(runtime, how_astray);\n    return "
    "NULL;\n}\n\n"
    "static void astray(fief_runtime *runtime, unsigned how)\n{\n    pthread_t thread;\n"
    "    how_astray = how;\n"
    "    must(pthread_create(&thread, NULL, be_astray, runtime) == 0, \"a thread\");\n"
    "    (void)pthread_join(thread, NULL);\n}\n\n";

/* A reader who needs only some of it is not told of the rest. */
static const char head_main[] = "int main(void)\n{\n    char here[48] = {0};\n"
                                "    (void)closed, (void)kept, (void)a, (void)p, (void)m, (void)u, "
                                "(void)arena_config, (void)here, (void)parcel;\n"
                                "    (void)there, (void)buffer, (void)arena_buffer, "
                                "(void)pool_kinds, (void)presized, (void)capped, (void)recorded, "
                                "(void)image, (void)image_config, "
                                "(void)name_externals;\n"
                                "    (void)fill, (void)check, (void)text_of, (void)expect, "
                                "(void)must_have_seen, (void)range_of;\n"
                                "    (void)churn, (void)spoil, (void)mend, (void)visit, "
                                "(void)note_cleanup, (void)be_busy, (void)busy, (void)astray, "
                                "(void)touch, (void)roots, "
                                "(void)here_taken, (void)slots_of_ours, (void)b;\n"
                                "    (void)arenas_of;\n";

void emit_head(FILE *c, const char *name, bool os_fails)
{
    fprintf(
        c,
        "/* cc -g repro.c $(pkg-config --cflags --libs fief) -pthread && ./a.out\n *\n"
        " * %s, as C: the same calls, and what each block must hold. Made by ./dev show --c. */\n",
        name);
    if (os_fails) {
        fprintf(c,
                "/* The OS's failures (`fail`) are not in the C form: what needs one may go well "
                "here.\n * With them: ./dev replay %s */\n",
                name);
    }
    fputs(head_includes, c);
    fputs(config_declarations, c);
    fputs("\n\n", c);
    fputs(head_state, c);
    fputs(head_checks, c);
    fputs(head_calls, c);
    fputs(head_rest, c);
    fputs(head_main, c);
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word)) {
        count++;
    }
    return count;
}

void emit_tail(FILE *c, const char *end)
{
    fprintf(c, "    (void)remove(image_file());\n");
    fprintf(c, "    puts(\"repro: the end\");\n    return 0;\n}\n");
    fputs(end, c);
    fprintf(c, "\nbool (*const full_plan[])(void) = {");
    for (unsigned i = 0, count = count_of(end, "static bool full_"); i < count; i++) {
        fprintf(c, "full_%u, ", i);
    }
    fprintf(c, "NULL};\n");
}

static int saved_stderr = -1;

void quiet_begin(void)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    (void)dup2(nowhere, STDERR_FILENO);
    (void)close(nowhere);
}

void quiet_end(void)
{
    (void)fflush(stderr);
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
}
