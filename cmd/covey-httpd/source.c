/* source - where clients come from, and how many connections each has */
#include "source.h"

#include "list.h"
#include "mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define PLACES 1024			/* a power of two: more connections than that are rare */
#define NETWORK_BYTES 8			/* of IPv6: what one network is given */

struct entry {
	struct link link;
	struct source source;
	size_t count;			/* connections, at least 1 */
};

struct sources {
	pthread_mutex_t mutex;
	uint64_t key;			/* so that nobody chooses who shares his place */
	struct list places[PLACES];	/* of struct entry, owned */
};

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool is_v4(const uint8_t address[SOURCE_BYTES])
{
	return memcmp(address, v4_mapped, sizeof v4_mapped) == 0;
}

struct source source_at(const uint8_t address[SOURCE_BYTES])
{
	static const uint8_t loopback[SOURCE_BYTES] = { [15] = 1 };
	struct source source;

	memcpy(source.address, address, SOURCE_BYTES);
	if (is_v4(address)) {
		source.counted = source.address[sizeof v4_mapped] != IN_LOOPBACKNET;
		return source;
	}
	source.counted = memcmp(address, loopback, SOURCE_BYTES) != 0;
	memset(source.address + NETWORK_BYTES, 0, SOURCE_BYTES - NETWORK_BYTES);
	return source;
}

const char *source_format_address(char to[SOURCE_TEXT], const uint8_t address[SOURCE_BYTES])
{
	bool v4 = is_v4(address);

	if (inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? address + sizeof v4_mapped : address, to, SOURCE_TEXT) == NULL)
		snprintf(to, SOURCE_TEXT, "?");
	return to;
}

const char *source_format(char to[SOURCE_TEXT], const struct source *source)
{
	char address[SOURCE_TEXT];

	if (!source->counted)
		snprintf(to, SOURCE_TEXT, "this machine");
	else
		snprintf(to, SOURCE_TEXT, "%.*s%s", INET6_ADDRSTRLEN, source_format_address(address, source->address),
			 is_v4(source->address) ? "" : "/64");
	return to;
}

struct sources *sources_new(void)
{
	struct sources *sources = mem_new(1, sizeof *sources);

	pthread_mutex_init(&sources->mutex, NULL);
	if (getrandom(&sources->key, sizeof sources->key, 0) != sizeof sources->key)
		sources->key = (uint64_t)(uintptr_t)sources;
	return sources;
}

void sources_free(struct sources *sources)
{
	if (sources == NULL)
		return;
	for (size_t i = 0; i < PLACES; i++)
		LIST_EACH(struct entry, entry, &sources->places[i], link) {
			list_remove(&entry->link);
			free(entry);
		}
	pthread_mutex_destroy(&sources->mutex);
	free(sources);
}

static struct list *place_of(struct sources *sources, const struct source *source)
{
	uint64_t words[SOURCE_BYTES / sizeof(uint64_t)], hash = sources->key;

	memcpy(words, source->address, sizeof words);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return &sources->places[hash % PLACES];
}

static struct entry *entry_of(struct list *place, const struct source *source)
{
	LIST_EACH(struct entry, entry, place, link)
		if (memcmp(entry->source.address, source->address, SOURCE_BYTES) == 0)
			return entry;
	return NULL;
}

size_t sources_enter(struct sources *sources, const struct source *source)
{
	struct list *place = place_of(sources, source);
	struct entry *entry;
	size_t count;

	if (!source->counted)
		return 0;
	pthread_mutex_lock(&sources->mutex);
	entry = entry_of(place, source);
	if (entry == NULL) {
		entry = mem_new(1, sizeof *entry);
		entry->source = *source;
		list_append(place, &entry->link);
	}
	count = ++entry->count;
	pthread_mutex_unlock(&sources->mutex);
	return count;
}

void sources_leave(struct sources *sources, const struct source *source)
{
	struct list *place = place_of(sources, source);
	struct entry *entry;

	if (!source->counted)
		return;
	pthread_mutex_lock(&sources->mutex);
	entry = entry_of(place, source);
	if (--entry->count == 0) {
		list_remove(&entry->link);
		free(entry);
	}
	pthread_mutex_unlock(&sources->mutex);
}
