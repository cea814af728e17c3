/* carry - CARRY: a sealed packet of another role, by HTTP */
#include "syncd.h"

#include "container.h"
#include "mem.h"

struct carrying {
	struct syncd *daemon;
	struct carrying *next, *prev;
	struct asker asker;
	struct posting posting;
};

static void carrying_free(struct carrying *c)
{
	struct syncd *d = c->daemon;

	posting_clear(&c->posting);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		d->carryings = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	free(c);
	syncd_rest(d);
}

static void posted(struct posting *posting, const struct err *err)
{
	struct carrying *c = CONTAINER_OF(posting, struct carrying, posting);

	if (err != NULL) {
		serve_fail(c->asker.request, err);
	} else {
		serve_reply(c->asker.request, SYNC_CARRIED, buf_str(&posting->answer), NULL, 0);
		serve_end(c->asker.request);
	}
	carrying_free(c);
}

static void asker_gone(struct asker *asker)
{
	carrying_free(CONTAINER_OF(asker, struct carrying, asker));
}

void carry_ask(struct syncd *d, struct serve_request *request, const struct sync_carry *carry)
{
	struct carrying *c = mem_new(1, sizeof *c);

	c->daemon = d;
	c->asker = (struct asker){ .request = request, .gone = asker_gone };
	c->posting.done = posted;
	c->next = d->carryings;
	if (c->next != NULL)
		c->next->prev = c;
	d->carryings = c;
	request->data = &c->asker;
	posting_start(d, &c->posting, &carry->http,
		      carry->to == SYNC_TO_VERSIONS ? "versions" : "discovery", carry->packet,
		      d->first_byte_ms);
}

void carry_stop(struct syncd *d)
{
	struct err err;

	err_set(&err, ERR_AWAY, "carry: covey-syncd is stopping");
	while (d->carryings != NULL)
		posted(&d->carryings->posting, &err);
}
