/*
 * store - versions of files on this node's disk, as plain files
 *
 *	tree/P			the newest version's content, or a pointer
 *	history/P/,VERSION	older versions, tombstones, pointers
 *	history/P/,		symbolic link: the newest version that is not in
 *				tree/, a tombstone or one that waits
 *	history/P/,directory	symbolic link: the end of the entry P, if any
 *	history/P/,closed	symbolic link: the gate of the directory P, if any
 *	outbox/, wal/		what is owed to others (outbox.h); the log (wal.h)
 *
 * Newest = the greater of tree/P and what history/P/, names: a look-up each,
 * never a scan.  What a person put into tree/ by hand (no
 * record, or one that does not match the file) is foreign: never served
 * as a version, moved aside by a commit, made a version by adoption.
 *
 * A name has two registers, its file's newest record and its directory's,
 * the entry: a live one is the attribute of the directory tree/P.  What
 * stands is decided by the two alone (record_name_kind()), so that all nodes
 * that have the same ones agree.  Other directories in tree/ only hold
 * files: they go when they are empty, are nobody's children, and refuse
 * nothing.  Where one, or an entry, is in a file's way, the file's newest
 * version waits in history/, as readable there, and comes when it has gone.
 *
 * A directory's gate is the greatest version at which somebody began to
 * remove it: a tombstone of the path "P/", which hides nothing and is with
 * what is in the directory (path_partition()).
 *
 * Calling sequence of a write:
 *
 *	stage_begin, stage_add..., stage_sync		the body, unnamed
 *	commit_submit, commit_wait			the version
 *
 * After commit_wait() returned 0 the version is on disk.  After any
 * failure before that, nothing is visible; a crash anywhere leaves the old
 * or the new newest version, whole, and loses no acknowledged one (the
 * states and their order are drawn in lib/store/commit.c).
 *
 * Visible only when durable: no function here tells of what a power cut
 * could take back.  Until a version is on disk the one before it is told,
 * whichever process writes (lib/store/counters.c).
 *
 * A struct store may be used by many threads; any number of processes may
 * share the directory: one lock per path serialises writers.
 *
 * Functions return 0, or -1 with *err filled and outputs untouched.
 */
#ifndef COVEY_STORE_H
#define COVEY_STORE_H

#include "err.h"
#include "outbox.h"
#include "path.h"
#include "record.h"

#include <stdbool.h>
#include <stddef.h>

/* disk.c: opening, the format, what the disk can do */

struct store;

/* Told of a version, by whichever thread commits it. */
typedef void store_ahead_fn(struct str path, struct version, uint64_t by_ns);

struct store_options {
	const char *path;	/* directory; made when absent */
	const char *run;	/* directory of sockets; NULL: path/run */
	uint64_t min_free;	/* bytes; below it store_writable() and stage_begin() say ERR_FULL */
	store_ahead_fn *ahead;	/* of each that is counted by store_ahead(); NULL: nobody is told */
	uint64_t node;		/* the id that it must have, so that a fresh one is refused; 0: any */
	const char *roles;	/* names the set of roles that the caller belongs to, for people; a
				 * store that another set has open is ERR_EXISTS.  NULL: a command,
				 * which works beside any */
	bool starts_roles;	/* the caller starts them all; beside another such it is ERR_EXISTS */
};

/*
 * Opens, and formats a fresh store under a lock.  Refuses a file system
 * that lacks what covey needs.  One that was formatted, and cannot be
 * written now (read-only, syncs that fail), is opened to be read; it is
 * written as soon as it can be.
 */
int store_open(struct store **ret, const struct store_options *, struct err *);
void store_close(struct store *);		/* NULL is fine */
uint64_t store_node(const struct store *);	/* this node's id */
const char *store_run(const struct store *);	/* the run directory */
/*
 * renew.c: a new id, for a store that was put back or copied; all that is in
 * it stays.  First the outbox, unless NULL, has an entry for each version
 * known here, of a path the newest `keep` (0: all).  ERR_CONFLICT: another program has it open.
 */
