/* placement.h - the placement policies, one a file, and who belongs where. */
#ifndef ADAMIX_PARALLEL_PLACEMENT_H
#define ADAMIX_PARALLEL_PLACEMENT_H

#include <adamix/parallel.h>

extern const adamix_placement_policy adamix_placement_owned, adamix_placement_replicated;

/* The group of a rank of the world: floor (r G / W), so groups are runs of neighbouring ranks. */
int adamix_placement_group_of (const adamix_placement *placement, int rank);

#endif
