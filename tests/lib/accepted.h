/* accepted: a snapshot as a version that is served, by a chain without stages.
 *
 * WHO    Tests of what is made of versions. Takes the reference to the snapshot over; the caller unrefs the version.
 */
#ifndef WEIR_TESTS_ACCEPTED_H
#define WEIR_TESTS_ACCEPTED_H

#include "pipeline/run/chain.h"

struct version *version_accepted(struct snapshot *s);

#endif
