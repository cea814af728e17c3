/* inside - what the files of lib/store share among themselves */
#ifndef COVEY_STORE_INSIDE_H
#define COVEY_STORE_INSIDE_H

#include "list.h"
#include "store.h"
#include "wal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

struct store {
	int dir, tree, history, tmp, outbox, wal, state;	/* directories; owned */
	int table;				/* of the counters, with a shared lock; -1: they are a stand-in */
	int identity;				/* node.ini, with a shared lock as long as it is open */
	int roles;				/* with a shared lock of the set of roles; -1: of none */
	struct counters *_Atomic counters;	/* owned; shared with other processes, but for stand_in */
	struct counters *stand_in;	/* owned; used while the disk cannot be written; NULL: never was */
	char *path, *run_path;			/* owned */
	uint64_t node;
	uint64_t min_free;
	store_ahead_fn *tell_ahead;	/* or NULL */
	pthread_mutex_t syncing;	/* of the file system, for what the dead have left */
	atomic_bool failed;	/* a sync failed: no promise is kept any more until restart */
	void (*on_failure)(void *data);	/* told so, once; or NULL */
	void *failure_data;
	atomic_bool ready;	/* to be written: else only read, for the reason in unready */
	pthread_mutex_t readying;	/* who tries again to make it so; for the next two */
	struct err unready;
	uint64_t ready_again;	/* ms, monotonic: not tried before */
	_Atomic uint64_t seen_there;	/* ms, monotonic: when store_there() last found it so; 0: not yet */
	_Atomic uint64_t seen_well;	/* the same, of the disk: it could be written, and had room for much */
	atomic_bool released;	/* the reserve was given away and should come back */
	bool logs;		/* the log may be used on this file system (keeps_order()) */
	pthread_mutex_t rolling;		/* for the next */
	struct list rolls;		/* in use, and at rest */
	bool replaying;		/* the log, while it is opened: what has to be on disk is synced at the end */
};

#define AGAIN 1		/* of a step, beside 0 and -1: what it stood on has changed, start over */

/* disk.c */

/* fsync(); a failure is remembered and stops all writing (disk_failed()). */
void disk_failed(struct store *);
int disk_sync(struct store *, int fd, const char *what, struct err *);
/* -1 with ERR_FULL when less than min_free is left, or ERR_AWAY: there is no writing at all. */
int disk_check(struct store *, bool space, struct err *);
/* A directory and those above it; 0 or -1 with errno. */
int disk_make_directories(const char *path);
uint64_t disk_draw(void);	/* a random number that is not 0 */
/* node.ini, of the store in the directory; recovering: it is not to be opened yet. */
int disk_write_identity(const char *path, uint64_t node, bool recovering, struct err *);
struct disk_identity {
	uint64_t node, format;
	bool recovering;	/* backup_recover() has not come to its end */
};
/* That of the store in the directory.  ERR_ABSENT; ERR_UNSUPPORTED: of another release. */
int disk_read_identity(const char *path, struct disk_identity *ret, struct err *);
/*
 * tree/ in this directory has files, but the first ones that are found have
 * no record: so it is when a store was copied without its extended
 * attributes.  A store that ever had some has a mark on tree/, which is
 * lost with them; one that has not got it yet is given it, and a fresh one
 * whatever is in it.
 */
bool disk_lost_records(int dir, bool fresh);
/* Give the ballast's space to whoever deletes; true when there was some. */
bool disk_release_reserve(struct store *);
void disk_fill_reserve(struct store *);

#define OWE_ALL "owe-all.taken"	/* in outbox/: all that is known is to be owed (renew.c) */

/* counters.c: visible only when durable */

#define BOOT_TEXT 40
/* The kernel's id of this boot, its digits; empty when it does not say. */
void read_boot(char to[BOOT_TEXT]);

/*
 * One writer per path, across threads and processes.  A lock is a byte of the
 * file `locks`, by the path's hash, held by an open description of its own, so
 * that threads exclude each other as processes do.  The kernel drops it when
 * its holder dies.  Paths that share one only wait for each other, and nobody
 * waits for a lock while holding one, so nobody waits in a circle.
 */
