/*
 * delta - contents that go coded, by an older version that both sides have
 *
 * Whether they do is the configuration's to say (group.delta), and by default
 * what was measured of each peer (pace.h).  What is coded is a file without a
 * name, made once for all keepers; what has come coded is decoded as it comes
 * (pull.c).  Whatever fails on the way goes as it is.
 */
#include "syncd.h"

#include "clock.h"

#include <unistd.h>

#define FAST_RATE (64u << 20)		/* bytes per second: whoever is at least as fast is fast */

bool delta_pays(struct syncd *d, uint64_t node, uint64_t size)
{
	if (d->delta == CONF_DELTA_OFF || !coding_is_for(size) || d->keys.count == 0)
		return false;
	return d->delta == CONF_DELTA_ON || pace_pays(&d->pace, node, size, clock_mono_ms());
}

void delta_note_sent(struct syncd *d, uint64_t node, const struct fetch *fetch)
{
	if (fetch->pace > 0 && (!fetch->pace_least || fetch->pace >= FAST_RATE))
		pace_note(&d->pace, node, fetch->pace, clock_mono_ms());
}

void delta_went_again(struct syncd *d)
{
	atomic_fetch_add(&d->counts->again, 1);
}

/* what a content is coded by */

int dictionary_find(struct syncd *d, struct str path, struct version below, struct store_entry *ret)
{
	return store_older_content(d->store, path, below, NULL, CODING_MOST, ret, NULL);
}

void coded_content_make(struct syncd *d, struct coded_content *c, struct str path, const struct record *record, int fd)
{
	struct store_entry by = STORE_ENTRY_INIT;
	struct err err = ERR_INIT;
	uint64_t began = clock_mono_us();
	int rc = -1;

	syncd_unlock(d);
	if (coding_enter()) {
		dictionary_find(d, path, record->version, &by);
		c->by = by.record.version;
		c->coding = by.fd >= 0 ? CODING_DCZ : CODING_ZSTD;
		rc = delta_encode(d->store, fd, record->size, &by, &c->fd, &c->size, &err);
		store_entry_clear(&by);
		coding_leave();
	}
	syncd_lock(d);
	if (rc == 0)
		pace_note_coder(&d->pace, record->size, clock_mono_us() - began, clock_mono_ms());
	if (rc == 0 || err.kind == ERR_TOO_LARGE)
		pace_note_result(&d->pace, rc == 0);
	if (rc < 0)
		coded_content_clear(c);
}

void coded_content_clear(struct coded_content *c)
{
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct coded_content)CODED_CONTENT_INIT;
}
