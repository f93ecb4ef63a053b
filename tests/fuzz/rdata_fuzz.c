/* Two octets of type, then a line of text: it is refused, or what it gives prints and reads back to
 * the same octets. Also ldns's readers of single fields stand behind this. */
#include "pipeline/zone/rrtype.h"
#include "pipeline/zone/text_rdata.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* ldns forgets a few octets when it refuses a field. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libldns";
}

static int parse(struct text_rdata *t, struct text_entry *e, uint16_t type, const char *text,
                 size_t n, uint8_t *out, uint16_t *len)
{
    unsigned line = 1;
    FILE *in = fmemopen((void *)(uintptr_t)text, n, "r");
    if (!in)
        return -E_IO;
    int got = text_entry_read(e, in, &line, NULL);
    fclose(in);
    return got == 1 ? text_rdata_parse(t, type, e->token, e->n, out, len, NULL) : -E_FORMAT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t first[RDATA_MAX_OCTETS], second[RDATA_MAX_OCTETS];
    uint16_t len, again;
    if (size < 3)
        return 0;
    uint16_t type = (uint16_t)(data[0] << 8 | data[1]);
    struct text_rdata *t = text_rdata_new();
    struct text_entry e;
    text_entry_init(&e);
    if (parse(t, &e, type, (const char *)data + 2, size - 2, first, &len) == 0) {
        const char *text = text_rdata_print(t, type, first, len);
        if (parse(t, &e, type, text, strlen(text), second, &again) || len != again ||
            memcmp(first, second, len) != 0)
            abort();
    }
    text_entry_fini(&e);
    text_rdata_free(&t);
    return 0;
}