struct lock {
	int fd;				/* owned, unless of a set; -1: not held */
};
#define LOCK_INIT { .fd = -1 }
/*
 * Locks that one thread holds at once, by one open description, which does
 * not exclude itself: the set does.  None of them is waited for, and all are
 * released together.
 */
struct lock_set {
	int fd;				/* owned */
	unsigned slots[STORE_COMMIT_MOST];
	size_t count;
};
bool locks_begin(struct store *, struct lock_set *);	/* false: nothing was opened */
void locks_end(struct lock_set *);
/* false: somebody holds it, one of the set has it already, or it cannot be had. */
bool locks_add(struct store *, struct lock_set *, struct str path);
void lock_release(struct lock *);	/* safe on LOCK_INIT, and leaves it behind */
/*
 * Wait for the path's lock.  What others wrote under it is then on disk;
 * nobody who holds one may ask for a path by store_newest() and the like.
 */
int counters_lock(struct store *, struct lock *, struct str path, struct err *);
/* The same of a path's hash, without waiting: false when somebody holds it, and on any failure. */
bool counters_try_lock(struct store *, struct lock *, uint64_t hash);
/* Under the lock on the store; stands_in: where it cannot be written, those of this process alone. */
int counters_open(struct store *, bool stands_in, struct err *);
void counters_close(struct store *);
/*
 * Under the lock on the store: if nobody else has the counters open, nobody
 * is to be told what writers who died left unfinished, and it counts as
 * finished; whatever the file says that was on a disk which lost something.
 * false: somebody has.
 */
bool counters_forget_dead(struct store *);
/* The same of those that died alone, as store_finish_dead(): who lives is not waited for. */
int counters_finish_dead(struct store *, struct err *);
/* Since the counters were made the log was replayed once: whatever it has now has its name, too. */
void counters_note_replayed(struct store *);
bool counters_replayed(const struct store *);
/* A sync failed in some process that has the store open, or one succeeded after that. */
void counters_note_failure(struct store *, bool failing);
bool counters_failing(const struct store *);

/*
 * Nobody is changing anything at a path of this hash; *ret_turn is another after each change.
 * A stand-in, which knows of this process alone, is never still.
 */
bool counters_still(const struct store *, uint64_t hash, uint32_t *ret_turn);

/* What a power cut could still take back of a path. */
struct pending {
	struct version version;		/* this version of it, and nothing else */
	bool record_known;		/* its record was known before: only its content is new */
	struct version before;		/* the newest until then */
	uint32_t turn;			/* of the slot: later ones are others */
	struct wal_mark logged;		/* its entry in the log, if it has one */
};
/*
 * Call read() until what it saw is on disk: without a lock; without what
 * is pending; and only then under the path's lock.  It returns 0, -1, or
 * READ_WAIT when it cannot leave out what is pending (NULL: nothing is).
 * clear() undoes a read(); NULL: there is nothing to undo.
 */
#define READ_WAIT 1
typedef int durable_read(void *data, const struct pending *, struct err *);
int read_durably(struct store *, struct str path, durable_read *, void (*clear)(void *data),
		 void *data, struct err *);
/*
 * Under the path's lock: something of it changes now (all but the turn of
 * *pending; NULL: anything); and it is on disk.
 */
enum change {
	CHANGE_FILE,
	CHANGE_DIRECTORY,	/* so may the directories there are */
	CHANGE_GATE,		/* and what is told of the names in this one */
};
void counters_begin(struct store *, struct str path, enum change, const struct pending *);
void counters_end(struct store *, struct str path, enum change);
/*
 * Under the path's lock, between the two for a pending version: it is above all
 * in the path's directory in history/, which changed last then (ns since 1970).
 */
void counters_note_greatest(struct store *, struct str path, uint64_t changed);
/* Under the path's lock: that version, if the directory has not changed since. */
bool counters_know_greatest(const struct store *, struct str path, uint64_t changed, struct version *ret);
/* A directory came that is in nobody's list. */
void counters_directories(struct store *);
/* A version of that time came: how far it is ahead, ns, if it is so far that it is counted; else 0. */
uint64_t counters_ahead(struct store *, uint64_t time);

/* names.c: where a path's things are */

