/*
 * cache - what was read lately, for whoever reads it again
 *
 * To look up a file costs five system calls, and to read a small one two
 * more: most of what a GET costs.  What was found is handed out again, with
 * its content if that is small, else with its open file, as long as
 *
 *	the path's counters are still, and are those of the reading: no
 *	process of covey has changed anything at the path since; and
 *
 *	it was read within the last second: a person may have changed
 *	tree/, which no counter knows.
 *
 * A path has one place, by its hash.  It gets it when it is looked for twice,
 * and the path that has the place is not meanwhile: so whoever reads
 * everything once displaces nothing.  What cannot be handed out any more is
 * let go within a second, for an open file keeps a removed one's space.
 */
#include "inside.h"

#include "clock.h"
#include "mem.h"

#include <errno.h>
#include <unistd.h>

#define PLACES 1024
#define SMALL_BYTES (16u << 10)
#define CACHE_BYTES (8u << 20)		/* of small contents */
#define TRUE_MS 1000

struct store_body {
	atomic_uint users;
	size_t n;
	char bytes[];
};

struct place {
	char *path;			/* owned; NULL: nothing is here */
	size_t path_bytes;
	uint64_t hash;
	uint64_t missed;		/* hash of the path that was last looked for in vain */
	uint32_t turn;			/* of the counters */
	uint64_t read;			/* ms, monotonic */
	struct store_entry entry;	/* owned; with a body or a descriptor */
};

struct store_cache {
	struct store *store;
	size_t count, bytes, files;	/* of all places */
	size_t hand;			/* where room is made next */
	struct place places[PLACES];
};

struct str store_body_bytes(const struct store_body *body)
{
	return (struct str){ body->bytes, body->n };
}

static struct store_body *body_hold(struct store_body *body)
{
	atomic_fetch_add_explicit(&body->users, 1, memory_order_relaxed);
	return body;
}

void store_body_release(struct store_body *body)
{
	if (body != NULL && atomic_fetch_sub_explicit(&body->users, 1, memory_order_acq_rel) == 1)
		free(body);
}

/* NULL: it cannot be read, or is not as long as it should be. */
static struct store_body *body_read(int fd, size_t n)
{
	struct store_body *body = mem_new(1, sizeof *body + n + 1);

	if (pread(fd, body->bytes, n + 1, 0) != (ssize_t)n) {
		free(body);
		return NULL;
	}
	atomic_init(&body->users, 1);
	body->n = n;
	return body;
}

static void place_clear(struct store_cache *cache, struct place *p)
{
	if (p->path == NULL)
		return;
	cache->count--;
	if (p->entry.body != NULL)
		cache->bytes -= p->entry.body->n;
	else
		cache->files--;
	store_entry_clear(&p->entry);
	free(p->path);
	p->path = NULL;
}

static bool place_is_of(const struct place *p, struct str path, uint64_t hash)
{
	return p->path != NULL && p->hash == hash && p->path_bytes == path.n &&
	       memcmp(p->path, path.s, path.n) == 0;
}

/* False: the process has no descriptor left. */
static bool place_give(const struct place *p, enum store_want want, struct store_entry *ret)
{
	struct store_entry entry = p->entry;

	entry.fd = -1;
	if (want == STORE_RECORD)
		entry.body = NULL;
	else if (entry.body != NULL)
		body_hold(entry.body);
	else if ((entry.fd = fcntl(p->entry.fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return false;
	*ret = entry;
	return true;
}

/* Places are cleared in turn until there is room for so many bytes, or one more open file. */
static void cache_make_room(struct store_cache *cache, size_t bytes, size_t files)
{
	while (cache->bytes + bytes > CACHE_BYTES || cache->files + files > STORE_CACHE_FILES)
		place_clear(cache, &cache->places[cache->hand++ % PLACES]);
}

/* What was just read, with its descriptor; it gets its body instead when it is small. */
static void cache_keep(struct store_cache *cache, struct place *p, struct str path,
		       struct store_entry *entry)
{
	uint64_t size = entry->record.size;
	struct store_body *body = NULL;
	int fd = -1;

	place_clear(cache, p);
	if (size <= SMALL_BYTES)
		body = body_read(entry->fd, (size_t)size);
	else
		fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 0);
	if (body == NULL && fd < 0)
		return;
	cache_make_room(cache, body != NULL ? body->n : 0, body == NULL);
	p->entry = *entry;
	p->entry.body = body;
	p->entry.fd = fd;
	p->path = mem_copy(path.s, path.n);
	p->path_bytes = path.n;
	cache->count++;
	if (body == NULL) {
		cache->files++;
		return;
	}
	cache->bytes += body->n;
	close(entry->fd);
	entry->fd = -1;
	entry->body = body_hold(body);
}

static bool may_be_kept(const struct store_entry *entry)
{
	return entry->fd >= 0 && entry->content && !entry->foreign && record_is_live(&entry->record);
}

int store_cache_newest(struct store_cache *cache, struct str path, enum store_want want,
		       struct store_entry *ret, struct err *err)
{
	uint64_t hash = path_hash(path), now = clock_mono_ms();
	struct place *p = &cache->places[hash % PLACES];
	uint32_t turn, then;
	bool still = counters_still(cache->store, hash, &turn), again;

	if (still && place_is_of(p, path, hash) && p->turn == turn && now - p->read < TRUE_MS &&
	    place_give(p, want, ret)) {
		p->missed = 0;
		return 0;
	}
	if (store_newest(cache->store, path, want, ret, err) < 0)
		return -1;
	again = p->missed == hash || place_is_of(p, path, hash);
	p->missed = hash;
	if (again && still && may_be_kept(ret) && counters_still(cache->store, hash, &then) && then == turn) {
		p->hash = hash;
		p->turn = turn;
		p->read = now;
		cache_keep(cache, p, path, ret);
	}
	return 0;
}

struct store_cache *store_cache_new(struct store *store)
{
	struct store_cache *cache = mem_new(1, sizeof *cache);

	cache->store = store;
	return cache;
}

bool store_cache_sweep(struct store_cache *cache)
{
	uint64_t now = clock_mono_ms();

	for (size_t i = 0; i < PLACES && cache->count > 0; i++)
		if (now - cache->places[i].read >= TRUE_MS)
			place_clear(cache, &cache->places[i]);
	return cache->count > 0;
}

bool store_cache_holds(const struct store_cache *cache)
{
	return cache->count > 0;
}

void store_cache_free(struct store_cache *cache)
{
	if (cache == NULL)
		return;
	for (size_t i = 0; i < PLACES; i++)
		place_clear(cache, &cache->places[i]);
	free(cache);
}
