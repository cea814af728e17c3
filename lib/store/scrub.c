/*
 * scrub - is what was stored still what it was?
 *
 * The store is walked as one tree of paths, each before those below it, the
 * names of a directory in the order of their bytes.  So the path that was
 * reached last says what is still to be done, whatever came and went since.
 *
 * A copy is read past the cache: what is asked is what the disk has, and what
 * others read again and again stays in memory.  Nothing is locked meanwhile.
 * Only what is wrong twice is bad.  Then, under the path's lock, and only if
 * the same file still has its name (it may have been replaced, pruned or
 * evicted meanwhile, or a person may have written to it):
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
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ALIGNMENT 4096
#define PIECE_BYTES (256u << 10)	/* that are read at once */

struct scrubbing {
	struct store *store;
	struct scrub *scrub;
	char *bytes;		/* room for a piece, aligned for reading past the cache */
	bool stopped;
};

/* one copy of a version */

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

static bool bypasses_cache(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && flags & O_DIRECT;
}

/* What cannot be read past the cache is read out of it, emptied before and after. */
static void empty_cache(int fd)
{
	if (!bypasses_cache(fd))
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
static ssize_t copy_read_piece(int fd, char *to, uint64_t at)
{
	for (;;) {
		ssize_t n = pread(fd, to, PIECE_BYTES, (off_t)at);

		if (n < 0 && errno == EINVAL && bypasses_cache(fd) &&
		    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT) == 0)
			empty_cache(fd);
		else if (n >= 0 || errno != EINTR)
			return n;
	}
}

