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

#include "container.h"
#include "log.h"
#include "mem.h"

#include <inttypes.h>

#define SOON_MS 3000			/* after a layout; and after a failure */

struct owing {
	struct syncd *daemon;
	struct timer due;
	struct job job;
	uint64_t lineage;		/* the layout's */
	uint32_t keep;
	uint64_t owed;
	int rc;				/* of the job */
	struct err err;
	bool working, again, stopping;
};

static void owe(struct job *job)
{
	struct owing *o = CONTAINER_OF(job, struct owing, job);

	o->owed = 0;
	o->rc = store_owe_marked(o->daemon->store, o->lineage, o->keep, &o->owed, &o->err);
}

static void owed(struct job *job)
{
	struct owing *o = CONTAINER_OF(job, struct owing, job);

	o->working = false;
	if (o->rc < 0)
		log_err(LOG_LEVEL_WARNING, &o->err, "put what this node knows into the outbox");
	else if (o->owed > 0)
		log_line(LOG_LEVEL_INFO, "%" PRIu64 " versions that are known here go to this group",
			 o->owed);
	if (o->stopping) {
		syncd_rest(o->daemon);
		return;
	}
	if (o->owed > 0)
		drain_now(o->daemon->drain);
	if (o->rc < 0 || o->again)
		timer_start(o->daemon->loop, &o->due, SOON_MS);
	o->again = false;
}

static void on_due(struct timer *timer)
{
	struct owing *o = CONTAINER_OF(timer, struct owing, due);
	const struct layout *layout = peers_layout(o->daemon->peers);

	o->again = o->working;
	if (o->working || layout->epoch == 0)
		return;
	o->lineage = layout->lineage;
	o->keep = layout->keep_versions;
	o->working = true;
	pool_submit(o->daemon->disk, &o->job);
}

void owing_relaid(struct owing *o)
{
	if (!o->stopping)
		timer_start(o->daemon->loop, &o->due, SOON_MS);
}

void owing_start(struct syncd *d)
{
	struct owing *o = mem_new(1, sizeof *o);

	d->owing = o;
	o->daemon = d;
	o->due.fire = on_due;
	o->job = (struct job){ .work = owe, .done = owed, .home = d->loop };
	owing_relaid(o);
}

bool owing_rests(const struct owing *o)
{
	return o == NULL || !o->working;
}

void owing_stop(struct owing *o)
{
	o->stopping = true;
	timer_stop(&o->due);
}

void owing_free(struct owing *o)
{
	if (o == NULL)
		return;
	owing_stop(o);
	free(o);
}