#define MARK_FILE ","			/* symbolic link: the newest version that is not in tree/ */
#define MARK_END ",directory"		/* symbolic link: the entry's newest end */
#define MARK_GATE ",closed"		/* symbolic link: the directory's gate */
#define MARK_ISSUED ",issued"		/* symbolic link: the last version ahead of the clock */
#define MARK_NEW ",new"			/* on its way to its name in this directory */
#define MARK_FOREIGN ",foreign-"	/* what a person had put in the way */
#define MARK_BAD ",bad-"		/* content that was set aside; then its version */

struct names {
	char tree[PATH_BYTES + 2];		/* "." for the root */
	char history[2 * PATH_BYTES + 2 + VERSION_TEXT];
	size_t stem;				/* history: bytes of "docs/a.pdf/" */
	bool no_history;			/* it was looked for, and is not there: nor are marks */
};

int names_init(struct names *, struct str path, struct err *);
/* Of a path that was checked, or of a name in some directory. */
void names_set(struct names *, struct str path);
/* The path of a name in a directory, instead of what to holds; false: a path can have no such name. */
bool path_below(struct buf *to, struct str path, const char *name);
/* The path's history directory, and names in it; valid until the next call. */
const char *names_history(struct names *);
const char *names_mark(struct names *, const char *mark);
const char *names_version(struct names *, struct version);
/* Under the path's lock, or where read_durably() looks again: look once whether there is history/P at all. */
void names_look_for_history(struct names *, int history);
/* The path's name in tmp/, for what ("new", "directory") is on its way to tree/, under its lock. */
#define TEMPORARY_NAME 40
const char *temporary_name(char to[TEMPORARY_NAME], const char *what, struct str path);
/* ",VERSION" in to. */
#define VERSION_NAME (VERSION_TEXT + 1)
const char *version_name(char to[VERSION_NAME], struct version);
/* When a name was last given to it, or changed in it if it is a directory: ns since 1970; 0: it is not there. */
uint64_t changed_at(int dir, const char *name);
/* A name in a history directory: 0 when it is a version's. */
int version_of_name(const char *name, struct version *ret);

/* A path in an error's sentence: encoded, and cut when long. */
struct shown {
	char text[120];
};
struct shown shown(struct str path);

/* Each name in a directory, until each() does not return 0; no directory has no names. */
int names_each(int dir, const char *name, int (*each)(void *data, const char *name), void *data,
	       struct err *);
/* The same of an open one, which is closed; of directories alone, if so. */
int names_each_open(int fd, bool directories, int (*each)(void *data, const char *name), void *data,
		    struct err *);
/* The same, appended to texts, each with its NUL. */
int names_collect(int dir, const char *name, struct buf *texts, struct err *);
/* It has no names at all; what cannot be read may have some. */
bool names_none(int dir, const char *name);

/* The names below a path, of tree/ and history/ both. */
struct child {
	const char *name;	/* points into texts */
	bool in_history;
	bool directory;		/* in tree/ */
};
struct children {
	struct buf texts;
	struct child *items;	/* owned, sorted by the names' bytes, each once */
	size_t count;
};
#define CHILDREN_INIT { .texts = BUF_INIT }
int children_read(struct store *, struct names *, struct children *ret, struct err *);
/* The same of a directory in tree/ and the one in history/ that are open; -1: there is none. */
int children_read_open(int tree, int history, struct children *ret, struct err *);
void children_clear(struct children *);		/* safe on CHILDREN_INIT */

/* roll.c: the same of a directory, in a file when they are many */

struct roll;
/*
 * What was there at some moment after `asked` (ms, monotonic).  The directories are
 * those of the path, open, and not before `opened`; -1: there is none.
 */
int roll_open(struct store *, struct str path, int tree, int history, uint64_t opened, uint64_t asked,
	      struct roll **ret, struct err *);
void roll_close(struct roll *, bool rests);	/* rests: the next part is soon asked for.  NULL is fine */
void rolls_end(struct store *);		/* nobody has one open any more */
size_t roll_count(const struct roll *);	/* names, */
size_t roll_directories(const struct roll *);	/* and those of directories in tree/ */
/* How many of the names are not behind `after`; empty: 0. */
int roll_find(struct roll *, struct str after, size_t *ret, struct err *);
/* At most n names from that one on; good until the roll is closed. */
int roll_read(struct roll *, size_t first, size_t n, struct children *ret, struct err *);
/* The open directory in history/ has the same names still: in_history says so. */
bool roll_knows_history(const struct roll *, int history);

