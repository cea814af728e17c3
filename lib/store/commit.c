/*
 * commit - a version becomes part of the store, whole or not at all
 *
 * One commit at a time per path, under the path's lock, which is held until
 * the version is on disk, or in the log and named.  V is the new version, O the one that is at tree/P.
 *
 *	step				a crash after it leaves
 *	1  V's body, record and mtime	O; the unnamed file is gone
 *	   are put on a file without a
 *	   name
 *	2  O is linked into history	O, which history then knows, too
 *	3  the file and history/P are	the same; an entry in the outbox that
 *	   synced, and meanwhile the	names no version that is known here
 *	   outbox's entry
 *	4  V is renamed over tree/P	O or V: one rename, seen whole or not;
 *	   (linked, if there is no O)	O is in history for certain (3)
 *	5  tree/P's directory is	V, for ever; only now commit_wait()
 *	   synced			returns 0
 *
 * Linking O before the file is synced (not after) lets one journal commit
 * carry both.  A deletion differs from step 2 on:
 *
 *	2  O and the tombstone T are	O; T does not count before 3
 *	   put into history, T synced,
 *	   and the outbox's entry
 *	3  history/P/, is renamed to	O or T: T is greater than O, so it
 *	   name T, history/P is synced	counts although tree/P still stands
 *	4  tree/P is removed		T
 *	5  its directory is synced	T
 *
 * Where V is the file's newest but cannot be in tree/, because a directory is
 * there or the entry's end is above V, it waits, as a tombstone does: it is
 * put into history, then history/P/, names it (2 and 3); and if O is a file,
 * it goes (4, 5).  An entry's end T does the same with history/P/,directory;
 * an O that is a file below it waits from then on: history/P/, names it
 * first.  So it does before a directory is exchanged for O.
 *
 * A directory that holds nothing, and is no live entry, goes after the commit
 * that emptied it, and lets in what waits (reaping, below):
 *
 *	1  W, which history/P/, names,	the directory, W in history
 *	   is linked into tmp/
 *	2  the directory is removed	nothing, W in history: W is the newest
 *	3  W is renamed to tree/P	W
 *	4  P's directory is synced	W
 *
 * What crashes leave behind never counts: tmp/,new-HASH is a version on its
 * way to its name (step 4; the path's next commit removes it), O may be in
 * tree/ and history/ both, and a dead tree/P is moved on by the next commit.
 *
 * A small version of a file that just takes its place, in tree/ or history/,
 * goes by the log (wal.c), if there is one:
 *
 *	1  as above			O
 *	2  V's entry is written to the	O: the path's slot of the counters
 *	   log				names the entry, and whoever takes the
 *					lock next makes it void
 *	3  the log is synced		the same; after a power cut V, by replay
 *	4  O is linked into history,	V, for ever, by replay, until the log's
 *	   V gets its name; neither is	checkpoint has synced the file system
 *	   synced
 *
 * That is on file systems alone where names come to the disk in the order of
 * their changes (keeps_order()): else a power cut could leave V, which is
 * replayed, and O nowhere.
 *
 * From the first change that others could see until all is synced the
 * counters make readers go by O, or wait (reveal(), counters.c).  When
 * a sync fails meanwhile O is put back: V was seen by nobody.
 *
 * The version is chosen above everything known here (choose_version()).  One made
 * elsewhere that is older than what is known goes to history; what is there
 * already is success.
 *
 * Above the path there are directories in tree/, which need no records; in a
 * group of one each is a live entry before its first file, and still one
 * after.  No step waits for a lock while it holds one (store_commit_all() holds
 * several); a directory removed meanwhile shows as
 * ENOENT, and the commit starts over.  The directory above is opened under
 * P's lock: one that was opened before may have been removed and made again,
 * and what stands in the new one would not be found.  As long as the lock is
 * held no other commit puts a name there.
 */
#include "inside.h"

#include "clock.h"
#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 64	/* each is one more directory or file that came and went meanwhile */

#define MAKE_PARENT 2	/* of a step: AGAIN, with the directory above, which has to be made */
#define BUSY 3		/* of one of several commits: it has to be made alone, when the others are over */

enum commit_how {
	COMMIT_OWN,		/* in a group of one what contradicts it is a conflict */
	COMMIT_MERGE,		/* of what was made elsewhere */
	COMMIT_REPLAY,		/* of an entry of the log */
	COMMIT_ADOPT,		/* of a person's file, which it replaces */
	COMMIT_PARENT,		/* a directory, without a record, for what comes below it */
	COMMIT_REAP,		/* no version: what does not stand there any more goes from tree/ */
};

struct commit_state {
	struct lock lock;
	struct str path;	/* of the name: a gate's is its directory's */
	bool gate;
	struct names names;
	struct chain chain;	/* opened when needed */
	int parent;		/* owned, unless several have it; the directory in tree/, or -1 */
	const char *name;	/* in parent; points into names */
	struct inode old;	/* O: what is at tree/P */
	struct marks marks;
	struct store_entry entry;	/* as store_newest() tells it */
	struct version greatest;	/* the greatest version of the path that is known here */
	struct record before;	/* the newest of the record's kind */
	struct record record;	/* to commit */
	enum commit_how how;
	bool record_known;	/* the same record, already */
	bool ahead;		/* of the clock: to be remembered as issued */
	bool newest;
	bool dropped;		/* beyond what the path keeps: nothing was done */
	bool tree_changed;	/* the parent must be synced */
	bool name_removed;	/* a name went from the parent, which may not stand any more */
	bool directory_in_way;	/* a directory that stands for nothing may be in the way */
	bool revealed;		/* the counters know */
	struct outbox_mark mark;
	struct wal_mark logged;	/* segment 0: its file is synced */
};
#define COMMIT_STATE_INIT { .lock = LOCK_INIT, .chain = CHAIN_INIT, .parent = -1, \
			    .old = INODE_INIT, .entry = STORE_ENTRY_INIT }

/* Commits that one thread makes at once, and what they have in common. */
struct together {
	struct lock_set locks;
	struct parent {			/* directories above them that are there */
		struct str path;	/* of the first that asked */
		int fd;			/* owned */
		uint64_t directories;	/* how they had changed before it was looked at */
		bool ungrouped;		/* it is a live entry */
	} parents[STORE_COMMIT_MOST];
	size_t count;
};

static int commit_as(struct store *, struct commit *, enum commit_how, struct err *);
static void undo(struct store *, struct commit_state *);

static void state_free(const struct commit *c, struct commit_state *s)
{
	chain_close(&s->chain);
	inode_clear(&s->old);
	store_entry_clear(&s->entry);
	if (s->parent >= 0 && c->together == NULL)
		close(s->parent);
	lock_release(&s->lock);
	free(s);
}

/*
 * Where a version becomes durable: a commit waits for the disk in these
 * five, or for the log (finish_logged()), and nowhere else.  commit_submit()
 * goes through all but the last, which is commit_wait()'s.
 */

/* Step 1: the file with its record. */
static int sync_body(struct store *store, const struct commit *c, struct err *err)
{
	return c->stage != NULL ? disk_sync(store, stage_fd(c->stage), "body", err) : 0;
}

/* The same of a record without content: of a tombstone's file, or a directory's attribute. */
static int sync_record(struct store *store, int fd, struct err *err)
{
	return disk_sync(store, fd, "record", err);
}

/* Step 3: what was put into history/P, if anything was. */
static int sync_history(struct store *store, struct commit_state *s, struct err *err)
{
	return s->chain.count > 0 ? chain_sync(store, &s->chain, err) : 0;
}

/* Step 3: the entry in the outbox. */
static int sync_entry(const struct commit *c, const struct commit_state *s, struct err *err)
{
	return s->mark.segment != 0 ? outbox_wait(c->outbox, s->mark, err) : 0;
}

/* Step 5: the name in tree/. */
static int sync_name(struct store *store, const struct commit_state *s, struct err *err)
{
	return s->parent >= 0 ? disk_sync(store, s->parent, "directory", err) : 0;
}

/* This node's own, in a group of one: so what contradicts it is a conflict. */
static bool is_ungrouped(const struct commit *c, const struct commit_state *s)
{
	return s->how == COMMIT_OWN && c->ungrouped;
}

/*
 * What is known at the path, and a version above all of it.
 *
 * The time is the wall clock's, or the one the caller has from several
 * nodes' clocks, and it is above what is in tree/, the marks, the gate, and
 * (when tree/P is gone, perhaps by hand, or a directory) all of history/P; so
 * it is above everything known here.  The names in history/P are not read
 * when the counters know that the last change was a deletion above them all.
 *
 * That no (path, version) is issued twice, also after a person removed
 * tree/P or a crash took back what had shown, needs more only when the
 * clock does not decide: a time ahead of the clock is made from what others
 * told or what stood here, and could be made again from the same.  So such
 * a version is first noted in history/P/,issued, durably and before it
 * shows, and the next one is chosen above that, too.  A time from the clock
 * comes again only if the clock is set back, every trace of the version is
 * removed by hand, and the same nanosecond is hit.
 */