int store_renew(struct store *, struct outbox *, uint32_t keep, uint64_t *ret_owed, struct err *);
/*
 * All that is known here is to reach its homes and keepers once more, of a
 * node that is about to go over to the group of that lineage: the first marks,
 * durably, that it is to be done there; the second, when the node is there,
 * makes an entry in the outbox for each version, durably, if it is.
 */
int store_owe_later(struct store *, uint64_t lineage, struct err *);
int store_owe_marked(struct store *, uint64_t lineage, uint32_t keep, uint64_t *ret_owed,
		     struct err *);
/*
 * The files in tree/ have no records, as after a plain copy: all are
 * foreign, and nothing is served, until they are adopted.  No scan: some are
 * looked at, and in a store that has its records not even those.
 */
bool store_lost_records(struct store *);
/* 0 when a write would be accepted now; ERR_FULL, or ERR_AWAY: read-only, gone, a failed sync. */
int store_writable(struct store *, struct err *);
/* 0 when a body of this size leaves min_free; else the same. */
int store_fits(struct store *, uint64_t size, struct err *);
/*
 * The directory at the path is the one that was opened, and whole: else
 * ERR_AWAY.  What is not found in one that was removed, or whose file system
 * was unmounted, says nothing; the look-ups below are that error then.
 */
int store_there(struct store *, struct err *);
/*
 * Call failed() once, on any thread, when the disk may have lost what it
 * took, or another directory of the same store is at the path: nothing is
 * written until the store is opened anew.
 */
void store_on_failure(struct store *, void (*failed)(void *data), void *data);

/* read.c: what stands at a path */

struct store_seen {		/* lib/store's own: which inode it was, and as of when */
	uint64_t inode, device;	/* inode 0: none, or it does not matter */
	uint64_t changed;	/* ns since 1970 */
};

struct store_entry {
	struct record record;	/* the file's newest, live or not; version none: none is known */
	char type[RECORD_TYPE_MAX + 1];	/* explicit content type, or "" */
	int fd;			/* content, open for reading, or -1 (a pointer, a tombstone, or body) */
	struct store_body *body;	/* owned; all of the content, instead of fd (cache.c); else NULL */
	bool content;		/* content is here (even when no fd was asked for) */
	bool foreign;		/* a person's file stands in the way; record is what history knows */
	struct record entry;	/* the directory's newest, live or ended; version none: none is known */
	bool directory;		/* it is live: a directory stands there */
	struct store_seen seen;	/* of the record in tree/ */
};
#define STORE_ENTRY_INIT { .fd = -1 }
void store_entry_clear(struct store_entry *);	/* closes fd, releases body; safe on STORE_ENTRY_INIT */
enum name_kind store_name_kind(const struct store_entry *);
/* The record of what stands; of nothing the newer one of both kinds, which may be none. */
const struct record *store_current(const struct store_entry *);

enum store_want { STORE_RECORD, STORE_CONTENT };

/*
 * The newest of both registers.  Nothing there is success with records of
 * version none.  Of a gate's path the record is the gate.
 */
int store_newest(struct store *, struct str path, enum store_want, struct store_entry *ret,
		 struct err *);
/*
 * cache.c: the same by what one thread has read within the last second, as
 * far as it is still true: no commit of any process has changed it, and what a
 * person does in tree/ is seen a second later.  Small contents are handed out
 * in memory.  To be swept every second as long as it holds anything.
 */
#define STORE_CACHE_FILES 128	/* open at once, at most */
struct store_cache;
struct store_cache *store_cache_new(struct store *);
int store_cache_newest(struct store_cache *, struct str path, enum store_want, struct store_entry *ret,
		       struct err *);
bool store_cache_holds(const struct store_cache *);	/* memory, or open files */
bool store_cache_sweep(struct store_cache *);	/* what is too old goes; false: it holds nothing any more */
void store_cache_free(struct store_cache *);	/* NULL is fine; bodies stay with their entries */

/*
 * records.c: the same of records alone and of gates, for whoever looks up very
 * many and hands out no content, by one thread.  What was found in tree/ is told
 * again for one system call, as long as no commit of any process has changed
 * it and a person has not touched the file.  Some 2 MiB when it is full.
 */