static enum verdict copy_judge(const struct inode *found, const uint8_t *sha256, bool failed,
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
static enum verdict copy_read(struct scrubbing *s, const struct inode *found, struct err *why)
{
	struct scrub *scrub = s->scrub;
	struct digest *digest = digest_new();
	uint64_t at = 0, size = found->record.size;
	uint8_t sha256[SHA256_BYTES];
	ssize_t n = 1;
	int error;

	while (at < size && n > 0 && !s->stopped) {
		s->stopped = !scrub->go_on(scrub->data,
					   size - at < PIECE_BYTES ? size - at : PIECE_BYTES);
		n = s->stopped ? 0 : copy_read_piece(found->fd, s->bytes, at);
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
	return s->stopped ? STOPPED : copy_judge(found, sha256, n < 0, why);
}

/* setting aside, under the path's lock */

/* The name still stands for the file that was read. */
static int copy_is_there(struct store *store, struct str path, bool in_tree, const struct inode *found,
			 bool *ret, struct err *err)
{
	struct inode now = INODE_INIT;
	struct names names;
	int status;

	names_set(&names, path);
	status = in_tree ? inode_read_tree(store->tree, names.tree, &now, err)
			 : inode_read(store->history, names_version(&names, found->record.version), &now,
				      err);
	*ret = status == 0 && now.kind == INODE_CONTENT && now.st.st_ino == found->st.st_ino &&
	       record_eq(&now.record, &found->record);
	inode_clear(&now);
	return status;
}

/* Step 1.  The same file may be there from a try that was cut short, or an earlier bad copy. */
static int copy_link_aside(const struct inode *found, int history, char aside[ASIDE_NAME],
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
static int copy_make_pointer(struct store *store, struct str path, struct inode *found, struct err *err)
{
	const struct history_entry entry = {
		.record = found->record,
		.type = found->type[0] != '\0' ? found->type : NULL,
	};

	counters_begin(store, path, CHANGE_FILE, NULL);
	if (evict_content(store, path, &entry, found->st.st_ino, err) < 0)
		return -1;
	counters_end(store, path, CHANGE_FILE);
	return 0;
}

/* 0, AGAIN or -1, as scrub_copy(). */
static int copy_move_aside(struct store *store, struct str path, bool in_tree, struct inode *found,
			   char aside[ASIDE_NAME], struct err *err)
{
	struct chain chain = CHAIN_INIT;
	bool there;
	int status;

	if (copy_is_there(store, path, in_tree, found, &there, err) < 0)
		return -1;
	if (!there)
		return AGAIN;
	if (disk_check(store, false, err) < 0 || chain_open(store, &chain, path, err) < 0)
		return -1;
	status = copy_link_aside(found, chain_leaf(&chain), aside, err);
	if (status == 0)
		status = chain_sync(store, &chain, err);
	chain_close(&chain);
	return status < 0 ? -1 : copy_make_pointer(store, path, found, err);
}

static void scrub_tell_bad(struct scrubbing *s, struct str path, const struct inode *found,
			   const char *aside, const char *why)
{
	const struct scrub_bad bad = { .path = path, .record = found->record,
				       .type = str_of(found->type), .aside = aside, .why = why };

	s->scrub->bad_count++;
	s->scrub->bad(s->scrub->data, &bad);
}

static int copy_set_aside(struct scrubbing *s, struct str path, bool in_tree, struct inode *found,
			  const char *why, struct err *err)
{
	struct store *store = s->store;
	struct lock lock = LOCK_INIT;
	struct err failure = ERR_INIT;
	char aside[ASIDE_NAME];
	int status;

	if (counters_lock(store, &lock, path, err) < 0)
		return -1;
	status = copy_move_aside(store, path, in_tree, found, aside, &failure);
	if (status < 0 && failure.kind == ERR_FULL && disk_release_reserve(store))
		status = copy_move_aside(store, path, in_tree, found, aside, &failure);
	lock_release(&lock);
	if (status == 0)
		scrub_tell_bad(s, path, found, aside, why);
	if (status >= 0)
		return status;
	err_pass(err, &failure);
	return err_context(err, "%s, but it stays where it is", why);
}

/*
 * Read the content that was found at tree/P, or as the version's in
 * history/P, and set it aside if it is bad.  AGAIN: it seemed bad, but is not
 * there any more.
 */
static int scrub_copy(struct scrubbing *s, struct str path, bool in_tree, struct inode *found,
		      struct err *err)
{
	struct err why = ERR_INIT;
	enum verdict verdict;

	bypass_cache(found->fd);
	verdict = copy_read(s, found, &why);
	if (verdict == BAD)
		verdict = copy_read(s, found, &why);
	empty_cache(found->fd);
	s->scrub->contents += verdict != STOPPED;
	if (verdict == BAD)
		return copy_set_aside(s, path, in_tree, found, why.text, err);
	return verdict == UNJUDGED ? err_pass(err, &why) : 0;
}

/* all of them */

static void scrub_failed(struct scrubbing *s, struct str path, struct err *err)
{
	err_context(err, "scrub %s", shown(path).text);
	s->scrub->failed_count++;
	s->scrub->failed(s->scrub->data, path, err);
}

/* What one name stands for, unless it is this one; 0, or the one that was dealt with. */
static ino_t scrub_name(struct scrubbing *s, struct str path, bool in_tree, const char *name,
			ino_t but)
{
	struct inode found = INODE_INIT;
	struct err err = ERR_INIT;
	ino_t inode = 0;
	int status = in_tree ? inode_read_tree(s->store->tree, name, &found, &err)
			     : inode_read(s->store->history, name, &found, &err);

	if (status == 0 && found.kind == INODE_CONTENT && found.st.st_ino != but) {
		status = scrub_copy(s, path, in_tree, &found, &err);
		inode = status == 0 ? found.st.st_ino : 0;
	}
	if (status < 0)
		scrub_failed(s, path, &err);
	inode_clear(&found);
	return inode;
}

static void scrub_path(struct scrubbing *s, struct str path, struct names *names)
{
	struct versions versions = VERSIONS_INIT;
	struct err err = ERR_INIT;
	ino_t in_tree;

	s->stopped = !s->scrub->go_on(s->scrub->data, 0);
	if (s->stopped)
		return;
	in_tree = scrub_name(s, path, true, names->tree, 0);
	if (versions_read(s->store, names, &versions, &err) < 0)
		scrub_failed(s, path, &err);
	for (size_t i = 0; i < versions.count && !s->stopped; i++)
		scrub_name(s, path, false, names_version(names, versions.items[i]), in_tree);
	versions_clear(&versions);
	if (!s->stopped && s->scrub->reached != NULL)
		s->scrub->reached(s->scrub->data, path);
}

static void scrub_tree(struct scrubbing *s, struct str path, const struct str *after);

/* after: the name that was reached here, and the path below it; or NULL. */
static void scrub_below(struct scrubbing *s, struct str path, const struct children *children,
			const struct str *after)
{
	struct str rest = after != NULL ? *after : (struct str)STR_INIT, first = STR_INIT;
	struct buf below = BUF_INIT;

	str_cut(&rest, '/', &first);
	for (size_t i = 0; i < children->count && !s->stopped; i++) {
		int order = after != NULL ? str_cmp(str_of(children->items[i].name), first) : 1;

		if (order >= 0 && path_below(&below, path, children->items[i].name))
			scrub_tree(s, buf_str(&below), order == 0 ? &rest : NULL);
	}
	buf_clear(&below);
}

/* after: NULL, or the path itself was done, and below it what comes before this. */
static void scrub_tree(struct scrubbing *s, struct str path, const struct str *after)
{
	struct names *names = mem_new(1, sizeof *names);
	struct children children = CHILDREN_INIT;
	struct err err = ERR_INIT;

	names_set(names, path);
	if (after == NULL)
		scrub_path(s, path, names);
	if (!s->stopped && children_read(s->store, names, &children, &err) < 0)
		scrub_failed(s, path, &err);
	free(names);
	scrub_below(s, path, &children, after != NULL && after->n > 0 ? after : NULL);
	children_clear(&children);
}

static void scrub_run(struct store *store, struct str path, const struct str *after,
		      struct scrub *scrub)
{
	struct scrubbing s = { .store = store, .scrub = scrub };
	char *room = mem_new(PIECE_BYTES + ALIGNMENT, 1);

	s.bytes = room + (ALIGNMENT - (uintptr_t)room % ALIGNMENT);
	scrub_tree(&s, path, after);
	scrub->stopped = s.stopped;
	free(room);
	if (atomic_load(&store->released))
		disk_fill_reserve(store);
}

int store_scrub_from(struct store *store, struct str after, struct scrub *scrub, struct err *err)
{
	if (path_check(after, err) < 0)
		return -1;
	scrub_run(store, (struct str)STR_INIT, &after, scrub);
	return 0;
}

int store_scrub(struct store *store, struct str path, struct scrub *scrub, struct err *err)
{
	struct inode found = INODE_INIT;
	struct names names;
	int fd, status;

	if (names_init(&names, path, err) < 0)
		return -1;
	status = inode_read_tree(store->tree, names.tree, &found, err);
	fd = fs_open(store->history, names_history(&names), O_RDONLY | O_DIRECTORY, 0);
	if (status == 0 && found.kind == INODE_NONE && fd < 0)
		status = err_set(err, ERR_ABSENT, "nothing is there");
	inode_clear(&found);
	if (fd >= 0)
		close(fd);
	if (status < 0)
		return err_context(err, "scrub %s", shown(path).text);
	scrub_run(store, path, NULL, scrub);
	return 0;
}
