/*
 * store_unit - what the store's tests share: a store of their own on a disk,
 * and short ways to write to it and to look at it
 */
#ifndef COVEY_STORE_UNIT_H
#define COVEY_STORE_UNIT_H

#include "store.h"
#include "unit.h"

#include <dirent.h>
#include <unistd.h>

static struct store *store;
static char *root;		/* of the store */
static struct err why;

static inline char *in_store(const char *format, const char *name)
{
	static char path[4096];
	int n = snprintf(path, sizeof path, "%s/", root);

	snprintf(path + n, sizeof path - (size_t)n, "%s%s", format, name);
	return path;
}

static inline struct stage *stage(const char *body)
{
	struct stage *s = NULL;

	CHECK(stage_begin(store, &s, &why) == 0);
	CHECK(stage_add(s, body, strlen(body), &why) == 0);
	CHECK(stage_sync(s, &why) == 0);
	return s;
}

/* Commit as c says, with this body unless NULL; the error's kind. */
static inline enum err_kind commit(struct commit *c, const char *path, const char *body)
{
	int status;

	why = (struct err)ERR_INIT;
	c->path = str_of(path);
	c->stage = body != NULL ? stage(body) : NULL;
	status = store_commit(store, c, &why);
	stage_free(c->stage);
	c->stage = NULL;
	return status == 0 ? ERR_NONE : why.kind;
}

/* What a group of one does. */
static inline enum err_kind put(const char *path, const char *body)
{
	struct commit c = { .ungrouped = true };

	return commit(&c, path, body);
}

static inline enum err_kind with_flags(const char *path, uint8_t flags)
{
	struct commit c = { .ungrouped = true, .flags = flags };

	return commit(&c, path, NULL);
}

/* One that a person found in tree/, or that waits, or nothing: what stands by the records. */
static inline int stands(const char *path, enum name_kind expected)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	enum name_kind stands = NAME_ABSENT;

	CHECK(store_newest(store, str_of(path), STORE_RECORD, &entry, &why) == 0);
	stands = store_name_kind(&entry);
	store_entry_clear(&entry);
	return stands == expected;
}

static inline struct store_entry get(const char *path)
{
	struct store_entry entry = STORE_ENTRY_INIT;

	if (store_newest(store, str_of(path), STORE_CONTENT, &entry, &why) < 0)
		fprintf(stderr, "%s\n", why.text);
	return entry;
}

/* The newest version's content is this; NULL: there is no content. */
static inline int holds(const char *path, const char *body)
{
	struct store_entry entry = get(path);
	char bytes[4096] = "";
	ssize_t n = entry.fd >= 0 ? read(entry.fd, bytes, sizeof bytes - 1) : -1;
	int good = body == NULL ? n < 0 && !entry.content
				: n >= 0 && strcmp(bytes, body) == 0 && entry.content;

	store_entry_clear(&entry);
	return good;
}

static inline size_t versions(const char *path)
{
	struct history h = HISTORY_INIT;
	size_t count;

	CHECK(store_history(store, str_of(path), &h, &why) == 0);
	for (size_t i = 1; i < h.count; i++)
		CHECK(version_cmp(h.entries[i - 1].record.version, h.entries[i].record.version) > 0);
	count = h.count;
	history_clear(&h);
	return count;
}

/* Only the newest records of the path stay; how many went, or -1. */
static inline int prune(const char *path, uint32_t stay, uint64_t *ret_bytes)
{
	struct prune_rule rule = { .versions = stay };
	struct prune_count count = { .records = 0 };

	if (store_prune(store, str_of(path), &rule, &count, &why) < 0)
		return -1;
	*ret_bytes = count.bytes;
	return (int)count.records;
}

/* How many names there are in a directory, with its own two; 0: there is none. */
static inline size_t names_in(const char *directory)
{
	DIR *dir = opendir(directory);
	size_t count = 0;

	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir != NULL)
		closedir(dir);
	return count;
}

static inline void remove_all(const char *path)
{
	char command[4200];
	FILE *pipe;

	snprintf(command, sizeof command, "rm -rf '%s'", path);
	pipe = popen(command, "w");
	if (pipe != NULL)
		pclose(pipe);
}

static uint64_t ahead_told;		/* versions ahead of the clock */
static uint64_t ahead_by;		/* the last of them, ns */

static inline void told_ahead(struct str path, struct version version, uint64_t by_ns)
{
	CHECK(path.n > 0 && !version_is_none(version));
	ahead_told++;
	ahead_by = by_ns;
}

/* A fresh store in a new directory on a real disk; false when there is none. */
static inline int open_store(void)
{
	static char template[] = "/var/tmp/covey-unit-store.XXXXXX";
	struct store_options options = { .path = root = mkdtemp(template), .ahead = told_ahead };

	CHECK(root != NULL && store_open(&store, &options, &why) == 0);
	if (store == NULL)
		fprintf(stderr, "%s\n", why.text);
	return store != NULL;
}

static inline void close_store(void)
{
	store_close(store);
	remove_all(root);
}

#endif
