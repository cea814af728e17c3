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

static bool is_v4(const struct source *source)
{
	return memcmp(source->address, v4_mapped, sizeof v4_mapped) == 0;
}

struct source source_of(const struct sockaddr_storage *from)
{
	struct source source = { .counted = false };
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (from->ss_family == AF_INET) {
		memcpy(&v4, from, sizeof v4);
		memcpy(source.address, v4_mapped, sizeof v4_mapped);
		memcpy(source.address + sizeof v4_mapped, &v4.sin_addr, sizeof v4.sin_addr);
	} else if (from->ss_family == AF_INET6) {
		memcpy(&v6, from, sizeof v6);
		memcpy(source.address, &v6.sin6_addr, SOURCE_BYTES);
	} else {
		return source;
	}
	if (is_v4(&source)) {
		source.counted = source.address[sizeof v4_mapped] != IN_LOOPBACKNET;
		return source;
	}
	source.counted = from->ss_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
	memset(source.address + NETWORK_BYTES, 0, SOURCE_BYTES - NETWORK_BYTES);
	return source;
}

const char *source_format(char to[SOURCE_TEXT], const struct source *source)
{
	char address[INET6_ADDRSTRLEN] = "?";

	if (!source->counted)
		snprintf(to, SOURCE_TEXT, "this machine");
	else if (is_v4(source) && inet_ntop(AF_INET, source->address + sizeof v4_mapped, address, sizeof address))
		snprintf(to, SOURCE_TEXT, "%s", address);
	else if (inet_ntop(AF_INET6, source->address, address, sizeof address))
		snprintf(to, SOURCE_TEXT, "%s/64", address);
	else
		snprintf(to, SOURCE_TEXT, "?");
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
