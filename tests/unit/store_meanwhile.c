/* store_meanwhile - what people do to a store while it is written, what the dead left, odd names */
#include "store_unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

static void write_file(const char *name, const char *text)
{
	int fd = open(in_store(name, ""), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* Some file that a person had at the path is still in its history. */
static bool kept_aside(const char *path, const char *text)
{
	DIR *dir = opendir(in_store("history/", path));
	const struct dirent *entry;
	char bytes[64];
	bool found = false;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		int fd = strncmp(entry->d_name, ",foreign-", 9) == 0
				 ? openat(dirfd(dir), entry->d_name, O_RDONLY) : -1;
		ssize_t n = fd >= 0 ? read(fd, bytes, sizeof bytes) : -1;

		found |= n == (ssize_t)strlen(text) && memcmp(bytes, text, (size_t)n) == 0;
		if (fd >= 0)
			close(fd);
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

/* A person is quicker than the commit that has already looked what stands there. */
static int put_over(const struct commit *c, const struct store_entry *now, struct err *err)
{
	bool *done = c->data;
	char to[4096];

	(void)now, (void)err;
	if (*done)
		return 0;
	*done = true;
	write_file("tmp/person", "a person's");
	snprintf(to, sizeof to, "%s/tree/%.*s", root, STR_ARG(c->path));
	CHECK(rename(in_store("tmp/", "person"), to) == 0);
	return 0;
}

static void quicker_person(void)
{
	struct commit c = COMMIT_INIT;
	bool done = false;
	char bytes[16];
	int fd;

	CHECK(put("quick", "old") == ERR_NONE);
	c.condition = put_over;
	c.data = &done;
	CHECK(commit(&c, "quick", "new") == ERR_NONE && holds("quick", "new"));
	CHECK(kept_aside("quick", "a person's"));

	CHECK(put("quickly", "old") == ERR_NONE);
	c = (struct commit){ .condition = put_over, .data = &done, .flags = RECORD_DELETED };
	done = false;
	CHECK(commit(&c, "quickly", NULL) == ERR_NONE && holds("quickly", NULL));
	fd = open(in_store("tree/", "quickly"), O_RDONLY);
	CHECK(fd >= 0 && read(fd, bytes, sizeof bytes) == 10);
	close(fd);
}

/* A person takes an older version out of history: it is what is served, so it stays. */
static void put_back(void)
{
	struct commit first = COMMIT_INIT;
	uint64_t bytes;
	char from[4096], text[VERSION_TEXT];

	CHECK(commit(&first, "back", "1") == ERR_NONE && put("back", "2") == ERR_NONE);
	CHECK(put("back", "3") == ERR_NONE);
	CHECK(unlink(in_store("tree/", "back")) == 0);
	snprintf(from, sizeof from, "%s/history/back/,%s", root,
		 version_format(text, first.record.version));
	CHECK(link(from, in_store("tree/", "back")) == 0 && holds("back", "1"));
	CHECK(prune("back", 1, &bytes) == 0);
	CHECK(holds("back", "1"));
}

/* Content takes the place of a pointer, again and again; readers see the one or the other. */

static void *watch(void *stop)
{
	uint64_t wrong = 0;

	while (!atomic_load((atomic_bool *)stop)) {
		struct store_entry entry = STORE_ENTRY_INIT;

		wrong += store_newest(store, STR("points"), STORE_CONTENT, &entry, NULL) < 0 ||
			 entry.foreign || version_is_none(entry.record.version);
		store_entry_clear(&entry);
	}
	return (void *)(uintptr_t)wrong;
}

static void pointers(void)
{
	struct record pointer = { .size = 1, .version.node = 7 };
	atomic_bool stop = false;
	pthread_t watcher;
	void *wrong = NULL;

	CHECK(put("points", "0") == ERR_NONE);
	pthread_create(&watcher, NULL, watch, &stop);
	for (uint64_t i = 1; i <= 300; i++) {
		struct commit c = COMMIT_INIT;
		struct stage *body = stage("x");

		memcpy(pointer.sha256, stage_sha256(body), SHA256_BYTES);
		pointer.version.time = UINT64_C(7000000000) * 1000000000 + i;
		c.path = STR("points");
		c.pointer = &pointer;
		CHECK(store_commit(store, &c, &why) == 0 && c.newest);
		c = (struct commit){ .path = c.path, .stage = body, .fixed = pointer.version };
		CHECK(store_commit(store, &c, &why) == 0 && c.newest);
		stage_free(body);
	}
	atomic_store(&stop, true);
	pthread_join(watcher, &wrong);
	CHECK(wrong == NULL);
}

/* What a killed commit left in tmp/ goes when the store is opened next; what is in use stays. */
static void sweeping(void)
{
	struct store_options options = { .path = root };
	struct flock byte = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1,
			      .l_start = (0xba98 ^ 0x3250) & 0x3fff };
	int fd = open(in_store("", "locks"), O_RDWR | O_CREAT, 0640);

	write_file("tmp/,new-0123456789abcdef", "left");
	write_file("tmp/,new-fedcba9876543250", "in use");
	write_file("tmp/notes-0123456789abcdef", "a person's");
	CHECK(mkdir(in_store("tmp/", ",directory-0123456789abcdee"), 0700) == 0);
	CHECK(fd >= 0 && fcntl(fd, F_OFD_SETLKW, &byte) == 0);
	store_close(store);
	store = NULL;
	CHECK(store_open(&store, &options, &why) == 0);
	CHECK(access(in_store("tmp/", ",new-0123456789abcdef"), F_OK) < 0);
	CHECK(access(in_store("tmp/", ",directory-0123456789abcdee"), F_OK) < 0);
	CHECK(access(in_store("tmp/", ",new-fedcba9876543250"), F_OK) == 0);
	CHECK(access(in_store("tmp/", "notes-0123456789abcdef"), F_OK) == 0);
	close(fd);
}

/* All that can be done to a path, done to one of the longest and oddest. */
static void one_name(const char *path)
{
	uint64_t bytes;

	CHECK(put(path, "1") == ERR_NONE && put(path, "2") == ERR_NONE && holds(path, "2"));
	CHECK(versions(path) == 2);
	CHECK(with_flags(path, RECORD_DELETED) == ERR_NONE && holds(path, NULL));
	CHECK(put(path, "4") == ERR_NONE && versions(path) == 4);
	CHECK(prune(path, 1, &bytes) == 3);
	CHECK(holds(path, "4"));
	CHECK(with_flags(path, RECORD_DELETED) == ERR_NONE);
	CHECK(with_flags(path, RECORD_DIRECTORY) == ERR_NONE);
}

static void odd_names(void)
{
	static const char *const names[] = { ",", ",,", ",new", ",issued", ",foreign-x",
		",20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0", "...", "\xff\xfe\n", "%2e%2e" };
	char name[PATH_COMPONENT_BYTES + 2], path[PATH_BYTES + 2];
	struct listing l = LISTING_INIT;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "odd/%s", names[i]);
		one_name(path);
	}
	memset(name, ',', sizeof name);
	name[PATH_COMPONENT_BYTES] = '\0';
	one_name(name);
	name[PATH_COMPONENT_BYTES] = ',';
	name[PATH_COMPONENT_BYTES + 1] = '\0';
	CHECK(put(name, "x") == ERR_TOO_LARGE);
	for (size_t i = 0; i < PATH_BYTES; i++)
		path[i] = i % 2 ? '/' : ',';
	path[PATH_BYTES - 1] = ',';
	path[PATH_BYTES] = '\0';
	one_name(path);
	path[PATH_BYTES] = ',';
	path[PATH_BYTES + 1] = '\0';
	CHECK(put(path, "x") == ERR_TOO_LARGE);
	CHECK(store_list(store, STR("odd"), (struct str)STR_INIT, 0, true, &l, &why) == 0);
	CHECK(l.count == sizeof names / sizeof names[0]);
	listing_clear(&l);
}

int main(void)
{
	if (!open_store())
		return UNIT_RESULT();
	quicker_person();
	put_back();
	pointers();
	sweeping();
	odd_names();
	close_store();
	return UNIT_RESULT();
}
