/* text_entry: one pass, octet by octet, three things in mind: inside a token, inside quotes, how
 * deep in parentheses.
 *
 * Tokens are found as offsets, since the buffer may move while the entry grows, and become pointers
 * at its end.
 */
#include "pipeline/zone/text_entry.h"
#include "pipeline/base/alloc.h"

#include <errno.h>
#include <string.h>

void text_entry_init(struct text_entry *e)
{
    *e = (struct text_entry){.buf_cap = 1024, .token_cap = 32};
    e->buf = mem_alloc(e->buf_cap);
    e->token = mem_array(e->token_cap, sizeof(e->token[0]));
}

void text_entry_fini(struct text_entry *e)
{
    mem_free(&e->buf);
    mem_free(&e->token);
}

struct lexer {
    struct text_entry *e;
    FILE *in;
    unsigned *line;
    unsigned depth;
    bool token, quoted;
    size_t start; /* of the token */
};

static void entry_put(struct text_entry *e, char c)
{
    if (e->buf_len == e->buf_cap) {
        e->buf_cap *= 2;
        e->buf = mem_resize(e->buf, e->buf_cap);
    }
    e->buf[e->buf_len++] = c;
}

static void token_begin(struct lexer *x)
{
    x->start = x->e->buf_len;
    x->token = true;
}

static void token_end(struct lexer *x)
{
    struct text_entry *e = x->e;
    if (!x->token)
        return;
    if (e->n == e->token_cap) {
        e->token_cap *= 2;
        e->token = mem_resize(e->token, e->token_cap * sizeof(e->token[0]));
    }
    e->token[e->n++].len = (uint32_t)(e->buf_len - x->start);
    entry_put(e, '\0');
    x->token = false;
}

/* Inside quotes. 0, or an error. */
static int lex_quoted(struct lexer *x, int c, struct why *why)
{
    if (c == '\n' || c == EOF)
        return why_set(why, -E_FORMAT, "a quoted string is not closed on its line");
    entry_put(x->e, (char)c);
    if (c == '\\') {
        c = getc_unlocked(x->in);
        if (c == EOF || c == '\n')
            return why_set(why, -E_FORMAT, "a line ends in a backslash");
        entry_put(x->e, (char)c);
    } else if (c == '"') {
        x->quoted = false;
        if (x->e->buf[x->start] == '"')
            token_end(x);
    }
    return 0;
}

/* Outside quotes, blanks and parentheses: a character of a token. */
static int lex_plain(struct lexer *x, int c, struct why *why)
{
    if (!x->token)
        token_begin(x);
    entry_put(x->e, (char)c);
    if (c == '"')
        x->quoted = true;
    if (c != '\\')
        return 0;
    c = getc_unlocked(x->in);
    if (c == EOF || c == '\n')
        return why_set(why, -E_FORMAT, "a line ends in a backslash");
    entry_put(x->e, (char)c);
    return 0;
}

static int lex_parenthesis(struct lexer *x, int c, struct why *why)
{
    token_end(x);
    if (c == '(')
        x->depth++;
    else if (x->depth-- == 0)
        return why_set(why, -E_FORMAT, "')' without '('");
    return 0;
}

static int lex_newline(struct lexer *x)
{
    struct text_entry *e = x->e;
    token_end(x);
    ++*x->line;
    if (x->depth)
        return 0;
    if (e->n)
        return 1;
    e->owner_omitted = false;
    e->line = *x->line;
    return 0;
}

static int lex_end(struct lexer *x, struct why *why)
{
    if (ferror(x->in))
        return why_set(why, -E_IO, "cannot read: %s", strerror(errno));
    if (x->depth)
        return why_set(why, -E_FORMAT, "'(' is not closed before the end of the file");
    token_end(x);
    return x->e->n ? 1 : 0;
}

/* One character. 0: go on; 1: the entry is whole. */
static int lex_step(struct lexer *x, int c, bool at_start, struct why *why)
{
    if (c == 0)
        return why_set(why, -E_FORMAT, "a zero octet: this is not a master file");
    if (x->quoted)
        return lex_quoted(x, c, why);
    switch (c) {
    case ' ':
    case '\t':
    case '\r':
        if (at_start)
            x->e->owner_omitted = true;
        token_end(x);
        return 0;
    case ';':
        token_end(x);
        do
            c = getc_unlocked(x->in);
        while (c != '\n' && c != EOF);
        return c == '\n' ? lex_newline(x) : 0;
    case '\n':
        return lex_newline(x);
    case '(':
    case ')':
        return lex_parenthesis(x, c, why);
    case '"':
        /* a quote opens a token of its own after a blank, or goes on inside one */
    default:
        return lex_plain(x, c, why);
    }
}

static void entry_point(struct text_entry *e)
{
    char *s = e->buf;
    for (unsigned i = 0; i < e->n; i++) {
        e->token[i].s = s;
        s += e->token[i].len + 1;
    }
}

int text_entry_read(struct text_entry *e, FILE *in, unsigned *line, struct why *why)
{
    struct lexer x = {.e = e, .in = in, .line = line};
    e->n = 0;
    e->buf_len = 0;
    e->owner_omitted = false;
    e->line = *line;
    bool at_start = true;
    for (;;) {
        int c = getc_unlocked(in);
        if (c == EOF && !x.quoted) {
            int got = lex_end(&x, why);
            entry_point(e);
            return got;
        }
        int got = lex_step(&x, c, at_start, why);
        if (got > 0) {
            entry_point(e);
            return 1;
        }
        if (got == 0 && e->buf_len > TEXT_ENTRY_MAX)
            got = why_set(why, -E_LIMIT, "an entry of more than %d octets", TEXT_ENTRY_MAX);
        if (got < 0) {
            e->line = *line;
            return got;
        }
        at_start = !e->n && !x.token && !x.depth && (c == '\n' || c == ';');
    }
}
