/*
 * renew - a store goes on under a new identity, with all that is in it
 *
 * What is known here is owed to the homes and keepers first, then node.ini
 * is replaced: a crash between the two costs telling the others what they
 * know.  No other program has the store open meanwhile: each that has one
 * open shares a lock on node.ini.
 */
#include "inside.h"
#include "survey.h"

#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <unistd.h>

/* In outbox/: all that is known is to be owed; the second while that is being done. */
#define MARK "owe-all"
#define MARK_TAKEN OWE_ALL

struct owing {
	struct outbox *outbox;
	struct outbox_mark last;
	uint64_t count;
	struct err *err;
};

static int owe_path(void *data, const struct survey_path *found)
{
	struct owing *o = data;

	if (path_is_gate(found->path))
		return 0;	/* an end is brought behind its own (storing.h); alone it is of no use */
	for (size_t i = 0; i < found->count; i++) {
		if (outbox_begin(o->outbox, found->path, found->entries[i].record.version, &o->last,
				 o->err) < 0)
			return -1;
		o->count++;
	}
	return 0;
}

static int owe_all(struct store *store, struct outbox *outbox, uint32_t keep, uint64_t *ret_count,
		   struct err *err)
{
	struct survey_directories directories = SURVEY_DIRECTORIES_INIT;
	struct owing o = { .outbox = outbox, .err = err };
	int status = survey_directories(store, &directories, err);

	if (status == 0)
		status = survey(store, directories.items, directories.count,
				keep != 0 ? keep : SIZE_MAX, owe_path, &o, err);
	survey_directories_clear(&directories);
	if (status == 0 && o.count > 0)
		status = outbox_wait(outbox, o.last, err);
	if (status == 0)
		*ret_count = o.count;
	return status;
}

#define LINEAGE_TEXT 17			/* hex digits, and a newline */

int store_owe_later(struct store *store, uint64_t lineage, struct err *err)
{
	int fd = openat(store->outbox, MARK, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0640);
	char text[LINEAGE_TEXT + 1];
	int status;

	if (fd < 0)
		return err_sys(err, "make outbox/" MARK);
	snprintf(text, sizeof text, "%016" PRIx64 "\n", lineage);
	status = fs_write(fd, text, LINEAGE_TEXT, 0) < 0 ? err_sys(err, "write outbox/" MARK)
							   : disk_sync(store, fd, "outbox/" MARK, err);
	close(fd);
	return status < 0 ? -1 : disk_sync(store, store->outbox, "outbox", err);
}

/* The group that the mark is for; 0: there is none, or none that can be read. */
static uint64_t mark_lineage(const struct store *store)
{
	int fd = openat(store->outbox, MARK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[LINEAGE_TEXT];
	uint64_t lineage = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, text, sizeof text, 0) != sizeof text ||
	    str_hex64((struct str){ text, LINEAGE_TEXT - 1 }, &lineage) < 0)
		lineage = 0;
	close(fd);
	return lineage;
}

/* 1: it is to be done now; 0; -1. */
static int mark_take(struct store *store, uint64_t lineage, struct err *err)
{
	if (mark_lineage(store) == lineage &&
	    renameat(store->outbox, MARK, store->outbox, MARK_TAKEN) < 0)
		return err_sys(err, "take outbox/" MARK);
	if (faccessat(store->outbox, MARK_TAKEN, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;		/* or by somebody who died in it */
	return errno == ENOENT ? 0 : err_sys(err, "look for outbox/" MARK_TAKEN);
}

int store_owe_marked(struct store *store, uint64_t lineage, uint32_t keep, uint64_t *ret_owed,
		     struct err *err)
{
	struct outbox *outbox = NULL;
	int status = mark_take(store, lineage, err);

	if (status <= 0) {
		*ret_owed = 0;
		return status;
	}
	if (outbox_open(&outbox, store, err) < 0)
		return -1;
	status = owe_all(store, outbox, keep, ret_owed, err);
	outbox_close(outbox);
	if (status == 0 && unlinkat(store->outbox, MARK_TAKEN, 0) < 0)
		status = err_sys(err, "remove outbox/" MARK_TAKEN);
	return status;
}

/* Write a new id, for this process too. */
static int identify_anew(struct store *store, struct err *err)
{
	uint64_t node = disk_draw();

	if (disk_write_identity(store->path, node, false, err) < 0)
		return -1;
	store->node = node;
	return 0;
}

/* Nobody else has it open, and nobody can open it before this ends. */
static int renew_alone(struct store *store, struct outbox *outbox, uint32_t keep,
		       uint64_t *ret_count, struct err *err)
{
	uint64_t count = 0;

	if (flock(store->identity, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ?
			       err_set(err, ERR_CONFLICT, "renew %s: programs of this node run, stop "
				       "them first", store->path) :
			       err_sys(err, "lock %s/node.ini", store->path);
	if (outbox != NULL && owe_all(store, outbox, keep, &count, err) < 0)
		return -1;
	if (identify_anew(store, err) < 0)
		return -1;
	*ret_count = count;
	return 0;
}

int store_renew(struct store *store, struct outbox *outbox, uint32_t keep, uint64_t *ret_count,
		struct err *err)
{
	int status;

	while (flock(store->dir, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(err, "lock %s", store->path);
	status = renew_alone(store, outbox, keep, ret_count, err);
	flock(store->identity, LOCK_SH);
	flock(store->dir, LOCK_UN);
	return status;
}
