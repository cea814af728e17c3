/*
 * scrub_copy - one copy of a version: is it what its record says, and if not?
 *
 * It is read past the cache: what is asked is what the disk has, and what
 * others read again and again stays in memory.  Only what is wrong twice is
 * bad.  Then, under the path's lock, and only if the same file still has its
 * name (it may have been replaced, pruned or evicted meanwhile, or a person
 * may have written to it):
 *
 *	step				a crash after it leaves
 *	1  the copy is linked into	the version as it was; the next try
 *	   history/P as ,bad-VERSION,	finds its link there
 *	   which is synced
 *	2  a pointer takes its place	content or pointer: one rename, seen
 *	   in tree/, then in history/,	whole or not; the bad copy is aside
 *	   each synced			for certain (1)
 *
 * During step 2 the counters make readers wait.
 */
#include "inside.h"

#include "digest.h"
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ASIDE_NAME (sizeof MARK_BAD + VERSION_TEXT + 12)

enum verdict {
	GOOD,
	BAD,
	UNJUDGED,		/* a call failed for a reason that is not the copy's */
	STOPPED,
};

/* What disks and file systems say of data that is lost, not of a call that failed. */
static bool is_loss(int error)
{
	return error == EIO || error == EILSEQ || error == ENODATA || error == EREMOTEIO ||
	       error == EUCLEAN || error == EBADMSG;
}

static bool is_direct(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && flags & O_DIRECT;
}

/* What cannot be read past the cache is read out of it, emptied before and after. */
static void empty_cache(int fd)
{
	if (!is_direct(fd))
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void bypass_cache(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_DIRECT);
	empty_cache(fd);
}

/* One piece: bytes, 0 at the end, -1 with errno. */
static ssize_t read_piece(int fd, char *to, uint64_t at)
{
	for (;;) {
		ssize_t n = pread(fd, to, SCRUB_BYTES, (off_t)at);

		if (n < 0 && errno == EINVAL && is_direct(fd) &&
		    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT) == 0)
			empty_cache(fd);
		else if (n >= 0 || errno != EINTR)
			return n;
	}
}

static enum verdict judge(const struct found *found, const uint8_t *sha256, bool failed,
			  struct err *why)
{
	if (failed)
		return err_sys(why, "read it"), is_loss(why->sys) ? BAD : UNJUDGED;
	if (memcmp(sha256, found->record.sha256, SHA256_BYTES) == 0)
		return GOOD;
	err_set(why, ERR_CORRUPT, "its sha256 is another");
	return BAD;
}

/* why: of BAD and UNJUDGED */
static enum verdict read_content(struct scrubbing *s, const struct found *found, struct err *why)
{
	struct scrub *scrub = s->scrub;
	struct digest *digest = digest_new();
	uint64_t at = 0, size = found->record.size;
	uint8_t sha256[SHA256_BYTES];
	ssize_t n = 1;
	int error;

	while (at < size && n > 0 && !s->stopped) {
		s->stopped = !scrub->go_on(scrub->data,
					   size - at < SCRUB_BYTES ? size - at : SCRUB_BYTES);
		n = s->stopped ? 0 : read_piece(found->fd, s->bytes, at);
		if (n <= 0)
			break;
		digest_add(digest, s->bytes, (size_t)n);
		at += (uint64_t)n;
		scrub->bytes += (uint64_t)n;
	}
	error = errno;
	digest_end(digest, sha256);
	digest_free(digest);
	errno = error;
	return s->stopped ? STOPPED : judge(found, sha256, n < 0, why);
}

/* setting aside, under the path's lock */

/* The name still stands for the file that was read. */
static int is_there(struct store *store, struct str path, bool in_tree, const struct found *found,
		    bool *ret, struct err *err)
{
	struct found now = FOUND_INIT;
	struct names names;
	int status;

	names_set(&names, path);
	status = in_tree ? look_tree(store->tree, names.tree, &now, err)
			 : look(store->history, names_version(&names, found->record.version), &now,
				err);
	*ret = status == 0 && now.kind == FOUND_FILE && now.st.st_ino == found->st.st_ino &&
	       record_eq(&now.record, &found->record);
	found_clear(&now);
	return status;
}

