/* store_cache - what one thread has read lately: handed out as long as it is true, and let go then */
#include "store_unit.h"

#include <fcntl.h>

#define LARGE 100000
#define FRESH_US 1100000	/* after that nothing that was read counts any more */

static struct store_cache *cache;

static struct store_entry look(const char *path)
{
	struct store_entry entry = STORE_ENTRY_INIT;

	CHECK(store_cache_newest(cache, str_of(path), STORE_CONTENT, &entry, &why) == 0);
	return entry;
}

/* The answer is this content, or none, from memory or not. */
static bool tells(const char *path, const char *content, bool from_memory)
{
	struct store_entry entry = look(path);
	struct str body = entry.body != NULL ? store_body_bytes(entry.body) : (struct str)STR_INIT;
	char bytes[64];
	ssize_t n;
	bool right;

	if (entry.body == NULL && entry.fd >= 0 && (n = pread(entry.fd, bytes, sizeof bytes, 0)) >= 0)
		body = (struct str){ bytes, (size_t)n };
	right = content == NULL ? body.s == NULL && !entry.content
				: body.s != NULL && entry.content && str_eq(body, str_of(content));
	right = right && (entry.body != NULL) == from_memory;
	store_entry_clear(&entry);
	return right;
}

/* A path that was never asked for is remembered from the second time on. */
static void remember(const char *path, const char *content)
{
	CHECK(tells(path, content, false) && tells(path, content, true) && tells(path, content, true));
}

static size_t open_files(void)
{
	return names_in("/proc/self/fd");
}

static void put_large(const char *path, char fill)
{
	static char body[LARGE + 1];

	memset(body, fill, LARGE);
	CHECK(put(path, body) == ERR_NONE);
}

static char first_byte(const char *path)
{
	struct store_entry entry = look(path);
	char byte = '-';

	CHECK(entry.fd < 0 || pread(entry.fd, &byte, 1, 0) == 1);
	store_entry_clear(&entry);
	return byte;
}

/* What the same process writes, or another one, is told at once; so is what it removes. */
static void changes(void)
{
	struct store_options options = { .path = root };
	struct store *mine = store, *other = NULL;
	struct store_entry entry;
	struct version v;
	uint64_t bytes;

	CHECK(put("a", "one") == ERR_NONE);
	remember("a", "one");
	CHECK(put("a", "two") == ERR_NONE);
	CHECK(tells("a", "two", true));
	CHECK(store_open(&other, &options, &why) == 0);
	store = other;
	CHECK(put("a", "three") == ERR_NONE);
	CHECK(tells("a", "three", true));
	CHECK(with_flags("a", RECORD_DELETED) == ERR_NONE);
	CHECK(tells("a", NULL, false));
	CHECK(put("a", "four") == ERR_NONE);
	CHECK(tells("a", "four", true));
	entry = look("a");
	v = entry.record.version;
	store_entry_clear(&entry);
	CHECK(store_evict(store, STR("a"), v, &bytes, &why) == 0);
	CHECK(tells("a", NULL, false));
	store_close(other);
	store = mine;
}

/* Until a version is on disk the one before is told, remembered or not. */
static void coming(void)
{
	struct commit c = { .ungrouped = true, .path = STR("coming"), .stage = NULL };

	CHECK(put("coming", "old") == ERR_NONE);
	remember("coming", "old");
	c.stage = stage("new");
	CHECK(commit_submit(store, &c, &why) == 0);
	CHECK(tells("coming", "old", false) && tells("coming", "old", false));
	CHECK(commit_wait(store, &c, &why) == 0);
	stage_free(c.stage);
	CHECK(tells("coming", "new", true));
}

/* What a person does is seen a second later, and nothing that a person put there is remembered. */
static void person(void)
{
	FILE *file;

	CHECK(put("p", "ours") == ERR_NONE);
	remember("p", "ours");
	CHECK(unlink(in_store("tree/", "p")) == 0);
	file = fopen(in_store("tree/", "p"), "w");
	CHECK(file != NULL && fputs("a person's", file) > 0 && fclose(file) == 0);
	usleep(FRESH_US);
	for (int i = 0; i < 3; i++) {
		struct store_entry entry = look("p");

		CHECK(entry.foreign && entry.body == NULL);
		store_entry_clear(&entry);
	}
}

/* A large content stays open for who has it, and its space is free a second after the last look. */
static void large(void)
{
	size_t before = open_files();
	struct store_entry entry;
	char byte;

	put_large("large", 'x');
	CHECK(first_byte("large") == 'x' && open_files() == before);
	CHECK(first_byte("large") == 'x' && open_files() == before + 1);
	entry = look("large");
	CHECK(entry.fd >= 0 && entry.body == NULL && open_files() == before + 2);
	put_large("large", 'y');
	CHECK(first_byte("large") == 'y');
	CHECK(pread(entry.fd, &byte, 1, LARGE - 1) == 1 && byte == 'x');
	store_entry_clear(&entry);
	CHECK(store_cache_sweep(cache) && store_cache_holds(cache));
	usleep(FRESH_US);
	CHECK(!store_cache_sweep(cache) && !store_cache_holds(cache) && open_files() == before);
}

/* More files than there are places, and more bytes than it may hold: it stays within bounds, and true. */
static void many(void)
{
	size_t before = open_files();
	char name[32], body[16001];
	struct store_entry entry;

	memset(body, 'm', sizeof body - 1);
	body[sizeof body - 1] = '\0';
	for (int i = 0; i < 700; i++) {
		snprintf(name, sizeof name, "many%d", i);
		CHECK(put(name, body) == ERR_NONE);
	}
	for (int i = 0; i < 1400; i++) {
		snprintf(name, sizeof name, "many%d", i / 2);
		entry = look(name);
		CHECK(entry.content && entry.record.size == sizeof body - 1);
		if (entry.body != NULL)
			CHECK(memcmp(store_body_bytes(entry.body).s, body, sizeof body - 1) == 0);
		store_entry_clear(&entry);
	}
	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof name, "open%d", i);
		put_large(name, 'o');
		CHECK(first_byte(name) == 'o' && first_byte(name) == 'o');
	}
	CHECK(open_files() <= before + 128);
}

/* A body outlives its cache. */
static void outlives(void)
{
	struct store_entry entry;

	CHECK(put("last", "words") == ERR_NONE);
	remember("last", "words");
	entry = look("last");
	store_cache_free(cache);
	CHECK(entry.body != NULL && str_eq(store_body_bytes(entry.body), STR("words")));
	store_entry_clear(&entry);
}

int main(void)
{
	if (!open_store())
		return 1;
	cache = store_cache_new(store);
	changes();
	coming();
	person();
	large();
	many();
	outlives();
	close_store();
	return UNIT_RESULT();
}
