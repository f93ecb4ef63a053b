/* tally: what is told once for the zone, with a count, for it tends to be so at every name.
 *
 * Each worker counts for itself and remembers the case that comes first: by the value where one
 * counts (when signatures end), else by canonical order. Adding up is commutative, so the result is
 * the same whatever thread looked at which name.
 */
#include "stages/validate/validate.h"

static int tally_cmp(const struct tally *a, const struct tally *b)
{
    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    int order = name_cmp(a->owner, b->owner);
    return order != 0 ? order : (int)a->type - (int)b->type;
}

void tally_merge(struct tally *tally, const struct tally *other)
{
    if (other->n == 0)
        return;
    size_t n = tally->n + other->n;
    if (tally->n == 0 || tally_cmp(other, tally) < 0)
        *tally = *other;
    tally->n = n;
}

void tally_add(struct tally *tally, int64_t value, const uint8_t *owner, uint16_t type)
{
    tally_merge(tally, &(struct tally){.n = 1, .value = value, .owner = owner, .type = type});
}

void tally_report(const struct check *check, enum tally_kind kind, enum validate_code code,
                  int64_t n1)
{
    const struct tally *tally = &check->tally[kind];
    if (tally->n > 0)
        finding_add(check->run->findings, code, tally->owner, tally->type, (int64_t)tally->n, n1,
                    NULL);
}
