/* A failed promise: say which one and how we got there, then stop with a core.
 *
 * The process may be in any state, so nothing here allocates or takes a lock of ours: one buffer on
 * the stack, write(2), and glibc's backtrace. Addresses are printed as file(+offset); `addr2line
 * -e` turns them into lines. A promise that fails while the trace is made must not start over,
 * hence the thread-local guard; other threads may print their own trace before abort(3) ends all.
 */
#include "pipeline/base/assert.h"

#include <execinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FRAMES_MAX = 64 };

static _Thread_local bool failing;

_Noreturn void assert_failed(const char *expr, const char *file, int line, const char *func)
{
    if (!failing) {
        failing = true;
        char text[1024];
        int n = snprintf(text, sizeof text, "weir: bug: %s:%d: %s: promise broken: %s\n", file,
                         line, func, expr);
        size_t len = n < 0 ? 0 : (size_t)n;
        if (len >= sizeof text) {
            len = sizeof text - 1;
            text[len - 1] = '\n';
        }
        ssize_t written = write(STDERR_FILENO, text, len);
        (void)written; /* with stderr closed there is still the core */

        void *frames[FRAMES_MAX];
        int got = backtrace(frames, FRAMES_MAX);
        backtrace_symbols_fd(frames, got, STDERR_FILENO);
    }
    abort();
}