/* The versions named in a path's history directory, in no order. */
struct versions {
	struct version *items;	/* owned */
	size_t count, cap;
};
#define VERSIONS_INIT { .items = NULL }
/* Are added to ret, those before a failure, too. */
int versions_read(struct store *, struct names *, struct versions *ret, struct err *);
void versions_add(struct versions *, struct version);
void versions_clear(struct versions *);		/* safe on VERSIONS_INIT */

/* inode.c: what one name in tree/ or history/ is */

enum inode_kind {
	INODE_NONE,
	INODE_CONTENT,		/* content with its record */
	INODE_POINTER,		/* a record, its content is elsewhere */
	INODE_RECORD,		/* the record of what has no content, in history/ */
	INODE_DIRECTORY,	/* record may be none */
	INODE_FOREIGN,		/* a person's */
};

struct inode {
	enum inode_kind kind;
	int fd;			/* owned; -1 for nothing, a pointer, and what could not be opened */
	struct record record;	/* version none unless the kind has one */
	char type[RECORD_TYPE_MAX + 1];
	struct stat st;		/* st_ino 0: it could not be opened */
};
#define INODE_INIT { .kind = INODE_NONE, .fd = -1 }

/* A version of a file, with or without its content. */
static inline bool inode_is_file(const struct inode *inode)
{
	return inode->kind == INODE_CONTENT || inode->kind == INODE_POINTER;
}

void inode_clear(struct inode *);

/* ret must be INODE_INIT or cleared. */
int inode_read(int dir, const char *name, struct inode *ret, struct err *);
/* The same in tree/, where a record without content means nothing: it is a person's. */
int inode_read_tree(int dir, const char *name, struct inode *ret, struct err *);
/* What was found, if anything, has not been replaced or changed since. */
bool inode_unchanged(int dir, const char *name, const struct inode *);
/* The record of an open file or directory, right or not; version none when it has none. */
struct record inode_record(int fd);
/* Nobody wrote to the file since its record was set, though it may not be whole. */
bool inode_is_untouched(int fd, const struct record *);
/* That of a directory. */
struct record inode_directory_record(int fd);
/* Set record, type and mtime of an open file, or record and type of a directory. */
int inode_set_record(int fd, const struct record *, struct str type, bool directory, struct err *);

/* The version a mark's link names; none when there is no such link. */
int mark_read(int dir, const char *name, struct version *ret, struct err *err);
struct marks {
	struct version file;	/* the newest that is not in tree/: a tombstone, or one that waits */
	struct version end;	/* of the entry */
};
/* Of a path whose names are in this directory of history/; -1: there is none. */
int marks_read(int history, struct names *, struct marks *ret, struct err *);
/* It is of a deletion that was cut short before anybody could see it: beyond what the mark of its kind names. */
bool tombstone_is_cut_short(const struct record *, const struct marks *);
/* A marked tombstone's record; when its file is gone, what must have been in it. */
int tombstone_read(int dir, const char *name, struct version, uint8_t flags, struct record *ret,
		   struct err *);
/*
 * The newest version of a file in history: with content, above this one; or,
 * below another unless that is none, of any kind.  None: there is none.
 */
int history_newest_file(int history, struct names *, struct version above, struct version below,
	      struct version *ret, struct err *);

/* read.c: what is known at a path */

/* store_newest(STORE_RECORD) without what is pending, for who calls read_durably() or holds the lock. */
int newest_without(struct store *, struct str path, const struct pending *, struct store_entry *ret,
		   struct err *);
/* store_version(STORE_RECORD) for who holds the path's lock. */
int version_locked(struct store *, struct str path, struct version, struct store_entry *ret, struct err *);
struct history_entry history_entry_of(const struct record *, const char *type, bool content);
/* store_history() for who holds the path's lock. */
int history_locked(struct store *, struct str path, struct history *ret, struct err *);
/* What store_newest() says, from what was found in tree/; found keeps its fd for STORE_RECORD. */
int entry_from_inode(int history, struct names *, const struct marks *, struct inode *, enum store_want,
	     struct store_entry *ret, struct err *);
