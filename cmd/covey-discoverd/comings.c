/*
 * comings - the log's lines about who comes and goes
 *
 * A line for each change that lasts: who is only suspect for a moment, and is
 * heard again, is no news.
 */
#include "discoverd.h"

#include "log.h"
#include "mem.h"

#include <inttypes.h>

struct coming {
	uint64_t id;
	enum member_state said;		/* what the log said of it last, or was known at the start */
};

static struct coming *find(struct discoverd *d, uint64_t id)
{
	for (size_t i = 0; i < d->coming_count; i++)
		if (d->comings[i].id == id)
			return &d->comings[i];
	return NULL;
}

static struct coming *add(struct discoverd *d, uint64_t id, enum member_state said)
{
	d->comings = mem_resize(d->comings, d->coming_count + 1, sizeof *d->comings);
	d->comings[d->coming_count] = (struct coming){ .id = id, .said = said };
	return &d->comings[d->coming_count++];
}

static const struct {
	enum member_state state;
	enum log_level level;
	const char *words;
} sentences[] = {
	{ MEMBER_UP, LOG_LEVEL_INFO, "is up" },
	{ MEMBER_DOWN, LOG_LEVEL_WARNING, "is down: it does not answer any more" },
	{ MEMBER_STOPPED, LOG_LEVEL_INFO, "has stopped, and said so" },
	{ MEMBER_LEFT, LOG_LEVEL_INFO, "is gone for good: it left the layout, or another node has its address" },
	{ MEMBER_INCOMPATIBLE, LOG_LEVEL_WARNING, "is incompatible: it is of a release that speaks another protocol" },
};
#define SENTENCES (sizeof sentences / sizeof sentences[0])

static void say(const struct member *m, enum log_level level, const char *words)
{
	char address[ADDRESS_TEXT];

	log_line(level, "%s (%016" PRIx64 ") at %s %s", m->name, m->id,
		 address_format(address, &m->discovery), words);
}

void comings_log(struct discoverd *d)
{
	if (d->comings_seen == d->gossip.view.changes)
		return;
	d->comings_seen = d->gossip.view.changes;
	for (size_t i = 0; i < d->gossip.view.count; i++) {
		const struct member *m = &d->gossip.view.entries[i].member;
		struct coming *coming = find(d, m->id);
		size_t at = 0;

		while (at < SENTENCES && sentences[at].state != m->state)
			at++;
		if (at == SENTENCES || (coming != NULL && coming->said == m->state))
			continue;
		/* Of one that was never here it is no news that it is away. */
		if (coming != NULL || m->state == MEMBER_UP || m->state == MEMBER_INCOMPATIBLE)
			say(m, sentences[at].level, sentences[at].words);
		if (coming == NULL)
			coming = add(d, m->id, m->state);
		coming->said = m->state;
	}
}

void comings_start(struct discoverd *d)
{
	for (size_t i = 0; i < d->gossip.view.count; i++) {
		const struct member *m = &d->gossip.view.entries[i].member;

		add(d, m->id, m->state);
	}
}

void comings_end(struct discoverd *d)
{
	free(d->comings);
	d->comings = NULL;
	d->coming_count = 0;
}