static int greatest_add_name(void *data, const char *name)
{
	struct version *greatest = data, v;

	if (version_of_name(name, &v) == 0 && version_cmp(v, *greatest) > 0)
		*greatest = v;
	return 0;
}

/* No version named in history/P is above this one; none: there is none. */
static int history_greatest(struct store *store, struct commit_state *s, struct version *ret,
			    struct err *err)
{
	const char *history = names_history(&s->names);
	struct version greatest = VERSION_NONE;

	if (!s->names.no_history &&
	    !counters_know_greatest(store, s->path, changed_at(store->history, history), &greatest) &&
	    names_each(store->history, history, greatest_add_name, &greatest, err) < 0)
		return -1;
	*ret = greatest;
	return 0;
}

/* Under the lock: what is there, and what is known. */
static int read_state(struct store *store, struct commit_state *s, struct err *err)
{
	struct version past = VERSION_NONE;

	if (s->parent >= 0 && inode_read_tree(s->parent, s->name, &s->old, err) < 0)
		return -1;
	names_look_for_history(&s->names, store->history);
	if (marks_read(store->history, &s->names, &s->marks, err) < 0 ||
	    entry_from_inode(store->history, &s->names, &s->marks, &s->old, STORE_RECORD, &s->entry,
			     err) < 0)
		return -1;
	if ((version_is_none(s->old.record.version) || s->old.kind == INODE_DIRECTORY) &&
	    history_greatest(store, s, &past, err) < 0)
		return -1;
	s->greatest = version_later(version_later(past, s->old.record.version),
				    version_later(s->marks.file, s->marks.end));
	return 0;
}

/* A version above all that is known, by the rule above. */
static int choose_version(struct store *store, const struct commit *c, struct commit_state *s,
			  struct err *err)
{
	uint64_t now = c->clock != 0 ? c->clock : clock_wall_ns(), floor;
	struct version issued = VERSION_NONE, gate = VERSION_NONE;

	if (!s->names.no_history &&
	    (mark_read(store->history, names_mark(&s->names, MARK_ISSUED), &issued, err) < 0 ||
	     mark_read(store->history, names_mark(&s->names, MARK_GATE), &gate, err) < 0))
		return -1;
	floor = version_later(version_later(issued, gate),
			      version_later(c->above, s->greatest)).time;
	if (floor == UINT64_MAX)
		return err_set(err, ERR_UNSUPPORTED, "no later version is possible");
	s->ahead = now <= floor;
	s->record.version = (struct version){
		.time = s->ahead ? floor + 1 : now,
		.node = store->node,
	};
	return 0;
}

static int fill_record(struct store *store, const struct commit *c, struct commit_state *s,
		       struct err *err)
{
	if (c->pointer != NULL) {
		s->record = *c->pointer;
		return 0;
	}
	s->record = (struct record){
		.version = c->fixed,
		.flags = c->flags,
		.mtime = c->mtime,
		.made = c->made,
	};
	if (c->stage != NULL) {
		s->record.size = stage_size(c->stage);
		memcpy(s->record.sha256, stage_sha256(c->stage), SHA256_BYTES);
	}
	return version_is_none(c->fixed) ? choose_version(store, c, s, err) : 0;
}

static int enter_outbox(const struct commit *c, struct commit_state *s, struct err *err)
{
	if (c->outbox == NULL)
		return 0;
	return outbox_begin(c->outbox, c->path, s->record.version, &s->mark, err);
}

/* Then the record to commit, and its entry in the outbox. */
static int choose_record(struct store *store, const struct commit *c, struct commit_state *s,
			 struct err *err)
{
	return fill_record(store, c, s, err) < 0 ? -1 : enter_outbox(c, s, err);
}

/* The versions above this one, by their names: no fewer than there are records of. */
static int count_names_above(struct store *store, struct commit_state *s, struct version v, size_t *ret,
			     struct err *err)
{
	struct versions all = VERSIONS_INIT;
	size_t count = version_cmp(s->old.record.version, v) > 0;
	int status = versions_read(store, &s->names, &all, err);

	for (size_t i = 0; i < all.count; i++)
		count += version_cmp(all.items[i], v) > 0;
	versions_clear(&all);
	if (status == 0)
		*ret = count;
	return status;
}

/* dropped: as many newer records are known as the path keeps. */
static int check_beyond_keep(struct store *store, const struct commit *c, struct commit_state *s,
			     struct err *err)
{
	struct version v = c->pointer != NULL ? c->pointer->version : c->fixed;
	uint8_t kind = (c->pointer != NULL ? c->pointer->flags : c->flags) & RECORD_DIRECTORY;
	size_t newer = 0, limit = kind != 0 ? 1 : c->keep;
	struct history h = HISTORY_INIT;

	if (version_cmp(v, s->greatest) > 0)
		return 0;
	if (count_names_above(store, s, v, &newer, err) < 0)
		return -1;
	s->record.version = v;
	if (newer < limit)
		return 0;
	newer = 0;
	if (history_locked(store, c->path, &h, err) < 0)
		return -1;
	for (size_t i = 0; i < h.count && version_cmp(h.entries[i].record.version, v) > 0; i++)
		newer += (h.entries[i].record.flags & RECORD_DIRECTORY) == kind;
	s->dropped = newer >= limit;
	history_clear(&h);
	return 0;
}

/* steps of several kinds of commit */

/*
 * Into a history directory as the record's version.  The same record there
 * already is success; a worse one (a pointer for content, a damaged file)
 * is replaced, another record under this version is ERR_CORRUPT.
 */
static int place_in_history(const struct source *source, int history, const struct record *record,
			    bool content, struct err *err)
{
	struct inode there = INODE_INIT;
	char name[VERSION_NAME];
	bool same, good, other;

	version_name(name, record->version);
	if (place_name(source, history, name) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, "put a version into history");
	if (inode_read(history, name, &there, err) < 0)
		return -1;
	same = record_eq(&there.record, record);
	good = same && (there.kind != INODE_POINTER || !content);
	other = !same && !version_is_none(there.record.version);
	inode_clear(&there);
	if (other)
		return err_set(err, ERR_CORRUPT, "put a version into history: another record "
			       "has its name");
	if (!good && place_over(source, history, MARK_NEW, history, name) < 0)
		return err_sys(err, "replace a version in history");
	return 0;
}

