/*
 * discover_talk - the conversation on discover.sock: the group and its layout
 *
 *	VIEW {}			->	MEMBERS {self, offset, members}, LAYOUT {layout}
 *	WATCH {}		->	the same at once, and after each change the one that changed
 *	LEAVE {}		->	DONE {}		say good-bye to the group and stop
 *	BEHIND {epoch, node, from} ->	DONE {}		that node, there, has this layout: fetch it
 *	SYNCED {epoch}		->	DONE {}		this node has all records for this joint layout
 *	WAITS {text}		->	DONE {}		why what this node keeps is not taken over yet, or empty
 *	CHANGE {what, numbers}	->	PROGRESS {text}... DONE {} or FAILED	covey layout set, leave, join, force, adopt, forget
 *	CARRY {sealed packet}	->	CARRIED {sealed packet, or empty}	a packet that came by HTTP
 *
 * This node is the first member.  A layout that is told is on this node's
 * disk.  Of a node that has no layout yet LAYOUT is LAYOUT_NONE.
 *
 * CHANGE with leave is done when this node is in no layout any more; what
 * it keeps has been taken over by then.  With join it is done when this node is
 * a member.  Either stands when nobody waits for it any more.  With adopt it
 * is done when this node has a layout of that lineage.  Progress is told
 * in lines for people.
 *
 * Packing appends a body; unpacking judges it whole, and on failure leaves
 * *ret untouched.
 */
#ifndef COVEY_DISCOVER_TALK_H
#define COVEY_DISCOVER_TALK_H

#include "message.h"

enum discover_talk {
	DISCOVER_VIEW = 1,
	DISCOVER_WATCH,
	DISCOVER_LEAVE,
	DISCOVER_MEMBERS,
	DISCOVER_DONE,
	DISCOVER_LAYOUT,
	DISCOVER_BEHIND,
	DISCOVER_SYNCED,
	DISCOVER_CHANGE,
	DISCOVER_PROGRESS,
	DISCOVER_CARRY,
	DISCOVER_CARRIED,
	DISCOVER_WAITS,
};
#define DISCOVER_WAITS_MAX 160		/* bytes of its text */

struct discover_behind {
	uint64_t epoch, node;
	struct address from;		/* its discovery */
};

struct discover_change {
	enum { CHANGE_SET = 1, CHANGE_LEAVE, CHANGE_FORCE, CHANGE_JOIN, CHANGE_ADOPT,
	       CHANGE_FORGET } what;
	/* SET: the new number; 0: as it is.  keep_days: UINT32_MAX as it is */
	uint8_t homes, copies;
	uint32_t keep_versions, keep_days;
	uint32_t within_ms;		/* SET, ADOPT: then it fails and says what may yet happen; 0: never */
	uint64_t lineage;		/* ADOPT */
	uint64_t node;			/* FORGET */
};

/*
 * offset: what is to be added to this node's clock to have the group's
 * (the lower median of all clocks), ns.
 */
void discover_members_pack(struct buf *, const struct members *, int64_t offset);
/* Replaces what *ret holds; on failure leaves it untouched.  ret_offset may be NULL. */
int discover_members_unpack(struct str, struct members *ret, int64_t *ret_offset, struct err *);
MESSAGE(discover_layout, struct layout);
MESSAGE(discover_behind, struct discover_behind);
MESSAGE_VALUE(discover_synced, uint64_t);	/* the epoch */
MESSAGE(discover_change, struct discover_change);
/* PROGRESS, WAITS, CARRY and CARRIED: the body is the text, or the packet. */

extern const struct message *const discover_messages[];	/* those with a table, then NULL */

#endif