/* A gate is a version and nothing else. */
struct record gate_record(struct version);

/* records.c */

struct store_seen seen_of(const struct stat *);

/* stage.c */

/* The bytes of one that began in memory; s NULL: its file alone has them. */
struct str stage_bytes(const struct stage *);
int stage_make_file(struct stage *, struct err *);	/* unless it has one */

bool stage_is_whole(const struct stage *);	/* stage_end() was there */

/* place.c: giving names to what is ready */

struct source {			/* one of these, the others as in SOURCE_INIT */
	int fd;			/* an open file, perhaps without a name */
	const char *text;	/* a symbolic link to make */
	int dir;		/* the directory of */
	const char *name;	/* a name that stands there */
};
#define SOURCE_INIT { .fd = -1, .dir = -1 }

/* 0, or -1 with errno. */
int place_name(const struct source *, int dir, const char *name);
/* Over what stands there, in one step, by way of a temporary name that the path's lock guards. */
int place_over(const struct source *, int temporary_dir, const char *temporary, int dir,
	       const char *name);

/* History directories, made when first needed, durable when trusted. */
struct chain {
	int *fds;		/* owned: history/ and each directory below it, to the path's */
	bool *fresh;		/* its entry in the directory above is not known to be on disk */
	size_t count;
	bool made;		/* one of them was, just now */
};
#define CHAIN_INIT { .fds = NULL, .fresh = NULL, .count = 0 }
int chain_open(struct store *, struct chain *, struct str path, struct err *);
int chain_leaf(const struct chain *);		/* the path's own directory, or -1 */
/* What was put into the path's directory, and all above it, is on disk. */
int chain_sync(struct store *, struct chain *, struct err *);
void chain_close(struct chain *);		/* safe on CHAIN_INIT */
/* One was made now that lists of directories lack; chain_sync() tells so itself. */
bool chain_has_news(const struct chain *);
/* All of a path's is on disk: its history directories are trusted from now on. */
void chain_open_to_group(struct store *, struct str path);

/* commit.c: store_commit() of a person's file, which it replaces. */
int commit_adopt(struct store *, struct commit *, struct err *);
/* The same of an entry of the log, where what a power cut left of it makes way. */
int commit_replay(struct store *, struct commit *, struct err *);

/* wal.c: the log */

/*
 * Write an entry, which counters_begin() was told of: others learn of it when
 * wal_wait() has returned.  Then wal_named(), when its version has its name, or
 * wal_void(), when it will never have it.  waits: for room; else AGAIN.
 * NO_LOG: there is none to be had; nothing was done.
 */
#define NO_LOG 4		/* of a step, as AGAIN */
int wal_append(struct wal *, const struct wal_entry *, bool waits, struct pending *, struct err *);
int wal_wait(struct wal *, struct wal_mark, struct err *);
/* fresh: of this path history directories were made, which the checkpoint opens (struct chain). */
void wal_named(struct wal *, struct wal_mark, struct str path, bool fresh);
int wal_void(struct wal *, struct wal_mark, struct err *);
/* Under the slot's lock: an entry whose writer died is void, unless its version has its name. */
int wal_finish_dead(struct store *, struct wal_mark, uint64_t path_hash, struct version, struct err *);
/*
 * Under the path's lock, before versions of it go for good, the last of which
 * got a name then (ns since 1970): no replay brings them back.
 */
int wal_forget(struct store *, struct str path, const struct version *, size_t count,
	       uint64_t changed, struct err *);
/* Under the store's lock: what writers left who ended. */
int wal_replay(struct store *, struct err *);
/* Something of whoever ended is there, in this directory, which is wal/; -1: there is none. */
bool wal_has_unreplayed(int directory);

/*
 * prune.c.  Under the path's lock: a pointer instead of the version's content,
 * where it is this inode; 0: any.
 */
int evict_content(struct store *, struct str path, const struct history_entry *, ino_t,
		struct err *);

#endif