/* Step 1.  The same file may be there from a try that was cut short, or an earlier bad copy. */
static int link_aside(const struct found *found, int history, char aside[ASIDE_NAME],
		      struct err *err)
{
	char version[VERSION_TEXT];
	struct stat st;

	version_format(version, found->record.version);
	snprintf(aside, ASIDE_NAME, MARK_BAD "%s", version);
	for (unsigned n = 1; fs_link_fd(found->fd, history, aside) < 0; n++) {
		if (errno != EEXIST)
			return err_sys(err, "set it aside");
		if (fstatat(history, aside, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_ino == found->st.st_ino)
			break;
		snprintf(aside, ASIDE_NAME, MARK_BAD "%s.%u", version, n);
	}
	return 0;
}

/* Step 2. */
static int point(struct store *store, struct str path, struct found *found, struct err *err)
{
	const struct history_entry entry = {
		.record = found->record,
		.type = found->type[0] != '\0' ? found->type : NULL,
	};
	unsigned slot = counters_slot(path_hash(path));

	counters_begin(store, slot, path, ABOUT_FILE, NULL);
	if (evict_inode(store, path, &entry, found->st.st_ino, err) < 0)
		return -1;
	counters_end(store, slot, ABOUT_FILE);
	return 0;
}

/* As scrub_copy(). */
static int move_aside(struct store *store, struct str path, bool in_tree, struct found *found,
		      char aside[ASIDE_NAME], struct err *err)
{
	struct chain chain = CHAIN_INIT;
	bool there;
	int status;

	if (is_there(store, path, in_tree, found, &there, err) < 0)
		return -1;
	if (!there)
		return AGAIN;
	if (disk_check(store, false, err) < 0 || chain_open(store, &chain, path, err) < 0)
		return -1;
	status = link_aside(found, chain_leaf(&chain), aside, err);
	if (status == 0)
		status = chain_sync(store, &chain, err);
	chain_close(&chain);
	return status < 0 ? -1 : point(store, path, found, err);
}

static void tell(struct scrubbing *s, struct str path, const struct found *found,
		 const char *aside, const char *why)
{
	const struct scrub_bad bad = { .path = path, .record = found->record,
				       .type = str_of(found->type), .aside = aside, .why = why };

	s->scrub->bad_count++;
	s->scrub->bad(s->scrub->data, &bad);
}

static int set_aside(struct scrubbing *s, struct str path, bool in_tree, struct found *found,
		     const char *why, struct err *err)
{
	struct store *store = s->store;
	struct lock lock = LOCK_INIT;
	struct err failure = ERR_INIT;
	char aside[ASIDE_NAME];
	int status;

	if (disk_lock(store, &lock, path, err) < 0)
		return -1;
	status = move_aside(store, path, in_tree, found, aside, &failure);
	if (status < 0 && failure.kind == ERR_FULL && disk_release_reserve(store))
		status = move_aside(store, path, in_tree, found, aside, &failure);
	lock_release(&lock);
	if (status == 0)
		tell(s, path, found, aside, why);
	if (status >= 0)
		return status;
	err_pass(err, &failure);
	return err_context(err, "%s, but it stays where it is", why);
}

int scrub_copy(struct scrubbing *s, struct str path, bool in_tree, struct found *found,
	       struct err *err)
{
	struct err why = ERR_INIT;
	enum verdict verdict;

	bypass_cache(found->fd);
	verdict = read_content(s, found, &why);
	if (verdict == BAD)
		verdict = read_content(s, found, &why);
	empty_cache(found->fd);
	s->scrub->contents += verdict != STOPPED;
	if (verdict == BAD)
		return set_aside(s, path, in_tree, found, why.text, err);
	return verdict == UNJUDGED ? err_pass(err, &why) : 0;
}
