/* tsig_count: what is counted and told of signed queries.
 *
 * WHO    The query thread that answered. The log has one line in ten seconds (RFC 8945 5.2: errors SHOULD be logged).
 */
#ifndef WEIR_NET_TSIG_COUNT_H
#define WEIR_NET_TSIG_COUNT_H

#include "pipeline/net/answer.h"
#include "pipeline/net/server.h"

void tsig_count(struct query_thread *thread, const struct answer_result *result, const struct address *peer);

#endif
