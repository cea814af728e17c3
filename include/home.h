/*
 * home - the answerer's step: what this node says when it is asked
 *
 * Any node answers CHECK and STORE; whether it counts as a home of the path
 * is the asker's to know.  A question carries the epoch of the asker's
 * layout, and a home
 *
 *	of the same epoch	answers, of what is durable here
 *	of a newer one		answers STALE: what it would say might have been
 *				decided elsewhere since (the fence)
 *	of an older one		says nothing and fetches the layout first: the
 *				asker repeats its question
 *
 * An epoch of 0 asks this node for what it knows, not as a home: that is
 * always answered.  Where the store cannot tell (a person's file in the way,
 * a failed disk), and for what a silent node says as a home, there is no
 * answer: silence is counted as such, a wrong word would be believed.
 *
 *	home_init, home_layout		now and whenever the layout changes
 *	home_receive			a CHECK or a STORE that was opened, is for this
 *					node (wire_is_for), and then
 *		HOME_NOTHING	nothing to do
 *		HOME_ANSWER	send *packet where it came from
 *		HOME_FETCH	fetch the layout of the question's epoch from the sender
 *		HOME_COMMIT	commit the record durably (a copy of the question: its
 *				slices are the packet's), then home_stored(), then send
 *	home_clear
 *
 * The lookup runs within home_receive() and home_stored(); nobody may change
 * the layout meanwhile, so that no answer is of another epoch than it says.
 * lookup, data and silent are the caller's to set, after home_init().
 */
#ifndef COVEY_HOME_H
#define COVEY_HOME_H

#include "wire.h"

struct home_found {
	struct record record;		/* the file's, or of the version asked for; version none: nothing known */
	char type[RECORD_TYPE_MAX + 1];
	bool content;			/* it is here */
	struct record entry;		/* the directory's newest; version none: there never was one */
	struct version gate;		/* of the directory above; none: nobody began to remove it */
};

/*
 * What is durable here.  version none: the file's newest; below: its newest
 * that is less than version; else this one, of either kind (not known: success
 * with a record of version none).  Entry and gate are the
 * newest in any case.  0, or -1: cannot tell.
 */
typedef int home_lookup(void *data, struct str path, struct version version, bool below,
			struct home_found *ret);

struct home {
	home_lookup *lookup;
	void *data;
	bool silent;			/* MEMBER_SILENT: no answers as a home */
	/* private, but may be read */
	struct layout layout;		/* LAYOUT_NONE: in no group yet */
	struct member self;
	uint64_t group;
	struct buf sender;		/* how every packet begins */
};

enum home_step { HOME_NOTHING, HOME_ANSWER, HOME_FETCH, HOME_COMMIT };

/* name and region of self are not told in these packets. */
void home_init(struct home *, uint64_t group, const struct member *self);
void home_clear(struct home *);
/* Another key seals from now on. */
void home_group(struct home *, uint64_t group);

/* False: it is no newer than what is known, and nothing changed. */
bool home_layout(struct home *, const struct layout *);

/* *packet is emptied and made only for HOME_ANSWER. */
enum home_step home_receive(const struct home *, const struct wire *, uint64_t clock,
			    struct buf *packet);
/*
 * The record is on disk.  Compares the epochs again: the layout may have
 * changed during the commit, and whoever synced since has not seen it.
 * HOME_ANSWER or HOME_NOTHING.  asker: the question's sender.
 */
enum home_step home_stored(const struct home *, uint64_t asker, const struct wire_store *,
			   struct buf *packet);

#endif
