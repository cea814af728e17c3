/* recent - which paths were checked when, for Cache-Control: max-age=N */
#include "recent.h"

#include "mem.h"
#include "path.h"

#include <pthread.h>

#define PLACES 4096		/* by path hash; a new path takes the place of an old one */

struct place {
	uint64_t hash;		/* of the path; two paths of one hash (64 bits) would share an Age */
	struct version newest;
	uint64_t ms;		/* 0: nothing here */
};

struct recent {
	pthread_mutex_t mutex;
	struct place places[PLACES];
};

struct recent *recent_new(void)
{
	struct recent *m = mem_new(1, sizeof *m);

	pthread_mutex_init(&m->mutex, NULL);
	return m;
}

void recent_free(struct recent *m)
{
	if (m == NULL)
		return;
	pthread_mutex_destroy(&m->mutex);
	free(m);
}

void recent_note(struct recent *m, struct str path, struct version newest, uint64_t ms)
{
	uint64_t hash = path_hash(path);

	pthread_mutex_lock(&m->mutex);
	m->places[hash % PLACES] = (struct place){ hash, newest, ms };
	pthread_mutex_unlock(&m->mutex);
}

void recent_forget(struct recent *m, struct str path)
{
	recent_note(m, path, VERSION_NONE, 0);
}

bool recent_find(struct recent *m, struct str path, struct version *ret_newest,
		 uint64_t *ret_ms)
{
	uint64_t hash = path_hash(path);
	struct place place;

	pthread_mutex_lock(&m->mutex);
	place = m->places[hash % PLACES];
	pthread_mutex_unlock(&m->mutex);
	if (place.ms == 0 || place.hash != hash)
		return false;
	*ret_newest = place.newest;
	*ret_ms = place.ms;
	return true;
}
