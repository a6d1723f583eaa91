#include "repl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(LOX_EDITLINE)
#include <editline/readline.h>
#elif defined(LOX_READLINE)
#include <readline/history.h>
#include <readline/readline.h>
#endif

#if defined(LOX_EDITLINE) || defined(LOX_READLINE)

static void edit_lines(vm *vm)
{
    char *line;
    while ((line = readline("> ")) != NULL) {
        if (line[0] != '\0') {
            add_history(line);
        }
        (void)vm_interpret(vm, line, strlen(line));
        fflush(stdout);
        free(line);
    }
}

#else

static void edit_lines(vm *vm)
{
    char line[4096];
    while (fputs("> ", stdout), fflush(stdout), fgets(line, sizeof line, stdin) != NULL) {
        (void)vm_interpret(vm, line, strlen(line));
    }
}

#endif

/* getline's buffer is libc's, as the file that it reads is. */
static void pipe_lines(vm *vm)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, stdin)) >= 0) {
        (void)vm_interpret(vm, line, (size_t)length);
    }
    free(line);
}

void repl(vm *vm)
{
    if (isatty(STDIN_FILENO)) {
        edit_lines(vm);
        putchar('\n');
    } else {
        pipe_lines(vm);
    }
}
