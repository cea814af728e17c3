/* keyring - the group's keys, as the key file has them now */
#include "keyring.h"

#include "container.h"
#include "identity.h"
#include "log.h"

#include <sodium.h>

static bool key_eq(const struct seal_keys *a, size_t i, const struct seal_keys *b, size_t j)
{
	return sodium_memcmp(a->list[i].bytes, b->list[j].bytes, SEAL_KEY_BYTES) == 0;
}

static bool has_key(const struct seal_keys *keys, const struct seal_keys *of, size_t i)
{
	for (size_t k = 0; k < keys->count; k++)
		if (key_eq(keys, k, of, i))
			return true;
	return false;
}

static bool is_as_in_file(const struct keyring *ring, const struct seal_keys *file)
{
	if (file->count != ring->in_file)
		return false;
	for (size_t i = 0; i < file->count; i++)
		if (!key_eq(ring->keys, i, file, i))
			return false;
	return true;
}

static void keyring_log(const struct keyring *ring)
{
	char first[SEAL_KEY_NAME], second[SEAL_KEY_NAME];

	seal_key_name(first, ring->keys, 0);
	if (ring->in_file == 1)
		log_line(LOG_LEVEL_INFO, "the group's key is %s now, and no other is taken", first);
	else
		log_line(LOG_LEVEL_INFO, "the group's key is %s now, and %s is taken, too", first,
			 seal_key_name(second, ring->keys, 1));
}

static void keyring_told(struct keyring *ring)
{
	if (ring->changed != NULL)
		ring->changed(ring->service);
}

static void lingered(struct timer *timer)
{
	struct keyring *ring = CONTAINER_OF(timer, struct keyring, linger);
	struct seal_keys *keys = ring->keys;

	for (size_t i = ring->in_file; i < keys->count; i++)
		explicit_bzero(&keys->list[i], sizeof keys->list[i]);
	keys->count = ring->in_file;
	keyring_told(ring);
}

/* Those of the file, then those that it no longer has: the latest of these, as many as there is room for. */
static void keyring_take(struct keyring *ring, const struct seal_keys *file)
{
	struct seal_keys next = *file;

	for (size_t i = 0; i < ring->keys->count && next.count < SEAL_OPENING; i++)
		if (!has_key(&next, ring->keys, i))
			next.list[next.count++] = ring->keys->list[i];
	*ring->keys = next;
	ring->in_file = file->count;
	if (next.count > file->count)
		timer_start(ring->service->loop, &ring->linger, KEYRING_LINGER_MS);
	explicit_bzero(&next, sizeof next);
}

void keyring_reload(struct keyring *ring)
{
	struct seal_keys file = SEAL_KEYS_INIT;
	struct err err = ERR_INIT;

	if (ring->in_file == 0)
		return;
	if (identity_keys(ring->service->conf, &file, &err) < 0) {
		log_err(LOG_LEVEL_WARNING, &err, "the group's keys stay as they were");
	} else if (!is_as_in_file(ring, &file)) {
		keyring_take(ring, &file);
		keyring_log(ring);
		keyring_told(ring);
	}
	explicit_bzero(&file, sizeof file);
}

int keyring_start(struct keyring *ring, struct service *service, struct seal_keys *keys,
		  void (*changed)(struct service *), struct err *err)
{
	const char *file = service->conf->group.key_file;

	if (file != NULL)
		service_watch_file(service, file);
	if (identity_keys(service->conf, keys, err) < 0)
		return -1;
	*ring = (struct keyring){ .keys = keys, .in_file = keys->count, .service = service,
				  .changed = changed, .linger.fire = lingered };
	return 0;
}

void keyring_clear(struct keyring *ring)
{
	timer_stop(&ring->linger);
	if (ring->keys != NULL)
		explicit_bzero(ring->keys, sizeof *ring->keys);
	*ring = (struct keyring)KEYRING_INIT;
}
