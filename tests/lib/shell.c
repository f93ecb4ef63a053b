/* shell: see the header. */
#include "tests/lib/shell.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct shell shell_open(const char *name)
{
    struct shell s;
    snprintf(s.dir, sizeof(s.dir), "/tmp/weir-%s-XXXXXX", name);
    ck_assert_ptr_nonnull(mkdtemp(s.dir));
    return s;
}

void shell_close(struct shell *s)
{
    shell_do(s, "cd / && rm -rf %s", s->dir);
}

static char *read_all(FILE *in, size_t *len)
{
    size_t cap = 1 << 16, n;
    char *text = malloc(cap);
    *len = 0;
    while (text && (n = fread(text + *len, 1, cap - *len - 1, in)) > 0) {
        *len += n;
        if (cap - *len < 2)
            text = realloc(text, cap *= 2);
    }
    ck_assert_ptr_nonnull(text);
    text[*len] = '\0';
    return text;
}

__attribute__((format(printf, 2, 0))) static char *run(const struct shell *s, const char *fmt,
                                                       va_list args)
{
    char command[2048], whole[2300];
    vsnprintf(command, sizeof(command), fmt, args);
    snprintf(whole, sizeof(whole), "cd %s && { %s\n} 2>shell.err", s->dir, command);
    FILE *in = popen(whole, "r");
    size_t len;
    ck_assert_ptr_nonnull(in);
    char *text = read_all(in, &len);
    int status = pclose(in);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        char *said = shell_read(s, "shell.err", &len);
        ck_abort_msg("%s: status %d\n%s%s", command, status, text, said);
    }
    return text;
}

char *shell_run(const struct shell *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = run(s, fmt, args);
    va_end(args);
    return text;
}

void shell_do(const struct shell *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    free(run(s, fmt, args));
    va_end(args);
}

static FILE *file_open(const struct shell *s, const char *name, const char *mode)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    FILE *f = fopen(path, mode);
    ck_assert_msg(f != NULL, "%s", path);
    return f;
}

char *shell_read(const struct shell *s, const char *name, size_t *len)
{
    FILE *in = file_open(s, name, "r");
    char *text = read_all(in, len);
    fclose(in);
    return text;
}

void shell_write(const struct shell *s, const char *name, const char *text)
{
    FILE *out = file_open(s, name, "w");
    fputs(text, out);
    ck_assert_int_eq(fclose(out), 0);
}