struct store_records;
struct store_records *store_records_new(struct store *);
int store_records_newest(struct store_records *, struct str path, struct store_entry *ret, struct err *);
int store_records_gate(struct store_records *, struct str directory, struct version *ret, struct err *);
void store_records_free(struct store_records *);	/* NULL is fine */

struct str store_body_bytes(const struct store_body *);
void store_body_release(struct store_body *);	/* NULL is fine */

/* One version, of either kind, in ret->record; ERR_ABSENT when it is not known here. */
int store_version(struct store *, struct str path, struct version, enum store_want,
		  struct store_entry *ret, struct err *);

/* The directory's gate; version none: it has none.  The root never has one. */
int store_gate(struct store *, struct str directory, struct version *ret, struct err *);

/*
 * None of these waits for a version that is being written, however slow the
 * disk: until it is on disk they tell of what was there before.  They do
 * wait while a directory is made or removed, or a history is pruned, at just
 * this path, and to make durable what a writer left who died.
 */
bool store_would_wait(struct store *, struct str path);
/* Wait for whoever writes at the path now; what one left who died is on disk then. */
int store_await(struct store *, struct str path, struct err *);

/* stage.c: bodies on their way */

struct stage;

#define STORE_PASSING "/var/tmp"	/* where contents that are not to be kept are, when the store is not there */

int stage_begin(struct store *, struct stage **ret, struct err *);
/*
 * For a body of this size that is only passed on: also below min_free, as long
 * as it fits, and where the store cannot be written at all on the system's
 * disk.  It may be committed only if store_writable() says so then.
 */
int stage_begin_passing(struct store *, uint64_t size, struct stage **ret, struct err *);
/*
 * A whole body that is in memory, where it stays the caller's; it gets a
 * file when it is committed.  It is ended.
 */
struct stage *stage_of_bytes(struct store *, struct str body);
/* Append bytes: stage_add() is stage_write() and stage_hash(); those two may
 * run on different threads at once, each in the order of the body. */
int stage_add(struct stage *, const void *, size_t n, struct err *);
int stage_write(struct stage *, const void *, size_t n, struct err *);
void stage_hash(struct stage *, const void *, size_t n);
/* Instead of stage_hash(): what was written up to there, read again. */
int stage_hash_written(struct stage *, uint64_t to, struct err *);
/* Append the whole content of an open file. */
int stage_copy(struct stage *, int fd, struct err *);
/* The body is complete: fix its digest. */
int stage_end(struct stage *, struct err *);
/* The same, and put a large body on disk, so that the commit, which syncs what is left,
 * does not do it under the path's lock. */
int stage_sync(struct stage *, struct err *);
uint64_t stage_size(const struct stage *);
const uint8_t *stage_sha256(const struct stage *);	/* after stage_end() */
int stage_fd(const struct stage *);		/* for readers while it grows; the stage's; -1: it has no file */
void stage_free(struct stage *);		/* NULL is fine; what was not committed is gone */

/*
 * counters.c: a content on its way here, from somebody who gives it.  Whoever
 * receives it says so until he closes this descriptor, or dies; -1: it is not said.
 * Who would fetch the same meanwhile need not.
 */
int store_incoming_begin(const struct store *, struct str path, struct version);
bool store_incoming(const struct store *, struct str path, struct version);

/* commit.c: versions */

