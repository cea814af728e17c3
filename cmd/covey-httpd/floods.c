/* floods - what is done against who wants more than his share */
#include "floods.h"

#include "answer.h"
#include "clock.h"
#include "log.h"
#include "loop/conn.h"
#include "source.h"

#include <inttypes.h>

#define LOG_MS 60000			/* between two lines of a kind */
#define RETRY "Retry-After: 1\r\n"

static const struct {
	const char *name, *what;
} kinds[] = {
	[FLOOD_IDLE] = { "idle", "limits.connections: closed the longest idle connection for another" },
	[FLOOD_FULL] = { "full", "limits.connections: all are busy, answered 503" },
	[FLOOD_SOURCE] = { "source", "limits.per_source: one address has too many connections, answered 429" },
	[FLOOD_BODY] = { "slow_body", "limits.min_rate: a request came too slowly, answered 408" },
	[FLOOD_READER] = { "slow_reader", "limits.min_rate: an answer was read too slowly, cut" },
	[FLOOD_MEMORY] = { "memory", "limits.buffers: no memory for another body, answered 503" },
	[FLOOD_DESCRIPTORS] = { "descriptors", "too many files are open, answered 503" },
	[FLOOD_WAIT] = { "wait", "limits.prefer_wait: a client wanted to wait for longer" },
	[FLOOD_HOST] = { "host", "hosts: asked by another name, answered 421" },
};
_Static_assert(sizeof kinds / sizeof kinds[0] == FLOOD_KINDS, "each kind has a name");

void floods_note(struct httpd *h, enum flood kind, const struct source *source)
{
	uint64_t count = atomic_fetch_add_explicit(&h->kept->floods.kinds[kind], 1, memory_order_relaxed) + 1;
	uint64_t now = clock_mono_ms(), due = atomic_load(&h->flood_log.kinds[kind].due), said;
	char from[SOURCE_TEXT];

	if (now < due || !atomic_compare_exchange_strong(&h->flood_log.kinds[kind].due, &due, now + LOG_MS))
		return;
	said = atomic_exchange(&h->flood_log.kinds[kind].said, count);
	if (source != NULL)
		source_format(from, source);
	log_line(LOG_LEVEL_WARNING, "%s: %" PRIu64 " since the last such line%s%s", kinds[kind].what,
		 said == 0 || said > count ? 1 : count - said, source ? ", the last one from " : "", source ? from : "");
}

void floods_answer_busy(struct conn *c, enum flood kind, const char *why)
{
	floods_note(c->worker->httpd, kind, &c->line->source);
	answer_error_quietly(c, 503, STR(RETRY), str_of(why));
}

/* What must be reached when nothing else can be. */
static bool is_reserved_for(const struct conn *c)
{
	/* Any stranger can tell of a body, and not send it. */
	return c->request.peer || (str_starts(c->head.path, STR("/.covey/")) && !(c->line->crowded && c->has_body));
}

bool floods_refused(struct conn *c)
{
	struct line *line = c->line;
	struct httpd *h = c->worker->httpd;

	if (line->late && atomic_load(&h->connections) <= h->conf->limits.connections)
		line->late = false;		/* it has a place by now */
	if ((!line->late && !line->crowded) || is_reserved_for(c))
		return false;
	c->last = true;
	if (line->late) {
		floods_answer_busy(c, FLOOD_FULL, "all places are taken: come again");
	} else {
		floods_note(h, FLOOD_SOURCE, &line->source);
		answer_error_with(c, 429, STR(RETRY), STR("this address has too many connections already"));
	}
	return true;
}

void floods_metrics(struct buf *text, const struct httpd *h)
{
	buf_adds(text, "# HELP covey_floods_total What was refused, cut or closed because somebody wanted too much.\n"
		       "# TYPE covey_floods_total counter\n");
	for (size_t i = 0; i < FLOOD_KINDS; i++)
		buf_addf(text, "covey_floods_total{kind=\"%s\"} %" PRIu64 "\n", kinds[i].name,
			 (uint64_t)atomic_load_explicit(&h->kept->floods.kinds[i], memory_order_relaxed));
}

void floods_status(struct buf *json, const struct httpd *h)
{
	buf_adds(json, "\"floods\":{");
	for (size_t i = 0; i < FLOOD_KINDS; i++)
		buf_addf(json, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", kinds[i].name,
			 (uint64_t)atomic_load_explicit(&h->kept->floods.kinds[i], memory_order_relaxed));
	buf_addc(json, '}');
}
