/*
 * layout_page - /.covey/layout: who keeps what, as JSON
 *
 *	{"lineage": "16 hex digits" or null, "left": {"lineage", "epoch"} or null,
 *	 "epoch": N, "joint": bool,
 *	 "homes": N, "copies": N, "keep": {"versions": N, "days": N},
 *	 "members": [{"node", "name", "address", "state", "region", "weight",
 *		      "epoch", "lineage", "silent", "self", "home", "in_a", "in_b",
 *		      "council"}]}
 *
 * Members are all nodes of the group that this one knows, itself first:
 * home is in the layout, in its set A (in_a), or B while it is joint; the
 * others are guests.  left is what a forced layout left.  epoch and lineage of
 * a member are of the newest layout it has: those of another lineage are apart.  Of
 * a member that was never met name, address and state are null.  Epoch 0 is
 * a node that has joined no layout yet, or whose covey-discoverd is away.
 */
#ifndef COVEY_HTTPD_LAYOUT_PAGE_H
#define COVEY_HTTPD_LAYOUT_PAGE_H

#include "buf.h"
#include "layout.h"

struct httpd;

void layout_page_json(struct buf *, const struct httpd *, const struct members *,
		      const struct layout *);

#endif