struct commit {
	/* in */
	struct str path;	/* with RECORD_DELETED and nothing else it may be a gate's */
	struct stage *stage;	/* ended; NULL for a tombstone or a directory; stays the caller's */
	uint8_t flags;		/* RECORD_DELETED, RECORD_DIRECTORY, RECORD_BLIND */
	bool ungrouped;		/* a group of one: as said below */
	uint32_t mtime;		/* the client's, s, or 0 */
	uint64_t made;		/* of a fixed child, as in its record; else 0 */
	struct str type;	/* explicit content type, or empty */
	struct version fixed;	/* a version made elsewhere, as is; none: choose one */
	const struct record *pointer;	/* a record made elsewhere whose content is not here: instead
				 * of stage, flags, mtime, made and fixed */
	struct version above;	/* when choosing: greater than this, whatever the clock says */
	uint64_t clock;		/* when choosing: the time, ns, instead of the wall clock's; 0: that */
	uint32_t keep;		/* made elsewhere: not stored when this many newer ones of the path
				 * are known (dropped); 0: no limit */
	struct outbox *outbox;	/* has an entry; it, or the log's, is durable before the version
				 * shows; NULL: none */
	struct wal *wal;	/* makes it durable, if it is small (then not for whoever submits
				 * several before he waits, but by the two below); NULL: its file is synced */
	/* Asked under the lock with what stands there; -1 stops the commit with that error. */
	int (*condition)(const struct commit *, const struct store_entry *now, struct err *);
	void *data;		/* the caller's, for condition */
	/* out */
	struct record record;	/* what was committed */
	struct record before;	/* the newest of its kind before it; version none: there was none */
	bool newest;		/* it became the newest of its kind, or was it already */
	bool dropped;		/* beyond keep: success, but it is not stored */
	struct outbox_mark mark;	/* the entry in the outbox, for outbox_done() */
	/* private */
	struct commit_state *state;
	struct together *together;	/* those it is made with; NULL: alone */
	uint64_t directories;	/* how they had changed when those above it were looked at */
};
#define COMMIT_INIT { .stage = NULL, .state = NULL }

/*
 * Submit: choose the version, and give it its name, or write it to the log.
 * Wait: make it durable, and so visible; by the log it gets its name here.
 * A failed submit needs no wait.  Committing what is there
 * already is success.  ERR_FULL: nothing changed; tombstones still pass,
 * from the reserve.
 *
 * Both registers of a name, and the gate, only grow, each by itself, whatever
 * stands: so the order of commits does not matter, and what contradicts them
 * is the homes' to judge before.  No entries are made above the path, only
 * directories in tree/ that hold it.  A directory's own commit, live, is
 * success without a new version when it stands and is above `above`.
 *
 * In a group of one there is nobody else to judge, and this node's commits
 * do it under the lock: the entries above are live when it returns;
 * ERR_CONFLICT: a file stands where a directory is needed, or the other way
 * round; ERR_EXISTS: the end of an entry in which something stands.
 */
int commit_submit(struct store *, struct commit *, struct err *);
int commit_wait(struct store *, struct commit *, struct err *);
int store_commit(struct store *, struct commit *, struct err *);	/* both */
/*
 * The same of several, at most STORE_COMMIT_MOST, in no certain order, which
 * share the waiting for the disk if the log takes them.  Each has its status, 0
 * or -1, and its err.  A condition may be asked more than once.  Together: those
 * that would have to wait for something else have the status
 * STORE_COMMIT_ALONE, and are still to be committed, by store_commit().
 */
#define STORE_COMMIT_MOST 64
#define STORE_COMMIT_ALONE 1
void store_commit_all(struct store *, struct commit **, size_t count, int *statuses, struct err *errs);
void store_commit_together(struct store *, struct commit **, size_t count, int *statuses,
			   struct err *errs);

/*
 * A record made elsewhere, of any kind, becomes known here; content stays
 * where it is.  keep as in struct commit.
 */
int store_merge(struct store *, struct str path, const struct record *, struct str type,
		uint32_t keep, struct err *);
/*
 * The commit of a record made elsewhere, with its content unless the stage is
 * NULL; what it points to stays the caller's.
 */
struct commit commit_of_record(struct str path, const struct record *, struct str type,
			       struct stage *, uint32_t keep);

/* counters.c: what changes */

/*
 * A number per partition (path_partition()), raised before and after each
 * change of the partition's records, by whichever process.  A digest made
 * between two equal readings is right as long as the number stands still,
 * if store_finish_dead() was called before the first.
 */
