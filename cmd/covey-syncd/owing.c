/*
 * owing - a node that came over from another group tells this one all it knows
 *
 * covey-discoverd marks that in the store before it adopts a layout of another
 * lineage.  Here each version that is known gets an entry in the outbox, which
 * is drained as ever: so it reaches its homes and keepers, and no version is
 * lost.  It begins a moment after the layout is here, when the other roles
 * have it too: what one of them stores by the old layout until then is
 * committed already, and so among what is found.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

#include <inttypes.h>

#define SOON_MS 3000			/* after a layout; and after a failure */

struct owing {
	struct worker worker;
	uint64_t due;			/* ms, monotonic */
};

static void owe(struct owing *o)
{
	struct syncd *d = o->worker.daemon;
	const struct layout *layout = peers_layout(d->peers);
	uint64_t lineage = layout->lineage, owed = 0;
	uint32_t keep = layout->keep_versions;
	struct err err;
	int rc;

	if (layout->epoch == 0)
		return;
	syncd_unlock(d);
	rc = store_owe_marked(d->store, lineage, keep, &owed, &err);
	if (rc < 0)
		log_err(LOG_LEVEL_WARNING, &err, "bring to this group what is known here");
	else if (owed > 0)
		log_line(LOG_LEVEL_INFO, "%" PRIu64 " versions that are known here go to this group", owed);
	syncd_lock(d);
	if (owed > 0)
		drain_now(d->drain);
	if (rc < 0)
		owing_relaid(o);
}

static void owing_run(struct worker *w)
{
	struct owing *o = CONTAINER_OF(w, struct owing, worker);

	while (worker_wait(w, o->due)) {
		if (clock_mono_ms() < o->due)
			continue;
		o->due = NEVER;
		owe(o);
	}
}

void owing_relaid(struct owing *o)
{
	o->due = clock_mono_ms() + SOON_MS;
	worker_wake(&o->worker);
}

void owing_start(struct syncd *d)
{
	struct owing *o = mem_new(1, sizeof *o);

	d->owing = o;
	owing_relaid(o);
	o->worker = (struct worker){ .run = owing_run, .own = true };
	worker_start(d, &o->worker, d->rounds);
}
