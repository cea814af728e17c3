/* notices - what the log says once when it changes, and not with every request */
#include "notices.h"

#include "clock.h"
#include "loop/conn.h"
#include "group.h"
#include "httpd.h"
#include "log.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#define STEADY_MS 5000			/* since the last 202 or look at the group, until the next look */
#define NEAR_FACTOR 2			/* of limits.min_free: the disk is nearly full */
#define ROOM_FACTOR 3			/* the same: it has room again */

/* writes */

static void notices_became_unconfirmed(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	struct buf why = BUF_INIT;

	if (group_can_confirm(h->group, &why))
		buf_adds(&why, "the members are up, but did not answer in time");
	log_line(LOG_LEVEL_WARNING, "writes are not confirmed (202): %s", why.data);
	buf_clear(&why);
}

/* This path has a majority; another may have none, so the whole group is looked at. */
static void notices_seems_confirmed(struct conn *c, uint64_t now)
{
	struct httpd *h = c->worker->httpd;
	struct buf why = BUF_INIT;

	atomic_store(&h->kept->notices.last, now);
	if (group_can_confirm(h->group, &why) && atomic_exchange(&h->kept->notices.unconfirmed, false))
		log_line(LOG_LEVEL_INFO, "writes are confirmed again");
	buf_clear(&why);
}

void notices_write(struct conn *c, bool confirmed)
{
	struct notices *notices = &c->worker->httpd->kept->notices;
	uint64_t now = clock_mono_ms(), last = atomic_load_explicit(&notices->last, memory_order_relaxed);
	const struct prefer *prefer = &c->request.prefer;

	if (c->worker->httpd->group == NULL || prefer->respond_async || prefer->has_wait)
		return;			/* how long was waited is the client's choice, and says nothing */
	if (!confirmed) {
		atomic_store(&notices->last, now);
		if (!atomic_exchange(&notices->unconfirmed, true))
			notices_became_unconfirmed(c);
	} else if (atomic_load_explicit(&notices->unconfirmed, memory_order_relaxed) &&
		   (now < last || now - last >= STEADY_MS)) {	/* or of another boot */
		notices_seems_confirmed(c, now);
	}
}

/* the disk */

void notices_disk(struct httpd *h)
{
	uint64_t min_free = h->conf->limits.min_free, free_bytes;
	struct statvfs st;

	if (statvfs(h->conf->node.store, &st) < 0)
		return;
	free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	if (free_bytes / NEAR_FACTOR < min_free) {
		if (!atomic_exchange(&h->kept->notices.nearly_full, true))
			log_line(LOG_LEVEL_WARNING, "the disk of %s is nearly full: %" PRIu64 " bytes are free, "
				 "and below limits.min_free, %" PRIu64 ", writes are refused (507)",
				 h->conf->node.store, free_bytes, min_free);
	} else if (free_bytes / ROOM_FACTOR >= min_free && atomic_exchange(&h->kept->notices.nearly_full, false)) {
		log_line(LOG_LEVEL_INFO, "the disk of %s has room again: %" PRIu64 " bytes are free",
			 h->conf->node.store, free_bytes);
	}
}
