/* types: the type bitmap of an NSEC or NSEC3 (RFC 4034 4.1.2), in the making. Windows that are not used cost nothing.
 */
#include "stages/sign/sign.h"

void typeset_begin(struct type_set *types)
{
    for (unsigned i = 0; i <= types->last; i++)
        types->window[i].len = 0;
    types->last = 0;
}

/* At a cut, what the parent answers for. */
static bool denial_lists(enum name_status status, uint16_t type)
{
    return status == NAME_CUT ? type == RR_NS || type == RR_DS : type != RR_RRSIG;
}

void typeset_add(struct type_set *types, uint16_t type)
{
    struct type_window *window = &types->window[type >> 8];
    if (window->len == 0)
        memset(window, 0, sizeof(*window));
    uint8_t octet = (uint8_t)((type & 0xff) / 8);
    window->bit[octet] |= (uint8_t)(0x80 >> type % 8);
    if (octet >= window->len)
        window->len = (uint8_t)(octet + 1);
    if (type >> 8 > types->last)
        types->last = (uint8_t)(type >> 8);
}

void typeset_add_node(struct type_set *types, const struct node *node, enum name_status status)
{
    for (unsigned i = 0; i < node->nrrsets; i++)
        if (denial_lists(status, node->head[i].type))
            typeset_add(types, node->head[i].type);
}

void typeset_write(const struct type_set *types, struct wbuf *out)
{
    for (unsigned i = 0; i <= types->last; i++) {
        const struct type_window *window = &types->window[i];
        if (window->len == 0)
            continue;
        wbuf_u8(out, (uint8_t)i);
        wbuf_u8(out, window->len);
        wbuf_put(out, window->bit, window->len);
    }
}
