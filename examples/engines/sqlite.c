/* fief-engine-sqlite: SQLite on the frame: a script over a database in memory, in which :scale is
 * the scale. Rows are printed as the shell does by default. */
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include <fief/adapt/sqlite.h>

#include "frame.h"

/* SQLite's hook has no context, so neither have these. */
static sqlite3_mem_methods under;
static frame *trapped;

static void *trapped_malloc(int size)
{
    return frame_admits(trapped) ? frame_counted(trapped, false, under.xMalloc(size)) : NULL;
}

static void trapped_free(void *block)
{
    (void)frame_counted(trapped, block != NULL, NULL);
    under.xFree(block);
}

static void *trapped_realloc(void *block, int size)
{
    bool admitted = frame_admits(trapped);
    return admitted ? frame_resized(trapped, block, under.xRealloc(block, size)) : NULL;
}

static int configure(frame *f)
{
    sqlite3_mem_methods memory = {
        fief_sqlite_malloc,  fief_sqlite_free, fief_sqlite_realloc,  fief_sqlite_size,
        fief_sqlite_roundup, fief_sqlite_init, fief_sqlite_shutdown, frame_heap(f)};
    int status = SQLITE_OK;
    if (f->runtime == NULL) {
        status = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory);
    }
    if (f->trapped) {
        under = memory;
        trapped = f;
        memory.xMalloc = trapped_malloc;
        memory.xFree = trapped_free;
        memory.xRealloc = trapped_realloc;
    }
    return status == SQLITE_OK ? sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) : status;
}

static void print_row(sqlite3_stmt *statement)
{
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const unsigned char *text = sqlite3_column_text(statement, i);
        printf("%s%s", i > 0 ? "|" : "", text != NULL ? (const char *)text : "");
    }
    putchar('\n');
}

/* One statement; the rest of the text, or NULL after an error. */
static const char *run_statement(sqlite3 *db, const char *text, double scale)
{
    sqlite3_stmt *statement = NULL;
    int status = sqlite3_prepare_v2(db, text, -1, &statement, &text);
    int parameter = sqlite3_bind_parameter_index(statement, ":scale");
    if (status == SQLITE_OK && parameter > 0) {
        status = sqlite3_bind_double(statement, parameter, scale);
    }
    while (status == SQLITE_OK && statement != NULL) {
        int step = sqlite3_step(statement);
        if (step != SQLITE_ROW) {
            break;
        }
        print_row(statement);
    }
    int ended = sqlite3_finalize(statement);
    return status == SQLITE_OK && ended == SQLITE_OK ? text : NULL;
}

static int run_text(sqlite3 *db, const char *text, double scale)
{
    while (text != NULL && *text != '\0') {
        text = run_statement(db, text, scale);
    }
    return text != NULL ? EXIT_SUCCESS : frame_complain(sqlite3_errmsg(db));
}

static int run(frame *f)
{
    size_t size;
    char *text = frame_read(f->program, &size);
    if (text == NULL) {
        return EXIT_FAILURE;
    }
    sqlite3 *db = NULL;
    int status = EXIT_FAILURE;
    if (configure(f) != SQLITE_OK) {
        (void)frame_complain("SQLite refuses the memory methods");
    } else if (sqlite3_open(":memory:", &db) != SQLITE_OK) {
        (void)frame_complain(db != NULL ? sqlite3_errmsg(db) : "out of memory");
    } else {
        status = run_text(db, text, f->scale);
    }
    sqlite3_close(db);
    sqlite3_shutdown();
    free(text);
    return status;
}

int main(int argc, char **argv)
{
    return frame_main(&(engine){.name = "sqlite", .run = run}, argc, argv);
}