uint64_t store_changes(const struct store *, unsigned partition);
/* The same of the directories there are: those in survey_directories(). */
uint64_t store_directory_changes(const struct store *);
/* Nothing has been asked of the store for a while: give the memory back that it needs only meanwhile; any thread. */
void store_rest(struct store *);
/* What writers that died left unfinished is on disk and counted. */
int store_finish_dead(struct store *, struct err *);

/*
 * Whose clock is right is the group's to say: its median less this node's
 * clock, ns, for all processes that have the store open.
 */
void store_set_clock(struct store *, int64_t offset);
/* ns since 1970, as that clock has it. */
uint64_t store_clock(const struct store *);
/*
 * Versions of files, deletions too, that became known here since the boot
 * with a time more than STORE_AHEAD_NS above that clock.
 */
#define STORE_AHEAD_NS UINT64_C(60000000000)
uint64_t store_ahead(const struct store *);

/* listing.c, read.c: what there is */

struct list_entry {
	char *name;		/* owned; one component, any bytes but NUL and '/' */
	struct record record;	/* as in struct store_entry */
	struct record entry;
	bool directory;
	char *type;		/* owned; explicit content type, or NULL */
};
struct listing {
	struct list_entry *entries;	/* sorted by the bytes of name */
	size_t count;
	bool more;		/* entries beyond limit exist */
};
#define LISTING_INIT { .entries = NULL, .count = 0 }
void listing_clear(struct listing *);
void listing_cut(struct listing *, size_t n);	/* the entries behind the first n */

/*
 * Names after `after` (empty: from the start), at most limit (0: all): those
 * at which something stands; with_deleted: all of which a record is known.
 * Foreign files do not show.  ERR_ABSENT: nothing is known of a directory
 * there; ERR_CONFLICT, not with_deleted: a file is there.
 */
int store_list(struct store *, struct str path, struct str after, size_t limit,
	       bool with_deleted, struct listing *ret, struct err *);
/* The same, for whoever lists a directory in parts: all of them have the names of some moment after `asked`. */
struct list_part {
	struct str after;
	size_t limit;
	bool with_deleted;
	bool directories;	/* those alone that may be one, or, with_deleted, may have been */
	uint64_t asked;		/* ms, monotonic */
};
int store_list_part(struct store *, struct str path, const struct list_part *, struct listing *ret, struct err *);
/*
 * The same in steps, from whichever thread, one at a time; each costs what is
 * told.  The names are those of some moment between `asked` (ms, monotonic)
 * and the beginning, and each tells what stood there when the walk came to it.
 */
struct store_walk;
int store_walk_begin(struct store *, struct str path, bool with_deleted, uint64_t asked,
		     struct store_walk **ret, struct err *);
void store_walk_end(struct store_walk *);	/* NULL is fine */
size_t store_walk_names(const struct store_walk *);	/* there are no more than these */
/* Go on behind this name; empty: from the first one. */
int store_walk_after(struct store_walk *, struct str after, struct err *);
/*
 * From the first one, only those that may be, or with_deleted may have been, a
 * directory; false: all.  What is none of these is a file, or was.
 */
void store_walk_directories(struct store_walk *, bool directories);
/* The next ones, at most that many, in *ret; there may be none though more is set. */
int store_walk_next(struct store_walk *, size_t most, struct listing *ret, struct err *);

struct history_entry {
	struct record record;
	char *type;		/* owned; or NULL */
	bool content;		/* content is here */
};
struct history {
	struct history_entry *entries;	/* newest first */
	size_t count;
};
#define HISTORY_INIT { .entries = NULL, .count = 0 }
void history_clear(struct history *);
int store_history(struct store *, struct str path, struct history *ret, struct err *);
/*
 * The newest version below this one (none: of all) whose content is here, open,
 * of at most so many bytes; with a sha256 the newest that is that content.
 * ERR_ABSENT: there is none.  Any of the history does, deleted since or not.
 */
int store_older_content(struct store *, struct str path, struct version below, const uint8_t *sha256,
			uint64_t most, struct store_entry *ret, struct err *);
/*
 * What a page of it has to know: `limit` (not 0) versions that are older than this one
 * (none: from the newest on), where there are any one on either side of them, and to
 * both sides whoever was written blind, up to one that was not.
 */
