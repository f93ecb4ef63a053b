/* home: see home.h. */
#include "tests/lib/home.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT = 16 };

const char *home(const char *text)
{
    static char *kept[KEPT];
    static unsigned turn;
    char **out = &kept[turn++ % KEPT];
    size_t len;
    unsigned pid = (unsigned)getpid();
    free(*out);
    FILE *f = open_memstream(out, &len);
    ASSERT(f);
    for (const char *p = text; *p;) {
        const char *hit = strstr(p, "HOST");
        if (!hit || hit[4] < '1' || hit[4] > '9') {
            fputs(p, f);
            break;
        }
        fwrite(p, 1, (size_t)(hit - p), f);
        fprintf(f, "127.%u.%u.%u", 2 + (pid >> 12) % 250, pid >> 4 & 255,
                (pid & 15) << 4 | (unsigned)(hit[4] - '0'));
        p = hit + 5;
    }
    fclose(f);
    return *out;
}
