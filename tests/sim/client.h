/* client - what client.c and outbox.c share: an operation under way on a machine */
#ifndef COVEY_SIM_CLIENT_H
#define COVEY_SIM_CLIENT_H

#include "sim.h"

#define HAVE_MAX 16

enum kind { GET, PUT, DELETE, MAKE, REMOVE, INDEX, VERSIONS, DRAIN };

struct op {
	struct op *next;
	struct machine *machine;
	enum kind kind;
	int path;
	size_t deed;
	uint64_t began;			/* history_now() */
	struct listing *list;		/* owned; NULL: none yet */
	struct check_wait check;
	struct store_wait store;
	uint64_t token;			/* ties answers and timers to it */
	struct record record;
	bool checked;			/* a majority answered before the version was chosen */
	bool settled, committed;
	bool pointer;			/* DRAIN: the content is not here */
	bool read_back;			/* a GET that stores what it found */
	bool go_below;			/* and may look for the next lower */
	struct version above;		/* what the check said */
	uint64_t clock;
	uint64_t have[HAVE_MAX];	/* ids of those that said they have the content, this node first */
	size_t have_count;
};

struct op *op_find(struct machine *, uint64_t token);	/* NULL: it is over */
struct op *op_new(struct machine *, enum kind, int path);
void op_free(struct op *);
void op_after(struct op *, uint64_t ms, void (*fire)(struct op *));
void op_tell(enum note, struct op *, uint64_t to);
bool op_has(const struct op *, uint64_t id);
void op_credit(struct op *, uint64_t id);	/* it has the content */
void op_store(struct op *, void (*done)(struct store_wait *, const struct store_answer *));

/* lists.c */
void list_index(struct op *);
void list_versions(struct op *);
void list_rmdir(struct op *);
void list_free(struct op *);

/* client.c: what was pulled is on the disk; a write may have all it needs */
void client_content_is_here(struct writing *);
void client_maybe_confirm(struct op *);

#endif
