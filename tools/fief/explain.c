/* explain: a misuse class: what it means, and where its program and report stand. */
#include "tool.h"

#include <fief/misuse.h>

static int list_classes(void)
{
    for (int i = 0; i < FIEF_MISUSE_CLASSES; i++) {
        printf("%s%-18s%s %s\n", paint("1"), fief_misuse_name((fief_misuse_class)i), paint("0"),
               fief_misuse_explain((fief_misuse_class)i));
    }
    return end_output(stdout, NULL);
}

/* A report's first line may be given whole: misuse[double-free] is double-free. */
static void strip(const char *word, char *ret_name, size_t size)
{
    const char *open = strchr(word, '[');
    (void)snprintf(ret_name, size, "%s", open != NULL ? open + 1 : word);
    ret_name[strcspn(ret_name, "]")] = '\0';
}

int run_explain(int count, char **words)
{
    const char *names[FIEF_MISUSE_CLASSES + 1] = {NULL};
    char name[60];
    if (count == 1) {
        return list_classes();
    }
    if (count > 2) {
        return complain(USAGE, "one class at a time (fief explain CLASS)");
    }
    strip(words[1], name, sizeof name);
    for (int i = 0; i < FIEF_MISUSE_CLASSES; i++) {
        fief_misuse_class class_id = (fief_misuse_class)i;
        names[i] = fief_misuse_name(class_id);
        if (strcmp(names[i], name) != 0) {
            continue;
        }
        if (fief_tool.json) {
            printf("{\"class\":\"%s\",\"explain\":", name);
            put_json(stdout, fief_misuse_explain(class_id));
            printf("}\n");
        } else {
            printf("%s%s%s\n  %s\n", paint("1;31"), name, paint("0"),
                   fief_misuse_explain(class_id));
            hint("  A program that makes it, and its report: docs/misuse.md#%s", name);
        }
        return end_output(stdout, NULL);
    }
    return refuse_word("class", name, names);
}