int store_history_part(struct store *, struct str path, struct version older, size_t limit,
		       struct history *ret, struct err *);

/* prune.c, adopt.c: what a person asks for */

/*
 * Retention.  Of a path's records that are no directory's the newest
 * `versions` stay, of its directory records the newest one: the same on
 * every node that has the same ones.  Of what stays, content of a version
 * made before `before` goes and leaves a pointer, unless it is the newest.
 */
struct prune_rule {
	uint32_t versions;	/* 0: all stay */
	uint64_t before;	/* ns since 1970; 0: all content stays */
	bool only_counts;	/* what would go is counted, and stays */
};
/*
 * `before` for what is kept for so many days: 0 for 0 days, and when so many
 * have not passed since 1970.  now: ns since 1970.
 */
uint64_t prune_before(uint64_t now, uint64_t days);
struct prune_count {		/* is added to */
	uint64_t records;	/* that went */
	uint64_t contents;	/* that went, their record stays */
	uint64_t bytes;		/* of content, of both */
};
/* Both work on a full disk. */
int store_prune(struct store *, struct str path, const struct prune_rule *, struct prune_count *,
		struct err *);
/* Every path with a history; tells of each from which something went (pruned may be NULL). */
int store_prune_all(struct store *, const struct prune_rule *,
		    void (*pruned)(void *data, struct str path, const struct prune_count *),
		    void *data, struct prune_count *, struct err *);
/*
 * Drop the content of a version and leave a pointer; a crash leaves the one
 * or the other.  Success, too, when it was not here.  That it is still
 * elsewhere is the caller's to know.
 */
int store_evict(struct store *, struct str path, struct version, uint64_t *ret_bytes,
		struct err *);

/* scrub.c: is what was stored still what it was? */

struct scrub_bad {		/* valid while it is told */
	struct str path;
	struct record record;
	struct str type;	/* explicit content type, or empty */
	const char *aside;	/* name of the bad copy now, in history/P: ",bad-VERSION" */
	const char *why;	/* "its sha256 is another" */
};

struct scrub {
	/* in; data is the caller's */
	/* Before so many bytes are read, and with 0 before each path: may wait; false: stop there. */
	bool (*go_on)(void *data, size_t bytes);
	void (*reached)(void *data, struct str path);	/* this one is done; may be NULL */
	void (*bad)(void *data, const struct scrub_bad *);	/* it has just been set aside */
	/* Could not be judged, or not be set aside; all others are. */
	void (*failed)(void *data, struct str path, const struct err *);
	void *data;
	/* out; is added to */
	uint64_t contents;	/* that were read */
	uint64_t bytes;
	uint64_t bad_count, failed_count;
	bool stopped;		/* by go_on() */
};

/*
 * Read the contents of all versions of the path, and of all below it, from
 * the disk, and compare with their sha256.  A copy that differs, or that
 * cannot be read, twice, is moved to history/P/,bad-VERSION, durably, and a
 * pointer takes its place: the version is known as before, its content is to be had
 * elsewhere.  Foreign files are nobody's business here.  Works on a full
 * disk.  ERR_ABSENT: there is nothing at the path.
 */
int store_scrub(struct store *, struct str path, struct scrub *, struct err *);
/* The whole store, in an order that does not change, from behind a path that was reached, or "". */
int store_scrub_from(struct store *, struct str after, struct scrub *, struct err *);

/*
 * Make versions of the foreign files at or below path, those of a directory
 * by several threads; tells of each, of one at a time.  A file that somebody writes meanwhile, one that cannot be read,
 * what is no plain file, and names no request could ask for stay foreign.
 * Directories become entries.  What was adopted before a failure stays so.
 * The outbox has an entry for each; NULL: this is a group of one.  In a
 * larger one only empty directories become entries here, since the homes of
 * what is in the others know of them.
 */
int store_adopt(struct store *, struct str path, struct outbox *,
		void (*adopted)(void *data, struct str path, const struct record *), void *data,
		uint64_t *ret_count, struct err *);

#endif
