/* status_p: what the parts of status share. Private to pipeline/net/status*.c.
 */
#ifndef WEIR_NET_STATUS_P_H
#define WEIR_NET_STATUS_P_H

#include "pipeline/base/json.h"
#include "pipeline/net/status.h"

#include <stdio.h>

enum { AGO_MAX = 48 };
/* "3m12s", "2d4h": the two largest units of the time since then. */
char *ago(time_t at, char out[AGO_MAX]);

/* ---- status_signers.c */
/* Has the zone other signers, or had it? */
bool signers_known(struct zone *z);
void signers_status_text(FILE *f, struct server *s, struct zone *z);
void signers_status_json(struct json *j, struct server *s, struct zone *z);   /* fields into the open object */

#endif