/* Move a person's file out of the way. */
static int place_aside(int dir, const char *name, int history, struct err *err)
{
	struct version stamp = { .time = clock_wall_ns() };
	char aside[sizeof MARK_FOREIGN + VERSION_TEXT], text[VERSION_TEXT];

	for (;; stamp.time++) {
		snprintf(aside, sizeof aside, MARK_FOREIGN "%s", version_format(text, stamp));
		if (linkat(dir, name, history, aside, 0) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	/* Linking another user's file may be forbidden; moving it is not. */
	if (errno != ENOENT && renameat(dir, name, history, aside) < 0 && errno != ENOENT)
		return err_sys(err, "move a person's file to history");
	return 0;
}

/* An empty file with the record of what has no content, in a history directory; synced, if so. */
static int place_record(struct store *store, int history, const struct record *record, bool synced,
			struct err *err)
{
	struct source source = SOURCE_INIT;
	int status;

	source.fd = fs_tmpfile(store->tmp);
	if (source.fd < 0)
		return err_sys(err, "make a file for the record");
	status = inode_set_record(source.fd, record, (struct str)STR_INIT, false, err);
	if (status == 0 && synced)
		status = sync_record(store, source.fd, err);
	if (status == 0)
		status = place_in_history(&source, history, record, false, err);
	close(source.fd);
	return status;
}

/* The path's history directory is open; what is ahead of the clock is noted in it as issued. */
static int open_history(struct store *store, struct commit_state *s, struct err *err)
{
	struct source issued = SOURCE_INIT;
	char text[VERSION_TEXT];

	if (s->chain.count > 0)
		return 0;
	if (chain_open(store, &s->chain, s->path, err) < 0)
		return -1;
	if (!s->ahead)
		return 0;
	issued.text = version_format(text, s->record.version);
	if (place_over(&issued, chain_leaf(&s->chain), MARK_NEW, chain_leaf(&s->chain),
		       MARK_ISSUED) < 0)
		return err_sys(err, "note the version");
	return 0;
}

/*
 * Step 2: link the file that is there into history, not yet synced; a person's
 * is moved there.  0, AGAIN or -1.
 */
static int keep_old(struct store *store, struct commit_state *s, struct err *err)
{
	struct source old = SOURCE_INIT;
	struct err why = ERR_INIT;

	if ((!inode_is_file(&s->old) && s->old.kind != INODE_FOREIGN) ||
	    (s->old.kind == INODE_FOREIGN && s->how == COMMIT_ADOPT) ||
	    (!version_is_none(s->record.version) &&
	     version_cmp(s->old.record.version, s->record.version) == 0))
		return 0;
	if (open_history(store, s, err) < 0)
		return -1;
	if (s->old.kind == INODE_FOREIGN)
		return place_aside(s->parent, s->name, chain_leaf(&s->chain), err);
	old.dir = s->parent;
	old.name = s->name;
	if (place_in_history(&old, chain_leaf(&s->chain), &s->old.record,
			     s->old.kind == INODE_CONTENT, &why) == 0)
		return 0;
	if (why.sys == ENOENT)
		return AGAIN;	/* a person has just removed it */
	return err_pass(err, &why);
}

/* A mark in the open history directory names this version. */
static int set_mark(struct commit_state *s, const char *mark, struct version v, struct err *err)
{
	struct source link = SOURCE_INIT;
	int history = chain_leaf(&s->chain);
	char text[VERSION_TEXT];

	link.text = version_format(text, v);
	if (place_over(&link, history, MARK_NEW, history, mark) < 0)
		return err_sys(err, "mark the version");
	return 0;
}

/*
 * The same before it makes way for a directory, or because it stands no more:
 * history/P/, names it, should it be the newest.
 */
static int retire_old(struct store *store, struct commit_state *s, struct err *err)
{
	int status = keep_old(store, s, err);

	if (status != 0 || !inode_is_file(&s->old) ||
	    version_cmp(s->old.record.version, s->marks.file) <= 0)
		return status;
	if (sync_history(store, s, err) < 0 ||
	    set_mark(s, MARK_FILE, s->old.record.version, err) < 0)
		return -1;
	return 0;
}

/* The file that was there goes from tree/, unless it has become another. */
static int unlink_old(struct commit_state *s, struct err *err)
{
	if (s->parent < 0 || !inode_unchanged(s->parent, s->name, &s->old))
		return 0;	/* a person's, just put there: it stays */
	if (unlinkat(s->parent, s->name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove it from tree/");
	s->tree_changed = s->name_removed = true;
	return 0;
}

/* The same record is in history; another one under its version is ERR_CORRUPT. */
static int is_in_history(struct store *store, struct commit_state *s, bool *ret, struct err *err)
{
	struct inode past = INODE_INIT;
	int status = 0;

	if (inode_read(store->history, names_version(&s->names, s->record.version), &past, err) < 0)
		return -1;
	if (!version_is_none(past.record.version) && !record_eq(&s->record, &past.record))
		status = err_set(err, ERR_CORRUPT, "another record has this version");
	else
		*ret = !version_is_none(past.record.version);
	inode_clear(&past);
	return status;
}

/* It is about directories, or about a name that was or becomes one. */
static enum change change_of(const struct commit_state *s)
{
	if (s->gate)
		return CHANGE_GATE;
	return s->record.flags & RECORD_DIRECTORY || s->old.kind == INODE_DIRECTORY ||
			       s->how == COMMIT_PARENT || s->how == COMMIT_REAP
		       ? CHANGE_DIRECTORY : CHANGE_FILE;
}

/*
 * It is just a version of a file, and the one before, if any, was linked
 * into history: so readers can do without it until it is on disk.
 */
static bool can_be_left_out(const struct commit_state *s)
{
	return change_of(s) == CHANGE_FILE && !s->entry.foreign &&
	       (s->how == COMMIT_OWN || s->how == COMMIT_MERGE || s->how == COMMIT_REPLAY);
}

/* The next commit relies on this deletion being above all in history/P, if it is (choose_version()). */
static void note_greatest(struct store *store, const struct commit_state *s)
{
	if (s->record.flags & RECORD_DELETED && can_be_left_out(s) &&
	    version_cmp(s->record.version, s->greatest) > 0)
		counters_note_greatest(store, s->path, changed_at(chain_leaf(&s->chain), "."));
}

static struct pending pending_of(const struct commit_state *s)
{
	return (struct pending){ .version = s->record.version, .record_known = s->record_known,
				 .before = s->entry.record.version };
}

/*
 * From here on others may see it: the outbox's entry is on disk, and readers
 * go by what was there before, or wait, until the end.
 */
static int reveal(struct store *store, const struct commit *c, struct commit_state *s,
		  struct err *err)
{
	struct pending pending = pending_of(s);

	if (s->revealed)
		return 0;
	if (sync_entry(c, s, err) < 0)
		return -1;
	counters_begin(store, s->path, change_of(s), can_be_left_out(s) ? &pending : NULL);
	s->revealed = true;
	return 0;
}

/* content, and pointers */

/* What the new version's name will be made from: the stage's file, or a pointer's text. */
static struct source source_of(const struct commit *c, const struct commit_state *s, struct buf *text)
{
	struct source source = SOURCE_INIT;

	if (c->stage == NULL) {
		record_format(text, &s->record, c->type);
		source.text = text->data;
	} else {
		source.fd = stage_fd(c->stage);
	}
	return source;
}

/* Step 1: the stage's file is there, with its record. */
static int prepare_file(const struct commit *c, const struct commit_state *s, struct err *err)
{
	if (c->stage == NULL)
		return 0;
	if (stage_make_file(c->stage, err) < 0)
		return -1;
	return inode_set_record(stage_fd(c->stage), &s->record, c->type, false, err);
}

/* Step 4. */
static int give_name(struct store *store, struct commit_state *s, const struct source *source,
		     struct err *err)
{
	char temporary[TEMPORARY_NAME];
	int status;

	if (!inode_unchanged(s->parent, s->name, &s->old))
		return AGAIN;	/* a person has just put a file over it */
	if (s->old.kind == INODE_NONE)
		status = place_name(source, s->parent, s->name);
	else
		status = place_over(source, store->tmp, temporary_name(temporary, "new", s->path),
				    s->parent, s->name);
	if (status < 0 && (errno == EEXIST || errno == ENOENT || errno == EISDIR))
		return AGAIN;	/* the directory went, or a person was quicker */
	return status < 0 ? err_sys(err, "give it its name") : 0;
}

static int place_newest(struct store *store, const struct commit *c, struct commit_state *s,
			const struct source *source, struct err *err)
{
	int status;

	if (s->ahead && open_history(store, s, err) < 0)
		return -1;
	status = keep_old(store, s, err);
	if (status == 0)
		status = sync_body(store, c, err);
	if (status == 0)
		status = sync_history(store, s, err);
	if (status == 0)
		status = reveal(store, c, s, err);
	if (status == 0)
		status = give_name(store, s, source, err);
	s->tree_changed = true;
	return status;
}

static int place_older(struct store *store, const struct commit *c, struct commit_state *s,
		       const struct source *source, struct err *err)
{
	if (sync_body(store, c, err) < 0 || open_history(store, s, err) < 0 ||
	    reveal(store, c, s, err) < 0 ||
	    place_in_history(source, chain_leaf(&s->chain), &s->record, c->stage != NULL, err) < 0)
		return -1;
	return sync_history(store, s, err);
}

/* A directory is there, or the entry's end is above it. */
static bool must_stay_in_history(const struct commit_state *s)
{
	return s->old.kind == INODE_DIRECTORY ||
	       version_cmp(s->record.version, s->marks.end) < 0;
}

/* The newest, in history, until it can be in tree/. */
static int place_waiting(struct store *store, const struct commit *c, struct commit_state *s,
			 const struct source *source, struct err *err)
{
	int status = inode_is_file(&s->old) ? keep_old(store, s, err) : 0;

	if (status != 0)
		return status;
	if (place_older(store, c, s, source, err) < 0)
		return -1;
	if (version_cmp(s->record.version, s->marks.file) > 0 &&
	    (set_mark(s, MARK_FILE, s->record.version, err) < 0 ||
	     sync_history(store, s, err) < 0))
		return -1;
	return inode_is_file(&s->old) ? unlink_old(s, err) : 0;
}

/*
 * The version made elsewhere is in its place already, with nothing to add
 * to it.  A record that contradicts one known here is refused.
 */
static int is_in_place(struct store *store, const struct commit *c, struct commit_state *s,
		       bool *ret, struct err *err)
{
	int order = version_cmp(s->record.version, s->entry.record.version);
	bool same = version_cmp(s->record.version, s->old.record.version) == 0, placed;
	struct inode past = INODE_INIT;
	const struct inode *there = same ? &s->old : &past;
	int status = 0;

	if (!same && version_cmp(s->record.version, s->greatest) <= 0 &&
	    inode_read(store->history, names_version(&s->names, s->record.version), &past, err) < 0)
		return -1;
	if (same)
		placed = !must_stay_in_history(s);
	else
		placed = order < 0 || (order == 0 && (must_stay_in_history(s) || c->stage == NULL));
	s->record_known = record_eq(&s->record, &there->record);
	if (!version_is_none(there->record.version) && !s->record_known)
		status = err_set(err, ERR_CORRUPT, "another record has this version");
	else
		*ret = s->record_known && placed &&
		       (there->kind != INODE_POINTER || c->stage == NULL);
	inode_clear(&past);
	return status;
}

static int place_version(struct store *store, const struct commit *c, struct commit_state *s,
			 struct err *err)
{
	struct buf text = BUF_INIT;
	struct source source = source_of(c, s, &text);
	int status;

	if (c->outbox != NULL)
		outbox_sync_soon(c->outbox);	/* beside the body */
	if (!s->newest)
		status = place_older(store, c, s, &source, err);
	else if (must_stay_in_history(s))
		status = place_waiting(store, c, s, &source, err);
	else
		status = place_newest(store, c, s, &source, err);
	buf_clear(&text);
	return status;
}

/*
 * By the log.  A version of a file that just takes its place in tree/, or in
 * history/, is written there first.
 */

static bool may_log(const struct commit *c, const struct commit_state *s)
{
	return c->wal != NULL && can_be_left_out(s) && !s->ahead &&
	       (s->record.flags & RECORD_DELETED || !s->newest || !must_stay_in_history(s)) &&
	       (c->stage == NULL || stage_size(c->stage) <= WAL_BODY_MAX);
}

/* Its bytes, wherever they are. */
static int body_of(const struct commit *c, struct buf *read, struct str *ret, struct err *err)
{
	size_t n;

	*ret = (struct str)STR_INIT;
	if (c->stage == NULL)
		return 0;
	*ret = stage_bytes(c->stage);
	if (ret->s != NULL)
		return 0;
	n = (size_t)stage_size(c->stage);
	if (pread(stage_fd(c->stage), buf_reserve(read, n + 1), n, 0) != (ssize_t)n)
		return err_sys(err, "read body");
	read->len = n;
	*ret = buf_str(read);
	return 0;
}

/* 0, AGAIN: there is no room just now; NO_LOG: it cannot be logged; or -1. */
static int log_version(const struct commit *c, struct commit_state *s, struct err *err)
{
	struct pending pending = pending_of(s);
	struct wal_entry entry = { .path = s->path, .record = s->record, .type = c->type,
				   .pointer = c->pointer != NULL, .owed = s->mark };
	struct buf read = BUF_INIT;
	int status = body_of(c, &read, &entry.body, err);

	if (status == 0)
		status = wal_append(c->wal, &entry, c->together == NULL, &pending, err);
	buf_clear(&read);
	s->revealed = pending.logged.segment != 0;
	if (status == 0)
		s->logged = pending.logged;
	return status;
}

/* From the mark on it counts; a file that stays in tree/ then goes with the path's next commit. */
static int place_logged_tombstone(struct store *store, struct commit_state *s, struct err *err)
{
	int status = s->newest ? keep_old(store, s, err) : 0;
	struct version v = s->record.version;

	if (status != 0)
		return status;
	if (open_history(store, s, err) < 0 ||
	    place_record(store, chain_leaf(&s->chain), &s->record, false, err) < 0 ||
	    (version_cmp(v, s->marks.file) > 0 && set_mark(s, MARK_FILE, v, err) < 0))
		return -1;
	note_greatest(store, s);
	if (s->newest && inode_is_file(&s->old))
		unlink_old(s, NULL);
	return 0;
}

/* Steps 2 and 4, of what the log has: nothing is synced. */
static int place_logged_version(struct store *store, const struct commit *c, struct commit_state *s,
				struct err *err)
{
	struct buf text = BUF_INIT;
	struct source source = source_of(c, s, &text);
	int status;

	if (s->newest) {
		status = keep_old(store, s, err);
		if (status == 0)
			status = give_name(store, s, &source, err);
	} else {
		status = open_history(store, s, err);
		if (status == 0)
			status = place_in_history(&source, chain_leaf(&s->chain), &s->record,
						  c->stage != NULL, err);
	}
	buf_clear(&text);
	return status;
}

/* What the log has gets its name.  0, AGAIN or -1: then the entry is void, and nobody saw it. */
static int finish_logged(struct store *store, const struct commit *c, struct commit_state *s,
			 struct err *err)
{
	int status = wal_wait(c->wal, s->logged, err);

	if (status < 0) {
		wal_void(c->wal, s->logged, NULL);	/* as far as the disk still obeys */
		return -1;
	}
	status = s->record.flags & RECORD_DELETED ? place_logged_tombstone(store, s, err)
						  : place_logged_version(store, c, s, err);
	if (chain_has_news(&s->chain))
		counters_directories(store);
	if (status < 0)
		undo(store, s);
	if (status == 0)
		wal_named(c->wal, s->logged, s->path, s->chain.made);
	else if (wal_void(c->wal, s->logged, status < 0 ? NULL : err) < 0)
		return -1;
	else
		outbox_done(store, s->mark);
	counters_end(store, s->path, CHANGE_FILE);
	return status;
}

static int commit_content(struct store *store, const struct commit *c, struct commit_state *s,
			  struct err *err)
{
	bool there = false;
	int status;

	if (is_ungrouped(c, s) && s->entry.directory)
		return err_set(err, ERR_CONFLICT, "a directory stands there");
	if (choose_record(store, c, s, err) < 0 || is_in_place(store, c, s, &there, err) < 0)
		return -1;
	s->newest = version_cmp(s->record.version, s->entry.record.version) >= 0;
	s->directory_in_way = s->newest && s->old.kind == INODE_DIRECTORY && !s->entry.directory;
	if (there)
		return 0;
	if (s->newest && s->parent < 0 && !must_stay_in_history(s))
		return MAKE_PARENT;
	if (prepare_file(c, s, err) < 0)
		return -1;
	if (may_log(c, s)) {
		status = log_version(c, s, err);
		if (status != NO_LOG)
			return status == AGAIN ? BUSY : status;
	}
	return c->together == NULL ? place_version(store, c, s, err) : BUSY;
}

/*
 * Directories in tree/, and live entries.
 *
 * A live entry's record is the attribute of its directory in tree/.  It is
 * set only after the directory's name in the one above is on disk: so who
 * finds it may rely on the directory.  Other directories only hold what is
 * below them, and need no records.
 *
 * In a group of one whoever writes a file makes the entries above it live
 * first, and looks once more when the file is on disk; whoever ends an
 * entry looks into it once more when the end is (entry_revive()).  So one of
 * two who do both at once sees the other.
 */

static bool directory_above_is_live(struct store *store, struct str directory, int fd)
{
	struct record record = inode_directory_record(fd);
	struct version end;
	struct names names;

	names_set(&names, directory);
	return record_is_live(&record) &&
	       mark_read(store->history, names_mark(&names, MARK_END), &end, NULL) == 0 &&
	       version_cmp(record.version, end) > 0;
}

/* Each directory from the top down to the path is made. */
static int directory_make_all(struct store *store, struct str path, bool ungrouped, struct err *err)
{
	for (size_t n = 1; n <= path.n; n++) {
		struct commit c = COMMIT_INIT;

		if (n < path.n && path.s[n] != '/')
			continue;
		c.path = (struct str){ path.s, n };
		c.flags = RECORD_DIRECTORY;
		c.ungrouped = ungrouped;
		if (commit_as(store, &c, ungrouped ? COMMIT_OWN : COMMIT_PARENT, err) < 0)
			return -1;
	}
	return 0;
}

/* The directory above the path, as it is now; *ret is -1 where there is none. */
static int directory_open_above(struct store *store, struct str path, int *ret, struct err *err)
{
	struct names names;
	int fd;

	names_set(&names, path_parent(path));
	fd = fs_open(store->tree, names.tree, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EXDEV)
		return err_sys(err, "open the directory above");
	*ret = fd;
	return 0;
}

/* The directory above the path is there, and a live entry if ungrouped: 1, 0 or -1. */
static int directory_is_above(struct store *store, struct str path, bool ungrouped, struct err *err)
{
	struct str parent = path_parent(path);
	bool there;
	int fd;

	if (directory_open_above(store, path, &fd, err) < 0)
		return -1;
	there = fd >= 0 && (!ungrouped || parent.n == 0 || directory_above_is_live(store, parent, fd));
	if (fd >= 0)
		close(fd);
	return there;
}

/* The directories above the path are there when this returns, with live entries if ungrouped. */
static int directory_make_above(struct store *store, struct str path, bool ungrouped,
				struct err *err)
{
	struct str parent = path_parent(path);

	for (int i = 0; i < TRIES; i++) {
		int there = directory_is_above(store, path, ungrouped, err);

		if (there != 0)
			return there < 0 ? -1 : 0;
		if (directory_make_all(store, parent, ungrouped, err) < 0)
			return -1;
	}
	return err_set(err, ERR_CONFLICT, "the directory above keeps being removed");
}

/* Put an empty directory where a file is, and the file away: history has it. */
static int directory_exchange(struct store *store, struct commit_state *s, struct err *err)
{
	char temporary[TEMPORARY_NAME];

	if (!inode_unchanged(s->parent, s->name, &s->old))
		return AGAIN;
	temporary_name(temporary, "directory", s->path);
	unlinkat(store->tmp, temporary, 0);	/* a file, when somebody died after the exchange */
	if (mkdirat(store->tmp, temporary, FS_DIR_MODE) < 0 && errno != EEXIST)
		return err_sys(err, "make a directory");
	if (renameat2(store->tmp, temporary, s->parent, s->name, RENAME_EXCHANGE) < 0) {
		int status = errno == ENOENT ? AGAIN : err_sys(err, "put a directory in its place");

		unlinkat(store->tmp, temporary, AT_REMOVEDIR);
		return status;
	}
	unlinkat(store->tmp, temporary, 0);
	return 0;
}

/* A directory is there under its name, durably.  0, AGAIN or -1. */
static int directory_appear(struct store *store, struct commit_state *s, struct err *err)
{
	int status = 0;

	if (s->old.kind == INODE_NONE) {
		if (mkdirat(s->parent, s->name, FS_DIR_MODE) < 0)
			return errno == EEXIST || errno == ENOENT
				       ? AGAIN : err_sys(err, "make a directory");
	} else if (s->old.kind != INODE_DIRECTORY) {
		status = directory_exchange(store, s, err);
	}
	return status == 0 ? sync_name(store, s, err) : status;
}

/* The record gets on the directory, which is there, durably. */
static int directory_put_record(struct store *store, struct commit_state *s, struct err *err)
{
	int fd = fs_open(s->parent, s->name, O_RDONLY | O_DIRECTORY, 0);
	int status;

	if (fd < 0)
		return errno == ENOENT ? AGAIN : err_sys(err, "open the new directory");
	status = inode_set_record(fd, &s->record, (struct str)STR_INIT, true, err);
	if (status == 0)
		status = sync_record(store, fd, err);
	close(fd);
	return status;
}

/* The record that another takes the place of is in history, not yet synced. */
static int directory_keep_record(struct store *store, struct commit_state *s, struct err *err)
{
	if (s->old.kind != INODE_DIRECTORY || version_is_none(s->old.record.version))
		return 0;
	if (open_history(store, s, err) < 0)
		return -1;
	return place_record(store, chain_leaf(&s->chain), &s->old.record, true, err);
}

/* A directory is at the path, whether or not it gets a record.  0, AGAIN, MAKE_PARENT or -1. */
static int directory_place(struct store *store, const struct commit *c, struct commit_state *s,
			   struct err *err)
{
	int status;

	if (s->old.kind == INODE_DIRECTORY && s->how == COMMIT_PARENT)
		return 0;
	if (s->parent < 0)
		return MAKE_PARENT;
	if (s->ahead && open_history(store, s, err) < 0)
		return -1;
	status = directory_keep_record(store, s, err);
	if (status == 0)
		status = retire_old(store, s, err);
	if (status == 0)
		status = sync_history(store, s, err);
	if (status == 0)
		status = reveal(store, c, s, err);
	if (status == 0)
		status = directory_appear(store, s, err);
	return status;
}

/* A record that is not the newest, or is it already. */
static int directory_place_older(struct store *store, const struct commit *c, struct commit_state *s,
				 struct err *err)
{
	bool there = false;

	s->newest = version_cmp(s->record.version, s->entry.entry.version) == 0;
	if (s->newest)
		return record_eq(&s->record, &s->entry.entry)
			       ? 0 : err_set(err, ERR_CORRUPT, "another record has this version");
	if (is_in_history(store, s, &there, err) < 0)
		return -1;
	if (there)
		return 0;
	if (open_history(store, s, err) < 0 || reveal(store, c, s, err) < 0 ||
	    place_record(store, chain_leaf(&s->chain), &s->record, true, err) < 0)
		return -1;
	return sync_history(store, s, err);
}

/* This node's own, where one stands. */
static int directory_take_existing(const struct commit *c, struct commit_state *s, struct err *err)
{
	s->record = s->entry.entry;
	s->newest = true;
	return enter_outbox(c, s, err);
}

/* A live entry.  0, AGAIN, MAKE_PARENT or -1. */
static int commit_directory(struct store *store, const struct commit *c, struct commit_state *s,
			    struct err *err)
{
	bool ungrouped = is_ungrouped(c, s);
	int status;

	/* Not if others know that it was removed after that. */
	if (version_is_none(c->fixed) && s->entry.directory &&
	    version_cmp(s->entry.entry.version, c->above) > 0)
		return directory_take_existing(c, s, err);
	if (ungrouped && (s->old.kind == INODE_FOREIGN || store_name_kind(&s->entry) == NAME_FILE))
		return err_set(err, ERR_CONFLICT, "a file stands there");
	if (choose_record(store, c, s, err) < 0)
		return -1;
	if (version_cmp(s->record.version, s->entry.entry.version) <= 0)
		return directory_place_older(store, c, s, err);
	s->newest = true;
	status = directory_place(store, c, s, err);
	return status == 0 ? directory_put_record(store, s, err) : status;
}

/* Nothing stands in it, by the records that are known. */
static int directory_is_empty(struct store *store, struct str path, bool *ret, struct err *err)
{
	struct names *names = mem_new(1, sizeof *names);
	struct children children = CHILDREN_INIT;
	struct buf below = BUF_INIT;
	bool empty = true;
	int status;

	names_set(names, path);
	status = children_read(store, names, &children, err);
	for (size_t i = 0; i < children.count && status == 0 && empty; i++) {
		struct store_entry entry = STORE_ENTRY_INIT;

		if (!path_below(&below, path, children.items[i].name))
			continue;
		status = newest_without(store, buf_str(&below), NULL, &entry, err);
		empty = store_name_kind(&entry) == NAME_ABSENT;
		store_entry_clear(&entry);
	}
	children_clear(&children);
	buf_clear(&below);
	free(names);
	if (status == 0)
		*ret = empty;
	return status;
}

/* tombstones, a file's and an entry's end; gates */

/* Put the tombstone into history, durably; the mark, unless it names a newer one, names it. */
static int place_tombstone(struct store *store, const struct commit *c, struct commit_state *s,
			   const char *mark, struct version marked, struct err *err)
{
	struct version v = s->record.version;

	if (open_history(store, s, err) < 0 ||
	    (version_cmp(v, marked) < 0 && reveal(store, c, s, err) < 0) ||
	    place_record(store, chain_leaf(&s->chain), &s->record, true, err) < 0 ||
	    reveal(store, c, s, err) < 0)
		return -1;
	if (version_cmp(v, marked) > 0 && set_mark(s, mark, v, err) < 0)
		return -1;
	return sync_history(store, s, err);
}

/* The tombstone made elsewhere is known already, and all that follows from it was done. */
static int tombstone_is_placed(struct store *store, struct commit_state *s, struct version marked,
			       bool *ret, struct err *err)
{
	bool there = false;

	if (is_in_history(store, s, &there, err) < 0)
		return -1;
	s->record_known = there && version_cmp(s->record.version, marked) <= 0;
	*ret = s->record_known &&
	       (!inode_is_file(&s->old) || version_cmp(s->old.record.version, s->record.version) > 0);
	return 0;
}

/* A file's.  0, AGAIN or -1. */
static int commit_tombstone(struct store *store, const struct commit *c, struct commit_state *s,
			    struct err *err)
{
	bool there = false;
	int status;

	if (is_ungrouped(c, s) && s->entry.directory)
		return err_set(err, ERR_CONFLICT, "a directory stands there");
	if (choose_record(store, c, s, err) < 0 ||
	    tombstone_is_placed(store, s, s->marks.file, &there, err) < 0)
		return -1;
	s->newest = s->name_removed = version_cmp(s->record.version, s->entry.record.version) >= 0;
	if (there)
		return 0;
	if (may_log(c, s)) {
		status = log_version(c, s, err);
		if (status != NO_LOG)
			return status;
	}
	status = s->newest ? keep_old(store, s, err) : 0;
	if (status != 0)
		return status;
	if (place_tombstone(store, c, s, MARK_FILE, s->marks.file, err) < 0)
		return -1;
	note_greatest(store, s);
	return s->newest && s->old.kind != INODE_NONE && s->old.kind != INODE_DIRECTORY
		       ? unlink_old(s, err) : 0;
}

/* What a group of one is told under the lock. */
static int entry_may_end(struct store *store, struct commit_state *s, struct err *err)
{
	bool empty = false;

	if (!s->entry.directory)
		return store_name_kind(&s->entry) != NAME_FILE
			       ? 0 : err_set(err, ERR_CONFLICT, "a file stands there");
	if (directory_is_empty(store, s->path, &empty, err) < 0)
		return -1;
	return empty ? 0 : err_set(err, ERR_EXISTS, "the directory is not empty");
}

/*
 * A file came into the directory meanwhile, whose writer may have found the
 * entry live: so it is live again, above the end.  Whoever found it ended
 * makes it so himself (finish_around()).
 */
static int entry_revive(struct store *store, const struct commit *c, struct commit_state *s,
			struct err *err)
{
	struct commit again = { .path = c->path, .flags = RECORD_DIRECTORY, .outbox = c->outbox };
	bool empty = false;
	int status;

	if (directory_is_empty(store, s->path, &empty, err) < 0)
		return -1;
	if (empty)
		return 0;
	s->greatest = s->record.version;
	chain_close(&s->chain);
	if (choose_record(store, &again, s, err) < 0)
		return -1;
	if (s->ahead && (open_history(store, s, err) < 0 ||
			 sync_history(store, s, err) < 0))
		return -1;
	if (sync_entry(c, s, err) < 0)
		return -1;
	status = directory_put_record(store, s, err);
	return status == 0 ? err_set(err, ERR_EXISTS, "the directory is not empty") : status;
}

/* What the end leaves behind is in history: the live record, or a file that stands no more. */
static int entry_keep_ended(struct store *store, struct commit_state *s, struct err *err)
{
	return s->old.kind == INODE_DIRECTORY ? directory_keep_record(store, s, err)
					      : retire_old(store, s, err);
}

/* An entry's end.  0, AGAIN or -1. */
static int commit_entry_end(struct store *store, const struct commit *c, struct commit_state *s,
			    struct err *err)
{
	bool ungrouped = is_ungrouped(c, s), there = false, over;
	int status;

	if (ungrouped && entry_may_end(store, s, err) < 0)
		return -1;
	if (choose_record(store, c, s, err) < 0 ||
	    tombstone_is_placed(store, s, s->marks.end, &there, err) < 0)
		return -1;
	s->newest = version_cmp(s->record.version, s->entry.entry.version) >= 0;
	s->directory_in_way = s->newest;
	if (there)
		return 0;
	over = version_cmp(s->record.version, s->old.record.version) > 0;
	status = over && s->old.kind != INODE_FOREIGN ? entry_keep_ended(store, s, err) : 0;
	if (status != 0)
		return status;
	if (place_tombstone(store, c, s, MARK_END, s->marks.end, err) < 0)
		return -1;
	if (over && inode_is_file(&s->old))
		return unlink_old(s, err);
	return ungrouped ? entry_revive(store, c, s, err) : 0;
}

/* A gate.  0 or -1. */
static int commit_gate(struct store *store, const struct commit *c, struct commit_state *s,
		       struct err *err)
{
	struct version gate;

	if (mark_read(store->history, names_mark(&s->names, MARK_GATE), &gate, err) < 0 ||
	    choose_record(store, c, s, err) < 0)
		return -1;
	if (!version_is_none(gate))
		s->before = gate_record(gate);
	s->newest = version_cmp(s->record.version, gate) >= 0;
	if (version_cmp(s->record.version, gate) <= 0)
		return 0;
	if (open_history(store, s, err) < 0 || reveal(store, c, s, err) < 0 ||
	    set_mark(s, MARK_GATE, s->record.version, err) < 0)
		return -1;
	return sync_history(store, s, err);
}

/*
 * Reaping: what stands for nothing any more goes from tree/.
 *
 * A directory that is no live entry goes when the last name in it has gone,
 * and what waited for that takes its place.  That is done after the commit
 * that removed the name, each directory under its own lock.  Nothing depends
 * on it: what stands is decided by records, and what a crash left goes when
 * its name is wanted.
 */

/* A file that stands no more, because its deletion was cut short. */
static bool file_is_dead(const struct inode *found, const struct marks *marks)
{
	return inode_is_file(found) &&
	       (version_cmp(found->record.version, marks->file) < 0 ||
		version_cmp(found->record.version, marks->end) < 0);
}

/* Nothing is in the way of what history names, which may be a version that waits. */
static bool waiting_may_come(const struct inode *found, const struct marks *marks)
{
	return found->kind == INODE_NONE && version_cmp(marks->file, marks->end) > 0;
}

/* The version that waits and may come, or none; in older stores nothing names it. */
static int reap_find_waiting(struct store *store, struct commit_state *s, struct version *ret,
			     struct err *err)
{
	const struct record *file = &s->entry.record;
	struct version v;

	*ret = VERSION_NONE;
	if (store_name_kind(&s->entry) == NAME_FILE) {
		*ret = file->version;
		return 0;
	}
	if (s->old.kind != INODE_DIRECTORY)
		return 0;
	if (history_newest_file(store->history, &s->names,
				version_later(s->marks.end, file->version), VERSION_NONE, &v,
				err) < 0)
		return -1;
	if (!version_is_none(v) &&
	    (open_history(store, s, err) < 0 || set_mark(s, MARK_FILE, v, err) < 0 ||
	     sync_history(store, s, err) < 0))
		return -1;
	*ret = v;
	return 0;
}

/* A dead file's version is in history, and it goes. */
static int reap_file(struct store *store, const struct commit *c, struct commit_state *s,
		     struct err *err)
{
	int status = retire_old(store, s, err);

	if (status == 0)
		status = sync_history(store, s, err);
	if (status == 0)
		status = reveal(store, c, s, err);
	return status == 0 ? unlink_old(s, err) : status;
}

/* The directory, if one is there, goes, and what waits comes. */
static int reap_directory(struct store *store, struct commit_state *s, struct version waiting,
			  struct err *err)
{
	bool comes = !version_is_none(waiting);
	char temporary[TEMPORARY_NAME];
	int status = 0;

	temporary_name(temporary, "new", s->path);
	if (comes) {
		unlinkat(store->tmp, temporary, 0);	/* whoever left it there died */
		if (linkat(store->history, names_version(&s->names, waiting), store->tmp, temporary,
			   0) < 0)
			return err_sys(err, "bring back what waits");
	}
	if (s->old.kind == INODE_DIRECTORY && unlinkat(s->parent, s->name, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		status = errno == ENOTEMPTY ? AGAIN : err_sys(err, "remove the directory");
	else if (comes && renameat2(store->tmp, temporary, s->parent, s->name,
				    RENAME_NOREPLACE) < 0 && errno != EEXIST)
		status = err_sys(err, "bring back what waits");
	if (comes)
		unlinkat(store->tmp, temporary, 0);	/* unless it was renamed */
	s->tree_changed = true;
	return status == AGAIN ? 0 : status;	/* something came into it: it stays */
}

static int commit_reap(struct store *store, const struct commit *c, struct commit_state *s,
		       struct err *err)
{
	struct version waiting;

	s->record = (struct record){ .flags = 0 };
	if (file_is_dead(&s->old, &s->marks))
		return reap_file(store, c, s, err);
	if (s->parent < 0 || s->entry.directory ||
	    (s->old.kind != INODE_DIRECTORY && s->old.kind != INODE_NONE) ||
	    (s->old.kind == INODE_DIRECTORY && !names_none(s->old.fd, ".")))
		return 0;
	if (reap_find_waiting(store, s, &waiting, err) < 0)
		return -1;
	if (s->old.kind == INODE_NONE && version_is_none(waiting))
		return 0;
	if (reveal(store, c, s, err) < 0)
		return -1;
	return reap_directory(store, s, waiting, err);
}

/* Whether to ask for the lock at all; *ret_holds: a directory that is no live entry is there. */
static bool may_reap(struct store *store, struct str path, bool *ret_holds)
{
	struct inode found = INODE_INIT;
	struct marks marks;
	struct names names;
	bool goes = false;

	*ret_holds = false;
	names_set(&names, path);
	if (inode_read_tree(store->tree, names.tree, &found, NULL) == 0 &&
	    marks_read(store->history, &names, &marks, NULL) == 0) {
		*ret_holds = found.kind == INODE_DIRECTORY &&
			     version_cmp(found.record.version, marks.end) <= 0;
		goes = *ret_holds ? names_none(found.fd, ".")
				  : file_is_dead(&found, &marks) || waiting_may_come(&found, &marks);
	}
	inode_clear(&found);
	return goes;
}

/* Nothing is there any more. */
static bool reap(struct store *store, struct str path)
{
	struct commit c = { .path = path, .flags = RECORD_DELETED | RECORD_DIRECTORY };
	struct stat st;
	struct names names;

	if (commit_as(store, &c, COMMIT_REAP, NULL) < 0)
		return false;
	names_set(&names, path);
	return fstatat(store->tree, names.tree, &st, AT_SYMLINK_NOFOLLOW) < 0;
}

/* Directories from this one upwards that hold nothing go; what fails is left for later. */
static void reap_upwards(struct store *store, struct str path)
{
	bool holds;

	while (path.n > 0 && may_reap(store, path, &holds) && reap(store, path))
		path = path_parent(path);
}

/* The directory, and those in it, if they hold nothing; true: nothing is there any more. */
static bool reap_below(struct store *store, struct str path)
{
	struct names *names = mem_new(1, sizeof *names);
	struct buf all = BUF_INIT, below = BUF_INIT;
	bool holds, goes = may_reap(store, path, &holds);

	names_set(names, path);
	if (holds && !goes && names_collect(store->tree, names->tree, &all, NULL) == 0) {
		goes = true;
		for (size_t at = 0; at < all.len && goes; at += strlen(all.data + at) + 1)
			goes = path_below(&below, path, all.data + at) &&
			       reap_below(store, buf_str(&below));
	}
	free(names);
	buf_clear(&all);
	buf_clear(&below);
	return goes && reap(store, path);
}

/* what failed */

/* What stood at tree/P stands there again; history has it, if it was a file of covey's. */
static void undo_name(struct store *store, struct commit_state *s)
{
	struct version v = s->record.version;
	struct inode found = INODE_INIT;
	struct source before = SOURCE_INIT;
	char name[VERSION_NAME], temporary[TEMPORARY_NAME];

	if (s->parent < 0 || inode_read_tree(store->tree, s->names.tree, &found, NULL) < 0)
		return;
	before.dir = chain_leaf(&s->chain);
	before.name = version_name(name, s->old.record.version);
	if (found.kind == INODE_NONE && inode_is_file(&s->old))
		place_name(&before, s->parent, s->name);
	else if (version_cmp(found.record.version, v) == 0 && inode_is_file(&s->old))
		place_over(&before, store->tmp, temporary_name(temporary, "new", s->path),
			   s->parent, s->name);
	else if (version_cmp(found.record.version, v) == 0)
		unlinkat(s->parent, s->name, 0);
	inode_clear(&found);
}

/*
 * The version of a file of which nobody is told, because a sync failed, goes,
 * as far as the disk still obeys: it is for readers as if it had never been.
 */
static void undo(struct store *store, struct commit_state *s)
{
	struct version v = s->record.version, marked;
	int history = chain_leaf(&s->chain);
	char name[VERSION_NAME];

	if (!s->revealed || !can_be_left_out(s) || s->record_known ||
	    version_cmp(v, s->old.record.version) == 0)
		return;
	undo_name(store, s);
	if (history < 0)
		return;
	if (mark_read(history, MARK_FILE, &marked, NULL) == 0 && version_cmp(marked, v) == 0) {
		if (version_is_none(s->marks.file))
			unlinkat(history, MARK_FILE, 0);
		else
			set_mark(s, MARK_FILE, s->marks.file, NULL);
	}
	unlinkat(history, version_name(name, v), 0);
}

/* the commit */

/* A gate is a version and nothing else. */
static int check_gate(const struct commit *c, struct err *err)
{
	if (c->flags == RECORD_DELETED && c->stage == NULL && c->pointer == NULL &&
	    c->mtime == 0 && c->type.n == 0)
		return 0;
	return err_set(err, ERR_INVALID, "a gate that is more than a version");
}

/* A commit that makes sense by itself. */
static int check_commit(const struct commit *c, struct err *err)
{
	bool content = !(c->flags & (RECORD_DELETED | RECORD_DIRECTORY));

	if (c->path.n == 0)
		return err_set(err, ERR_CONFLICT, "the root is a directory and stays");
	if (path_is_gate(c->path))
		return check_gate(c, err);
	if (c->pointer != NULL)
		return record_has_content(c->pointer) && c->stage == NULL
			       ? 0 : err_set(err, ERR_INVALID, "a pointer without content");
	if (content != (c->stage != NULL))
		return err_set(err, ERR_INVALID, "content for what has none, or none for what has");
	if (c->stage != NULL && !stage_is_whole(c->stage))
		return err_set(err, ERR_INVALID, "its body has not come to its end");
	if (!content && c->type.n > 0)
		return err_set(err, ERR_INVALID, "a content type without content");
	return record_check_type(c->type, err);
}

/*
 * After a power cut a name may be on disk whose file is not, or not all of
 * it.  One that has the entry's record, and not its bytes, goes: the entry has
 * them.
 */
static bool discard_broken_name(int dir, const char *name, const struct commit *c)
{
	int fd = fs_open(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	struct str body = stage_bytes(c->stage);
	char *bytes = mem_new(1, WAL_BODY_MAX + 1);
	struct record record = fd >= 0 ? inode_record(fd) : (struct record){ .flags = 0 };
	/* What a person wrote over it is moved aside, as always. */
	bool broken = version_cmp(record.version, c->fixed) == 0 && inode_is_untouched(fd, &record) &&
		      (pread(fd, bytes, WAL_BODY_MAX + 1, 0) != (ssize_t)body.n ||
		       memcmp(bytes, body.s, body.n) != 0);

	if (fd >= 0)
		close(fd);
	free(bytes);
	return broken && unlinkat(dir, name, 0) == 0;
}

static bool discard_broken(struct store *store, const struct commit *c, struct commit_state *s)
{
	if (c->stage == NULL)
		return false;
	return (s->parent >= 0 && discard_broken_name(s->parent, s->name, c)) ||
	       discard_broken_name(store->history, names_version(&s->names, c->fixed), c);
}

static int commit_step(struct store *store, const struct commit *c, struct commit_state *s,
		       struct err *err)
{
	uint8_t flags = c->pointer != NULL ? c->pointer->flags : c->flags;

	if (read_state(store, s, err) < 0)
		return -1;
	if (s->how == COMMIT_PARENT)
		return directory_place(store, c, s, err);
	if (s->how == COMMIT_REAP)
		return commit_reap(store, c, s, err);
	if (c->condition != NULL && c->condition(c, &s->entry, err) < 0)
		return -1;
	if (s->how == COMMIT_REPLAY && discard_broken(store, c, s))
		return AGAIN;
	if (s->gate)
		return commit_gate(store, c, s, err);
	s->before = flags & RECORD_DIRECTORY ? s->entry.entry : s->entry.record;
	if (s->how == COMMIT_MERGE && c->keep > 0 && check_beyond_keep(store, c, s, err) < 0)
		return -1;
	if (s->dropped)
		return 0;
	switch (flags & (RECORD_DELETED | RECORD_DIRECTORY)) {
	case RECORD_DELETED:
		return commit_tombstone(store, c, s, err);
	case RECORD_DIRECTORY:
		return commit_directory(store, c, s, err);
	case RECORD_DELETED | RECORD_DIRECTORY:
		return commit_entry_end(store, c, s, err);
	default:
		return commit_content(store, c, s, err);
	}
}

/*
 * The directory above, for one of several: opened by the first that needs it.
 * No directory has come or gone since then, but by a person's hand; and in
 * one that was removed there is no giving names.
 */
static int together_parent(struct store *store, struct commit *c, struct commit_state *s,
			   struct err *err)
{
	struct parent parent = { .path = path_parent(s->path), .fd = -1,
				 .directories = store_directory_changes(store) };
	struct together *t = c->together;
	int status;

	for (size_t i = t->count; i-- > 0;)
		if (t->parents[i].directories == parent.directories &&
		    (t->parents[i].ungrouped || !c->ungrouped) &&
		    str_eq(t->parents[i].path, parent.path)) {
			c->directories = parent.directories;
			s->parent = t->parents[i].fd;
			return 0;
		}
	if (t->count == STORE_COMMIT_MOST)
		return BUSY;
	status = directory_open_above(store, s->path, &parent.fd, err);
	if (status < 0 || parent.fd < 0)
		return status < 0 ? -1 : BUSY;
	parent.ungrouped = c->ungrouped && (parent.path.n == 0 ||
					    directory_above_is_live(store, parent.path, parent.fd));
	t->parents[t->count++] = parent;
	if (c->ungrouped && !parent.ungrouped)
		return BUSY;
	c->directories = parent.directories;
	s->parent = parent.fd;
	return 0;
}

/* Under the path's lock from here on. */
static int commit_lock(struct store *store, struct commit *c, struct commit_state *s,
		       struct err *err)
{
	if (c->together != NULL)
		return locks_add(store, &c->together->locks, s->path)
			       ? together_parent(store, c, s, err) : BUSY;
	if (counters_lock(store, &s->lock, s->path, err) < 0)
		return -1;
	return directory_open_above(store, s->path, &s->parent, err);
}

/* One try: 0 with *ret to be waited for, AGAIN, MAKE_PARENT, BUSY or -1. */
static int commit_try(struct store *store, struct commit *c, enum commit_how how, bool make,
		      struct commit_state **ret, struct err *err)
{
	struct commit_state *s = mem_new(1, sizeof *s);
	int status;

	*s = (struct commit_state)COMMIT_STATE_INIT;
	s->how = how;
	s->gate = path_is_gate(c->path);
	s->path = s->gate ? path_parent(c->path) : c->path;
	status = names_init(&s->names, s->path, err);
	if (status == 0) {
		const char *slash = strrchr(s->names.tree, '/');

		s->name = slash != NULL ? slash + 1 : s->names.tree;
	}
	if (status == 0 && make && c->together == NULL) {
		c->directories = store_directory_changes(store);
		status = directory_make_above(store, s->path, c->ungrouped, err);
	}
	if (status == 0)
		status = commit_lock(store, c, s, err);
	if (status == 0)
		status = commit_step(store, c, s, err);
	if (status == 0) {
		*ret = s;
		return 0;
	}
	if (!s->revealed)
		outbox_done(store, s->mark);	/* there will be no such version */
	else if (status < 0)
		undo(store, s);
	state_free(c, s);
	return status;
}

static int submit_as(struct store *store, struct commit *c, enum commit_how how, struct err *err)
{
	/* What was made elsewhere may be old: it need not have a place in tree/. */
	bool make = how != COMMIT_MERGE && how != COMMIT_REPLAY && how != COMMIT_REAP &&
		    !(c->flags & RECORD_DELETED);
	/* Of a body that has a file space was left before. */
	bool space = c->stage != NULL ? stage_bytes(c->stage).s != NULL
				      : c->pointer == NULL && !(c->flags & RECORD_DELETED);

	if (check_commit(c, err) < 0 || disk_check(store, space, err) < 0)
		return -1;
	if (c->together != NULL && (c->wal == NULL || (c->stage == NULL && c->pointer == NULL)))
		return BUSY;
	for (int i = 0; i < TRIES; i++) {
		struct commit_state *s = NULL;
		int status = commit_try(store, c, how, make, &s, err);

		if (status < 0) {
			if (make && !c->ungrouped && c->together == NULL)
				reap_upwards(store, path_parent(c->path));
			return -1;
		}
		if (c->together != NULL && (status == BUSY || status == MAKE_PARENT))
			return BUSY;
		make = make || status == MAKE_PARENT;
		if (s == NULL)
			continue;
		c->record = s->record;
		c->before = s->before;
		c->newest = s->newest;
		c->dropped = s->dropped;
		c->mark = s->mark;
		c->state = s;
		return 0;
	}
	return err_set(err, ERR_CONFLICT, "what is around it keeps changing");
}

static int commit_begin(struct store *store, struct commit *c, enum commit_how how, struct err *err)
{
	struct err why = ERR_INIT;
	int status = submit_as(store, c, how, &why);

	if (status < 0 && why.kind == ERR_FULL && c->flags & RECORD_DELETED &&
	    disk_release_reserve(store))
		status = submit_as(store, c, how, &why);
	if (status >= 0)
		return status;
	err_pass(err, &why);
	return err_context(err, "commit %s", shown(c->path).text);
}

/* What follows once it is on disk, under other paths' locks. */
static int finish_around(struct store *store, const struct commit *c, bool in_way, bool removed,
			 struct err *err)
{
	if (in_way)
		reap_below(store, c->path);
	if (in_way || removed)
		reap_upwards(store, path_parent(c->path));
	/* Nobody is to have removed the directories above meanwhile. */
	return c->ungrouped && record_is_live(&c->record) &&
			       store_directory_changes(store) != c->directories
		       ? directory_make_above(store, c->path, true, err) : 0;
}

/* A version of a file came that nobody had told of before. */
static bool is_new_file_version(const struct commit_state *s)
{
	return s->revealed && !s->record_known && s->how != COMMIT_REAP && s->how != COMMIT_PARENT &&
	       !s->gate && !(s->record.flags & RECORD_DIRECTORY);
}

static void tell_if_ahead(struct store *store, const struct commit *c)
{
	uint64_t by = counters_ahead(store, c->record.version.time);

	if (by > 0 && store->tell_ahead != NULL)
		store->tell_ahead(c->path, c->record.version, by);
}

int commit_submit(struct store *store, struct commit *c, struct err *err)
{
	bool elsewhere = c->pointer != NULL || !version_is_none(c->fixed);

	return commit_begin(store, c, elsewhere ? COMMIT_MERGE : COMMIT_OWN, err);
}

/* Step 5, of what the log does not have. */
static int finish_synced(struct store *store, const struct commit *c, struct commit_state *s,
			 struct err *err)
{
	int status = s->tree_changed ? sync_name(store, s, err) : 0;

	if (status == 0)
		status = sync_entry(c, s, err);
	if (status < 0)
		undo(store, s);
	else if (s->revealed)
		counters_end(store, s->path, change_of(s));
	return status;
}

/* A deletion for which the disk had no name left: what is kept for that is given to it (commit_begin()). */
static int commit_unlogged(struct store *store, struct commit *c, struct err *err)
{
	struct wal *wal = c->wal;
	int status;

	c->wal = NULL;
	status = store_commit(store, c, err);
	c->wal = wal;
	return status;
}

int commit_wait(struct store *store, struct commit *c, struct err *err)
{
	struct commit_state *s = c->state;
	bool in_way = s->directory_in_way, removed = s->name_removed && s->how != COMMIT_REAP;
	bool news = is_new_file_version(s), logged = s->logged.segment != 0;
	struct err why = ERR_INIT;
	int status = logged ? finish_logged(store, c, s, &why) : finish_synced(store, c, s, &why);

	state_free(c, s);
	c->state = NULL;
	if (status < 0 && logged && why.kind == ERR_FULL && c->flags & RECORD_DELETED)
		return commit_unlogged(store, c, err);
	if (status < 0)
		return err_pass(err, &why);
	if (status == AGAIN)
		return c->together == NULL ? store_commit(store, c, err) : BUSY;
	if (status == 0 && news)
		tell_if_ahead(store, c);
	return status == 0 && c->together == NULL ? finish_around(store, c, in_way, removed, err) : status;
}

/* Both, as one of these. */
static int commit_as(struct store *store, struct commit *c, enum commit_how how, struct err *err)
{
	return commit_begin(store, c, how, err) < 0 ? -1 : commit_wait(store, c, err);
}

int commit_adopt(struct store *store, struct commit *c, struct err *err)
{
	return commit_as(store, c, COMMIT_ADOPT, err);
}

int commit_replay(struct store *store, struct commit *c, struct err *err)
{
	return commit_as(store, c, COMMIT_REPLAY, err);
}

int store_commit(struct store *store, struct commit *c, struct err *err)
{
	if (commit_submit(store, c, err) < 0)
		return -1;
	return commit_wait(store, c, err);
}

static void together_end(struct together *t)
{
	for (size_t i = 0; i < t->count; i++)
		close(t->parents[i].fd);
	locks_end(&t->locks);
}

/*
 * Several at once hold their paths' locks together, so none of them waits for
 * a lock, or makes what would need another: what has to is made alone.
 */
void store_commit_together(struct store *store, struct commit **commits, size_t count, int *statuses,
			   struct err *errs)
{
	struct together t = { .count = 0 };
	bool several = locks_begin(store, &t.locks);

	for (size_t i = 0; i < count; i++) {
		errs[i] = (struct err)ERR_INIT;
		commits[i]->together = &t;
		statuses[i] = several ? commit_submit(store, commits[i], &errs[i]) : BUSY;
	}
	for (size_t i = 0; i < count; i++)
		if (statuses[i] == 0)
			statuses[i] = commit_wait(store, commits[i], &errs[i]);
	if (several)
		together_end(&t);
	for (size_t i = 0; i < count; i++) {
		commits[i]->together = NULL;
		if (statuses[i] == BUSY)
			statuses[i] = STORE_COMMIT_ALONE;
		else if (statuses[i] == 0)
			statuses[i] = finish_around(store, commits[i], false, false, &errs[i]);
	}
}

/* The first of those that have to be made alone may be all that the others lacked: a directory. */
void store_commit_all(struct store *store, struct commit **commits, size_t count, int *statuses,
		      struct err *errs)
{
	struct commit *left[STORE_COMMIT_MOST];
	size_t which[STORE_COMMIT_MOST], n;
	struct err left_errs[STORE_COMMIT_MOST];
	int left_statuses[STORE_COMMIT_MOST];

	store_commit_together(store, commits, count, statuses, errs);
	for (size_t i = 0; i < count; i++) {
		if (statuses[i] != STORE_COMMIT_ALONE)
			continue;
		statuses[i] = store_commit(store, commits[i], &errs[i]);
		n = 0;
		for (size_t k = i + 1; k < count; k++)
			if (statuses[k] == STORE_COMMIT_ALONE) {
				left[n] = commits[k];
				which[n++] = k;
			}
		store_commit_together(store, left, n, left_statuses, left_errs);
		for (size_t k = 0; k < n; k++) {
			statuses[which[k]] = left_statuses[k];
			errs[which[k]] = left_errs[k];
		}
	}
}

struct commit commit_of_record(struct str path, const struct record *record, struct str type,
			       struct stage *stage, uint32_t keep)
{
	struct commit c = { .path = path, .stage = stage, .keep = keep };

	if (record_has_content(record))
		c.type = type;
	if (record_has_content(record) && stage == NULL) {
		c.pointer = record;
	} else {
		c.flags = record->flags;
		c.mtime = record->mtime;
		c.made = record->made;
		c.fixed = record->version;
	}
	return c;
}

int store_merge(struct store *store, struct str path, const struct record *record,
		struct str type, uint32_t keep, struct err *err)
{
	struct commit c = commit_of_record(path, record, type, NULL, keep);

	return store_commit(store, &c, err);
}
