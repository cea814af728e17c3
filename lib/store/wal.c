/*
 * wal - a write-ahead log: its segments, writing, voiding and replaying them
 *
 * In network order, a segment is
 *
 *	offset size
 *	0      16   "covey wal 1\n", zeros
 *	16     8    the segment's id, which is its name, too
 *	24     8    the generation: another number each time it is used anew
 *	32     8    when that began, ns since 1970
 *	40     8    checksum: FNV-1a 64 of the bytes before
 *	4096        entries, each at a multiple of 8; what follows the last is
 *		    zeros, or of an older generation
 *
 * and an entry:
 *
 *	0      4    bytes of it all
 *	4      2    bytes of the path, at least 1
 *	6      1    1: with content; 2: a pointer; 3: a tombstone
 *	7      1    0, or 1 when it is void: the only byte that ever changes
 *	8      8    checksum: FNV-1a 64 of the generation, the offset (8 bytes
 *		    each), the first 8 bytes with state 0, and all from byte 16
 *		    to the end of the type
 *	16     12   where its entry in the outbox is, or zeros
 *	28     1    bytes of the type
 *	29     1    bytes of the record
 *	30     2    zeros
 *	32          the record, the path, the type, the content, and zeros up
 *		    to a multiple of 8
 *
 * The content has the record's sha256, so the checksum leaves it out.  An
 * entry is on disk only if all before it are: what is behind a torn one was
 * never relied on.
 *
 * A segment's blocks are written before it has a name, so that syncing an
 * entry writes no metadata.  Its writer holds a lock on its first byte as
 * long as it lives.  Its writer, who uses it anew, and who makes entries of
 * other processes void because their versions go (wal_forget()), hold a lock
 * on the second.  wal_void() and wal_finish_dead() need none: as long as an
 * entry has no name its segment is not used anew.
 *
 * The states of an entry, and who ends them:
 *
 *	written, perhaps synced,	the slot of the path's counters names it:
 *	not named			when its writer dies, whoever takes the
 *					path's lock makes it void, for nobody was
 *					told.  Where all died a replay makes it
 *					stand, if it is whole
 *	named				a checkpoint, or a replay
 *	void				the same
 *
 * Two segments take turns.  One that is full, or five seconds old, waits
 * until all its versions have their names; then the file system is synced,
 * and it is free.  Who removes a version for good (prune.c) makes its
 * entry void first, or a replay would bring it back.
 *
 * A replay is store_commit() of each entry as of a version made elsewhere,
 * without syncs, under the store's lock.  A file whose name came to the disk
 * and whose bytes did not, as delayed allocation leaves it, is put right.
 */
#include "inside.h"

#include "clock.h"
#include "digest.h"
#include "fs.h"
#include "mem.h"
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC "covey wal 1\n"
#define MAGIC_BYTES 16
#define HEAD_BYTES 48
#define ENTRIES_AT 4096
#define ENTRY_HEAD 32
#define STATE_AT 7
#define ENTRY_META_MAX (ENTRY_HEAD + RECORD_BYTES_MAX + PATH_BYTES + RECORD_TYPE_MAX)
#define SEGMENT_NAME 24		/* bytes that hold the name of one */
#define SEGMENT_LEAST (1u << 20)
#define SEGMENT_MOST (32u << 20)
#define GROWTH 4		/* times, of a segment that became full */
#define FREE_TIMES 16		/* as much has to be free for it to grow */
#define CHECKPOINT_MS 5000	/* after the first entry, at the latest */
#define IDLE_MS 15000		/* without an entry, until the segments go: an open file keeps a disk busy */
#define AGAIN_MS 1000		/* until a segment that could not be made is tried again */
#define CLOCK_BACK_NS UINT64_C(60000000000)	/* by so much the clock may be set back, and wal_forget() is right */

enum { CONTENT = 1, POINTER, TOMBSTONE };	/* what byte 6 says */

/* the format */

static const char *segment_name(char to[SEGMENT_NAME], uint64_t id)
{
	snprintf(to, SEGMENT_NAME, "%016" PRIx64 ".wal", id);
	return to;
}

static bool is_segment_name(const char *name)
{
	struct str text = str_of(name);
	char again[SEGMENT_NAME];
	uint64_t id;

	return text.n == 20 && str_hex64((struct str){ text.s, 16 }, &id) == 0 && id != 0 &&
	       strcmp(name, segment_name(again, id)) == 0;
}

struct head {
	uint64_t id, generation;
	uint64_t began;		/* ns since 1970 */
};

static void head_format(struct buf *buf, const struct head *head)
{
	size_t start = buf->len;

	pack_bytes(buf, MAGIC, sizeof MAGIC);
	while (buf->len - start < MAGIC_BYTES)
		pack_u8(buf, 0);
	pack_u64(buf, head->id);
	pack_u64(buf, head->generation);
	pack_u64(buf, head->began);
	pack_u64(buf, path_hash((struct str){ buf->data + start, buf->len - start }));
}

static bool head_parse(struct str segment, struct head *ret)
{
	struct buf again = BUF_INIT;
	struct unpack in = unpack_of(segment);
	char magic[MAGIC_BYTES];
	struct head head;
	bool whole;

	unpack_bytes(&in, magic, sizeof magic);
	head.id = unpack_u64(&in);
	head.generation = unpack_u64(&in);
	head.began = unpack_u64(&in);
	if (segment.n < HEAD_BYTES)
		return false;
	head_format(&again, &head);
	whole = memcmp(again.data, segment.s, HEAD_BYTES) == 0;
	buf_clear(&again);
	if (whole)
		*ret = head;
	return whole;
}

static size_t entry_bytes(size_t meta, size_t body)
{
	return (meta + body + 7) & ~(size_t)7;
}

static uint64_t entry_sum(uint64_t generation, uint32_t offset, const char *entry, size_t meta)
{
	char text[16 + ENTRY_META_MAX];
	struct buf at = BUF_INIT;
	uint64_t sum;

	pack_u64(&at, generation);
	pack_u64(&at, offset);
	memcpy(text, at.data, 16);
	buf_clear(&at);
	memcpy(text + 16, entry, 8);
	text[16 + STATE_AT] = 0;
	memcpy(text + 24, entry + 16, meta - 16);
	sum = path_hash((struct str){ text, 8 + meta });
	return sum;
}

static uint8_t kind_of(const struct wal_entry *entry)
{
	if (entry->record.flags & RECORD_DELETED)
		return TOMBSTONE;
	return entry->pointer ? POINTER : CONTENT;
}

/* All but the content and the zeros behind it. */
static void entry_format(struct buf *buf, uint64_t generation, uint32_t offset,
			 const struct wal_entry *entry)
{
	uint8_t record[RECORD_BYTES_MAX];
	size_t n = record_pack(record, &entry->record), start = buf->len;
	size_t meta = ENTRY_HEAD + n + entry->path.n + entry->type.n;
	struct buf sum = BUF_INIT;

	pack_u32(buf, (uint32_t)entry_bytes(meta, entry->body.n));
	pack_u16(buf, (uint16_t)entry->path.n);
	pack_u8(buf, kind_of(entry));
	pack_u8(buf, 0);
	pack_u64(buf, 0);
	pack_u64(buf, entry->owed.segment);
	pack_u32(buf, entry->owed.offset);
	pack_u8(buf, (uint8_t)entry->type.n);
	pack_u8(buf, (uint8_t)n);
	pack_u16(buf, 0);
	pack_bytes(buf, record, n);
	pack_bytes(buf, entry->path.s, entry->path.n);
	pack_bytes(buf, entry->type.s, entry->type.n);
	pack_u64(&sum, entry_sum(generation, offset, buf->data + start, meta));
	memcpy(buf->data + start + 8, sum.data, sum.len);
	buf_clear(&sum);
}

/*
 * The entry that these bytes, which are at the offset, begin with; *ret_bytes:
 * of it all.  Its content may lie beyond what is at hand, and is not looked at.
 */
static bool entry_parse(struct str bytes, uint64_t generation, uint32_t offset,
			struct wal_entry *ret, size_t *ret_bytes)
{
	struct wal_entry entry = { .offset = offset };
	struct unpack in = unpack_of(bytes);
	size_t meta, path, type, record;
	uint8_t kind, state;
	uint64_t sum;

	*ret_bytes = unpack_u32(&in);
	path = unpack_u16(&in);
	kind = unpack_u8(&in);
	state = unpack_u8(&in);
	sum = unpack_u64(&in);
	entry.owed.segment = unpack_u64(&in);
	entry.owed.offset = unpack_u32(&in);
	type = unpack_u8(&in);
	record = unpack_u8(&in);
	meta = ENTRY_HEAD + record + path + type;
	if (unpack_u16(&in) != 0 || in.failed || state > 1 ||
	    path > PATH_BYTES || type > RECORD_TYPE_MAX || record > RECORD_BYTES_MAX ||
	    bytes.n < meta || entry_sum(generation, offset, bytes.s, meta) != sum ||
	    record_unpack(in.rest.s, record, &entry.record, NULL) < 0 ||
	    version_is_none(entry.record.version) || entry.record.flags & RECORD_DIRECTORY)
		return false;
	entry.pointer = kind == POINTER;
	entry.is_void = state != 0;
	entry.path = (struct str){ in.rest.s + record, path };
	entry.type = (struct str){ entry.path.s + path, type };
	entry.body = (struct str){ entry.type.s + type, 0 };
	if (!entry.pointer)
		entry.body.n = (size_t)entry.record.size;
	if (kind != kind_of(&entry) || (!entry.pointer && entry.record.size > WAL_BODY_MAX) ||
	    *ret_bytes != entry_bytes(meta, entry.body.n) || path_check(entry.path, NULL) < 0 ||
	    path == 0 || path_is_gate(entry.path) || record_check_type(entry.type, NULL) < 0)
		return false;
	*ret = entry;
	return true;
}

bool wal_parse(struct str segment, uint32_t *offset, struct wal_entry *ret)
{
	uint32_t at = *offset > ENTRIES_AT ? *offset : ENTRIES_AT;
	uint8_t sha256[SHA256_BYTES];
	struct wal_entry entry;
	struct head head;
	size_t bytes;

	if (at % 8 != 0 || at > segment.n || !head_parse(segment, &head) ||
	    !entry_parse((struct str){ segment.s + at, segment.n - at }, head.generation, at,
			 &entry, &bytes) ||
	    segment.n - at < bytes)
		return false;
	digest_of(entry.body.s, entry.body.n, sha256);
	if (kind_of(&entry) == CONTENT && memcmp(sha256, entry.record.sha256, sizeof sha256) != 0)
		return false;
	*offset = at + (uint32_t)bytes;
	*ret = entry;
	return true;
}

/* segments, of whichever process */

static struct flock lock_of(short type, off_t byte)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
}

static bool segment_is_held(int fd)
{
	struct flock writer = lock_of(F_WRLCK, 0);

	return fcntl(fd, F_OFD_GETLK, &writer) == 0 && writer.l_type != F_UNLCK;
}

/* Its writer has ended, and nobody else replays it: it is this one's now. */
static bool segment_take(int fd)
{
	struct flock writer = lock_of(F_WRLCK, 0);

	return fcntl(fd, F_OFD_SETLK, &writer) == 0;
}

/* Wait until nobody else makes entries go; until it is closed, or segment_unlock_entries(). */
static int segment_lock_entries(int fd)
{
	struct flock entries = lock_of(F_WRLCK, 1);

	while (fcntl(fd, F_OFD_SETLKW, &entries) < 0)
		if (errno != EINTR)
			return -1;
	return 0;
}

static void segment_unlock_entries(int fd)
{
	struct flock entries = lock_of(F_UNLCK, 1);

	fcntl(fd, F_OFD_SETLK, &entries);
}

static int segment_open(struct store *store, uint64_t id)
{
	char name[SEGMENT_NAME];

	return fs_open(store->wal, segment_name(name, id), O_RDWR, 0);
}

static int segment_read_head(int fd, struct head *ret)
{
	char bytes[HEAD_BYTES];

	if (pread(fd, bytes, sizeof bytes, 0) != sizeof bytes)
		return -1;
	return head_parse((struct str){ bytes, sizeof bytes }, ret) ? 0 : -1;
}

/* Durably. */
static int entry_make_void(int fd, uint32_t offset)
{
	return fs_write(fd, "\1", 1, offset + STATE_AT) < 0 ? -1 : fdatasync(fd);
}

/* A tombstone counts from when the mark names it, or a newer one. */
static bool is_marked(struct store *store, struct names *names, struct version v)
{
	struct marks marks;

	return marks_read(store->history, names, &marks, NULL) == 0 && version_cmp(marks.file, v) >= 0;
}

/* This version is where versions are: in tree/, or in history/. */
static bool is_named(struct store *store, struct str path, struct version v)
{
	struct inode found = INODE_INIT;
	struct names names;
	bool named;

	names_set(&names, path);
	named = inode_read_tree(store->tree, names.tree, &found, NULL) == 0 &&
		version_cmp(found.record.version, v) == 0;
	inode_clear(&found);
	if (named)
		return true;
	named = inode_read(store->history, names_version(&names, v), &found, NULL) == 0 &&
		version_cmp(found.record.version, v) == 0 &&
		(found.kind != INODE_RECORD || is_marked(store, &names, v));
	inode_clear(&found);
	return named;
}

int wal_finish_dead(struct store *store, struct wal_mark mark, uint64_t path, struct version v,
		    struct err *err)
{
	char bytes[ENTRY_META_MAX];
	int fd = segment_open(store, mark.segment), status = 0;
	struct wal_entry entry;
	struct head head;
	size_t whole;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open a segment of the log");
	n = pread(fd, bytes, sizeof bytes, mark.offset);
	if (segment_read_head(fd, &head) == 0 && n > 0 &&
	    entry_parse((struct str){ bytes, (size_t)n }, head.generation, mark.offset, &entry,
			&whole) &&
	    version_cmp(entry.record.version, v) == 0 && path_hash(entry.path) == path &&
	    !is_named(store, entry.path, v) && entry_make_void(fd, mark.offset) < 0)
		status = err_sys(err, "make an entry of the log void");
	close(fd);
	return status;
}

/* writing */

enum use {
	FREE,			/* nothing is in it that counts */
	CURRENT,
	FULL,			/* waits for its versions' names, and the checkpoint */
};

struct segment {
	int fd;			/* owned, locked; -1: not made yet */
	enum use use;
	struct head head;
	uint32_t size;		/* bytes */
	uint32_t written, synced;	/* offsets behind the last entry */
	unsigned unnamed;	/* entries whose version has no name yet */
	bool syncing;		/* somebody does, for all who wait */
	bool grows;		/* it became full */
	uint64_t since;		/* of the first entry: ms, monotonic */
	struct buf fresh;	/* paths with history directories that were made, each with its NUL */
};

struct wal {
	struct store *store;
	int dir;		/* the store's, owned: of its own, so that each failure is told here, too */
	pthread_mutex_t mutex;
	pthread_cond_t work, progress;	/* for the thread; for who waits for a sync, or for room */
	pthread_t thread;
	struct segment segments[2];
	struct segment *current;
	bool started, ending, failed;	/* started: the thread */
	bool off;		/* a checkpoint failed: what is in the segments stays, for a replay */
	uint64_t used;		/* ms, monotonic: when the last entry was written */
	uint64_t again;		/* a segment could not be made: not before this, ms, monotonic */
};

static struct segment *other_of(struct wal *wal, const struct segment *segment)
{
	return &wal->segments[segment == &wal->segments[0]];
}

static struct segment *segment_of(struct wal *wal, struct wal_mark mark)
{
	return &wal->segments[wal->segments[1].head.id == mark.segment];
}

static int away(struct err *err)
{
	return err_set(err, ERR_AWAY, "write to the log: a sync failed, and this program is about to leave");
}

/* Zeros from one offset to another, on disk. */
static int segment_fill(int fd, uint32_t from, uint32_t to)
{
	char *zeros = mem_new(1, SEGMENT_LEAST);
	int status = 0;

	for (uint32_t at = from, n; at < to && status == 0; at += n) {
		n = to - at < SEGMENT_LEAST ? to - at : SEGMENT_LEAST;
		status = fs_write(fd, zeros, n, at);
	}
	free(zeros);
	return status < 0 ? -1 : fsync(fd);
}

/* A new generation begins: what was in it counts no more, durably. */
static int segment_clean(struct segment *segment)
{
	struct buf bytes = BUF_INIT;
	int status;

	segment->head.generation = disk_draw();
	segment->head.began = clock_wall_ns();
	head_format(&bytes, &segment->head);
	status = segment_lock_entries(segment->fd);
	if (status == 0) {
		status = fs_write(segment->fd, bytes.data, bytes.len, 0);
		if (status == 0)
			status = fdatasync(segment->fd);
		segment_unlock_entries(segment->fd);
	}
	buf_clear(&bytes);
	segment->written = segment->synced = ENTRIES_AT;
	segment->since = 0;
	return status;
}

static int segment_make(struct store *store, struct segment *segment)
{
	struct segment made = { .fd = fs_tmpfile(store->wal), .size = SEGMENT_LEAST };
	char name[SEGMENT_NAME];

	if (made.fd < 0)
		return -1;
	made.head.id = disk_draw();
	if (segment_take(made.fd) && segment_fill(made.fd, 0, made.size) == 0 &&
	    segment_clean(&made) == 0 &&
	    fs_link_fd(made.fd, store->wal, segment_name(name, made.head.id)) == 0 &&
	    fsync(store->wal) == 0) {
		*segment = made;
		return 0;
	}
	close(made.fd);
	return -1;
}

/* As much room as it would have needed; if there is none, it stays as it is. */
static void segment_grow(struct segment *segment)
{
	uint32_t size = segment->size < SEGMENT_MOST / GROWTH ? segment->size * GROWTH : SEGMENT_MOST;
	uint64_t space;

	if (size == segment->size || fs_free_bytes(segment->fd, &space) < 0 ||
	    space < (uint64_t)size * FREE_TIMES)
		return;
	if (segment_fill(segment->fd, segment->size, size) == 0)
		segment->size = size;
}

/* Under the mutex: the log takes nothing more, and whoever waits for it hears that. */
static void wal_fail(struct wal *wal)
{
	wal->failed = true;
	pthread_cond_broadcast(&wal->progress);
	pthread_cond_signal(&wal->work);
	disk_failed(wal->store);
}

static void *wal_run(void *);

/* Under the mutex: the thread runs; 0, or -1: the system has none. */
static int wal_start(struct wal *wal)
{
	sigset_t all, before;

	if (wal->started)
		return 0;
	sigfillset(&all);	/* signals are the caller's threads' */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	wal->started = pthread_create(&wal->thread, NULL, wal_run, wal) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return wal->started ? 0 : -1;
}

/* Under the mutex: the segment is the current one; 0, or -1: it could not be made. */
static int wal_make_current(struct wal *wal, struct segment *segment)
{
	uint64_t now = clock_mono_ms();

	if (segment->fd < 0 &&
	    (now < wal->again || wal_start(wal) < 0 || segment_make(wal->store, segment) < 0)) {
		if (now >= wal->again)
			wal->again = now + AGAIN_MS;
		return -1;
	}
	segment->use = CURRENT;
	wal->current = segment;
	return 0;
}

/*
 * Under the mutex: the current segment has room for so many bytes.  0,
 * AGAIN: it would have to be waited for; or -1: there is none to be had.
 */
static int wal_make_room(struct wal *wal, size_t bytes, bool waits)
{
	while (!wal->failed && !wal->off) {
		struct segment *current = wal->current;

		if (current == NULL)
			return wal_make_current(wal, &wal->segments[wal->segments[0].use != FREE]);
		if (current->size - current->written >= bytes)
			return 0;
		if (other_of(wal, current)->use == FREE) {
			if (wal_make_current(wal, other_of(wal, current)) < 0)
				return -1;
			current->use = FULL;
			current->grows = true;
			pthread_cond_signal(&wal->work);
		} else if (waits) {
			pthread_cond_wait(&wal->progress, &wal->mutex);
		} else {
			return AGAIN;
		}
	}
	return -1;
}

/* Under the mutex. */
static int segment_append(struct wal *wal, const struct wal_entry *entry, struct pending *pending,
			  struct err *err)
{
	static const char zeros[8];
	struct segment *segment = wal->current;
	struct buf meta = BUF_INIT;
	struct iovec parts[3];
	size_t bytes;
	int status = 0;

	entry_format(&meta, segment->head.generation, segment->written, entry);
	bytes = entry_bytes(meta.len, entry->body.n);
	parts[0] = (struct iovec){ meta.data, meta.len };
	parts[1] = (struct iovec){ (void *)(uintptr_t)entry->body.s, entry->body.n };
	parts[2] = (struct iovec){ (void *)(uintptr_t)zeros, bytes - meta.len - entry->body.n };
	/* Before the first byte: should this process die, whoever comes knows where to look. */
	pending->logged = (struct wal_mark){ segment->head.id, segment->written };
	counters_begin(wal->store, entry->path, CHANGE_FILE, pending);
	if (pwritev(segment->fd, parts, 3, segment->written) != (ssize_t)bytes) {
		status = err_sys(err, "write to the log");
		wal_fail(wal);
	} else {
		if (segment->since == 0) {
			segment->since = clock_mono_ms();
			pthread_cond_signal(&wal->work);
		}
		segment->written += (uint32_t)bytes;
		segment->unnamed++;
		wal->used = clock_mono_ms();
	}
	buf_clear(&meta);
	return status;
}

int wal_append(struct wal *wal, const struct wal_entry *entry, bool waits, struct pending *pending,
	       struct err *err)
{
	int status;

	pthread_mutex_lock(&wal->mutex);
	status = wal_make_room(wal, ENTRY_META_MAX + entry->body.n + 8, waits);
	if (wal->failed)
		status = away(err);
	else if (status == 0)
		status = segment_append(wal, entry, pending, err);
	else
		status = status < 0 ? NO_LOG : AGAIN;
	pthread_mutex_unlock(&wal->mutex);
	return status;
}

/*
 * Under the mutex, which is open meanwhile: sync what was written, once, for all
 * who wait; void_at: after the entry there was made void, unless 0.  One at a
 * time: the kernel tells a failure to one of those who sync, and nobody else is
 * to have succeeded before all know of it.
 */
static int segment_sync(struct wal *wal, struct segment *segment, uint32_t void_at, struct err *err)
{
	uint32_t target = segment->written;
	int status;

	segment->syncing = true;
	pthread_mutex_unlock(&wal->mutex);
	status = void_at != 0 ? entry_make_void(segment->fd, void_at) : fdatasync(segment->fd);
	if (status < 0)
		err_sys(err, "sync the log");
	pthread_mutex_lock(&wal->mutex);
	segment->syncing = false;
	if (status < 0)
		wal_fail(wal);
	else if (!wal->failed)	/* else what was lost before may be among these */
		segment->synced = target;
	pthread_cond_broadcast(&wal->progress);
	return status;
}

int wal_wait(struct wal *wal, struct wal_mark mark, struct err *err)
{
	struct segment *segment;
	bool synced;

	pthread_mutex_lock(&wal->mutex);
	segment = segment_of(wal, mark);
	while (segment->synced <= mark.offset && !wal->failed) {
		if (segment->syncing)
			pthread_cond_wait(&wal->progress, &wal->mutex);
		else
			segment_sync(wal, segment, 0, NULL);
	}
	synced = segment->synced > mark.offset;
	pthread_mutex_unlock(&wal->mutex);
	return synced ? 0 : away(err);
}

/* Under the mutex: its version has its name, or never will. */
static void segment_end_entry(struct wal *wal, struct segment *segment)
{
	segment->unnamed--;
	if (segment->unnamed == 0 && segment->use == FULL)
		pthread_cond_signal(&wal->work);
}

void wal_named(struct wal *wal, struct wal_mark mark, struct str path, bool fresh)
{
	struct segment *segment;

	pthread_mutex_lock(&wal->mutex);
	segment = segment_of(wal, mark);
	if (fresh) {
		buf_addstr(&segment->fresh, path);
		buf_addc(&segment->fresh, '\0');
	}
	segment_end_entry(wal, segment);
	pthread_mutex_unlock(&wal->mutex);
}

int wal_void(struct wal *wal, struct wal_mark mark, struct err *err)
{
	struct segment *segment;
	int status;

	pthread_mutex_lock(&wal->mutex);
	segment = segment_of(wal, mark);
	while (segment->syncing)
		pthread_cond_wait(&wal->progress, &wal->mutex);
	status = segment_sync(wal, segment, mark.offset, err);
	segment_end_entry(wal, segment);
	pthread_mutex_unlock(&wal->mutex);
	return status;
}

/* checkpoints */

static void fresh_open_to_group(struct store *store, const struct buf *fresh)
{
	for (size_t at = 0; at < fresh->len; at += strlen(fresh->data + at) + 1)
		chain_open_to_group(store, str_of(fresh->data + at));
}

/*
 * Under the mutex: nothing is lost, for the entries stay, and a replay brings
 * back what the disk may not have.  So the program leaves, and is started again,
 * if the store can be opened then; of a disk that gives nothing any more it goes
 * on to tell what it can.
 */
static void wal_turn_off(struct wal *wal)
{
	struct disk_identity identity;

	wal->off = true;
	pthread_cond_broadcast(&wal->progress);
	if (disk_read_identity(wal->store->path, &identity, NULL) == 0)
		disk_failed(wal->store);
}

/* Under the mutex, which is open meanwhile: all in it has its name. */
static void wal_checkpoint(struct wal *wal, struct segment *segment)
{
	int status;

	pthread_mutex_unlock(&wal->mutex);
	status = syncfs(wal->dir);
	if (atomic_load(&wal->store->failed))
		status = -1;
	if (status == 0)
		fresh_open_to_group(wal->store, &segment->fresh);
	buf_clear(&segment->fresh);
	if (status == 0)
		status = segment_clean(segment);
	if (status == 0 && segment->grows && segment->size < SEGMENT_MOST)
		segment_grow(segment);
	pthread_mutex_lock(&wal->mutex);
	if (status < 0) {
		wal_turn_off(wal);
		return;
	}
	segment->grows = false;
	segment->use = FREE;
	pthread_cond_broadcast(&wal->progress);
}

/* Under the mutex: the segment that waits for its checkpoint, or NULL. */
static struct segment *wal_full(struct wal *wal)
{
	for (int i = 0; i < 2; i++)
		if (wal->segments[i].use == FULL)
			return &wal->segments[i];
	return NULL;
}

/* Under the mutex: what is old, or the last, is to be checkpointed. */
static bool wal_is_due(const struct wal *wal, uint64_t *ret_ms)
{
	uint64_t age;

	*ret_ms = UINT64_MAX;
	if (wal->current == NULL || wal->current->since == 0)
		return false;
	age = clock_mono_ms() - wal->current->since;
	if (wal->ending || age >= CHECKPOINT_MS)
		return true;
	*ret_ms = CHECKPOINT_MS - age;
	return false;
}

/* Those that a checkpoint has left. */
static void wal_remove_segments(struct wal *wal)
{
	char name[SEGMENT_NAME];
	bool removed = false;

	for (int i = 0; i < 2; i++) {
		struct segment *segment = &wal->segments[i];

		if (segment->fd >= 0 && !wal->failed && !wal->off && segment->use != FULL)
			removed |= unlinkat(wal->store->wal,
					    segment_name(name, segment->head.id), 0) == 0;
		if (segment->fd >= 0)
			close(segment->fd);
		buf_clear(&segment->fresh);
		*segment = (struct segment){ .fd = -1 };
	}
	wal->current = NULL;
	if (removed)
		fsync(wal->store->wal);
}

/* Under the mutex: nothing is in the segments, and has not been for long; else how long that takes yet. */
static bool wal_is_idle(const struct wal *wal, uint64_t *ms)
{
	uint64_t age = clock_mono_ms() - wal->used;
	bool there = false;

	for (int i = 0; i < 2; i++) {
		there |= wal->segments[i].fd >= 0;
		if (wal->segments[i].since != 0)
			return false;
	}
	if (!there || age >= IDLE_MS)
		return there;
	if (IDLE_MS - age < *ms)
		*ms = IDLE_MS - age;
	return false;
}

static void wal_sleep(struct wal *wal, uint64_t ms)
{
	struct timespec until;

	if (ms == UINT64_MAX) {
		pthread_cond_wait(&wal->work, &wal->mutex);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&wal->work, &wal->mutex, &until);
}

static void *wal_run(void *data)
{
	struct wal *wal = data;

	pthread_mutex_lock(&wal->mutex);
	while (!wal->failed && !wal->off) {
		struct segment *full = wal_full(wal);
		uint64_t ms = UINT64_MAX;

		if (full != NULL && full->unnamed == 0) {
			wal_checkpoint(wal, full);
		} else if (full == NULL && wal_is_due(wal, &ms)) {
			/* The other one may not exist yet; without it this one waits alone. */
			wal->current->use = FULL;
			if (wal_make_current(wal, other_of(wal, wal->current)) < 0)
				wal->current = NULL;
		} else if (full == NULL && wal->ending) {
			break;
		} else if (full == NULL && wal_is_idle(wal, &ms)) {
			wal_remove_segments(wal);
		} else {
			wal_sleep(wal, ms);
		}
	}
	pthread_mutex_unlock(&wal->mutex);
	return NULL;
}

static void wal_release(struct wal *wal)
{
	wal_remove_segments(wal);
	if (wal->dir >= 0)
		close(wal->dir);
	pthread_mutex_destroy(&wal->mutex);
	pthread_cond_destroy(&wal->work);
	pthread_cond_destroy(&wal->progress);
	free(wal);
}

int wal_open(struct wal **ret, struct store *store, struct err *err)
{
	struct wal *wal;
	pthread_condattr_t monotonic;

	*ret = NULL;
	if (!store->logs)
		return 0;
	wal = mem_new(1, sizeof *wal);
	wal->store = store;
	wal->dir = fs_open(store->dir, ".", O_RDONLY | O_DIRECTORY, 0);
	wal->segments[0].fd = wal->segments[1].fd = -1;
	pthread_mutex_init(&wal->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&wal->work, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&wal->progress, NULL);
	if (wal->dir < 0) {
		err_sys(err, "open %s", store->path);
		wal_release(wal);
		return -1;
	}
	*ret = wal;
	return 0;
}

void wal_close(struct wal *wal)
{
	if (wal == NULL)
		return;
	pthread_mutex_lock(&wal->mutex);
	wal->ending = true;
	pthread_cond_signal(&wal->work);
	pthread_mutex_unlock(&wal->mutex);
	if (wal->started)
		pthread_join(wal->thread, NULL);
	wal_release(wal);
}

/* making entries void, of whichever process */

struct forgetting {
	struct store *store;
	struct str path;
	const struct version *versions;
	size_t count;
	uint64_t changed;	/* when one of them last got a name, ns since 1970 */
	struct err *err;
};

static bool is_forgotten(const struct forgetting *f, const struct wal_entry *entry)
{
	bool among = false;

	for (size_t i = 0; i < f->count && !among; i++)
		among = version_cmp(entry->record.version, f->versions[i]) == 0;
	return among && !entry->is_void && str_eq(entry->path, f->path);
}

/* All of it; -1 with errno. */
static int segment_read(int fd, struct buf *to)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_size > SEGMENT_MOST) {
		errno = EFBIG;
		return -1;
	}
	while (to->len < (size_t)st.st_size) {
		size_t rest = (size_t)st.st_size - to->len;

		n = pread(fd, buf_reserve(to, rest), rest, (off_t)to->len);
		if (n <= 0)
			return -1;
		to->len += (size_t)n;
	}
	return 0;
}

/* Under the lock on its entries. */
static int segment_forget(const struct forgetting *f, int fd)
{
	struct buf all = BUF_INIT;
	struct wal_entry entry;
	bool found = false;
	struct head head;
	int status = segment_read(fd, &all);
	size_t n = status == 0 && head_parse(buf_str(&all), &head) ? all.len : 0, bytes;

	for (size_t offset = ENTRIES_AT; status == 0 && offset < n; offset += bytes) {
		if (!entry_parse((struct str){ all.data + offset, n - offset }, head.generation,
				 (uint32_t)offset, &entry, &bytes))
			break;
		if (!is_forgotten(f, &entry))
			continue;
		status = fs_write(fd, "\1", 1, offset + STATE_AT);
		found = true;
	}
	buf_clear(&all);
	return status == 0 && found ? fdatasync(fd) : status;
}

static int forget_name(void *data, const char *name)
{
	const struct forgetting *f = data;
	struct head head;
	int fd, status;

	if (!is_segment_name(name))
		return 0;
	fd = fs_open(f->store->wal, name, O_RDWR, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(f->err, "open a segment of the log");
	status = segment_lock_entries(fd);
	/* A name that is older than all that is in it is of nothing that is in it. */
	if (status == 0 && segment_read_head(fd, &head) == 0 &&
	    (head.began <= f->changed + CLOCK_BACK_NS || head.began > clock_wall_ns()))
		status = segment_forget(f, fd);
	if (status < 0)
		err_sys(f->err, "make entries of the log void");
	close(fd);
	return status;
}

int wal_forget(struct store *store, struct str path, const struct version *versions, size_t count,
	       uint64_t changed, struct err *err)
{
	struct forgetting f = { .store = store, .path = path, .versions = versions, .count = count,
				.changed = changed, .err = err };

	return count > 0 && store->wal >= 0 ? names_each(store->wal, ".", forget_name, &f, err) : 0;
}

/* replaying */

struct replay {
	struct store *store;	/* NULL: it only looks for an entry that would have to be replayed */
	int wal;		/* the directory */
	int fd;			/* the segment */
	struct outbox *outbox;	/* owned; NULL: nothing is owed so far */
	struct outbox_lookup known;
	struct buf done;	/* names of segments, each with its NUL */
	bool found;		/* such an entry */
	struct err *err;
};

struct entry_place {
	int fd;			/* the segment */
	uint32_t offset;
};

/* Asked under the path's lock: whoever held it before may have made the entry void. */
static int entry_counts(const struct commit *c, const struct store_entry *now, struct err *err)
{
	const struct entry_place *place = c->data;
	char state;

	(void)now;
	if (pread(place->fd, &state, 1, place->offset + STATE_AT) != 1)
		return err_sys(err, "read the log");
	return state == 0 ? 0 : err_set(err, ERR_PRECONDITION, "the entry is void");
}

/* Synced with all that is replayed. */
static int entry_owe(struct replay *r, const struct wal_entry *entry)
{
	struct outbox_mark mark;

	if (entry->owed.segment == 0 ||
	    outbox_has(r->store, &r->known, entry->owed, entry->path, entry->record.version))
		return 0;
	if (r->outbox == NULL && outbox_open(&r->outbox, r->store, r->err) < 0)
		return -1;
	return outbox_begin(r->outbox, entry->path, entry->record.version, &mark, r->err);
}

static int entry_replay(struct replay *r, const struct wal_entry *entry)
{
	struct entry_place place = { r->fd, entry->offset };
	struct stage *stage = kind_of(entry) == CONTENT ? stage_of_bytes(r->store, entry->body) : NULL;
	struct commit c = commit_of_record(entry->path, &entry->record, entry->type, stage, 0);
	struct err why = ERR_INIT;
	int status;

	c.condition = entry_counts;
	c.data = &place;
	status = commit_replay(r->store, &c, &why);
	stage_free(stage);
	if (status < 0 && why.kind == ERR_PRECONDITION)
		return 0;
	return status == 0 ? entry_owe(r, entry) : err_pass(r->err, &why);
}

static int segment_replay(struct replay *r, int fd)
{
	uint32_t offset = 0;
	struct buf all = BUF_INIT;
	struct wal_entry entry;
	struct str segment;
	struct head head;
	int status = segment_read(fd, &all) < 0 ? err_sys(r->err, "read the log") : 0;

	r->fd = fd;
	segment = buf_str(&all);
	if (status == 0 && !head_parse(segment, &head))
		status = err_set(r->err, ERR_CORRUPT, "replay the log: its head is damaged: move it away, and "
				 "what was written here in the last seconds before is lost");
	while (status == 0 && wal_parse(segment, &offset, &entry)) {
		r->found |= !entry.is_void;
		if (!entry.is_void && r->store != NULL)
			status = entry_replay(r, &entry);
	}
	buf_clear(&all);
	return status;
}

/* Its writer has ended, and nobody else replays it. */
static int replay_name(struct replay *r, const char *name)
{
	int fd, status = 0;

	fd = fs_open(r->wal, name, r->store != NULL ? O_RDWR : O_RDONLY, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(r->err, "open a segment of the log");
	if (r->store != NULL ? segment_take(fd) : !segment_is_held(fd)) {
		status = segment_replay(r, fd);
		buf_add(&r->done, name, strlen(name) + 1);
		if (status < 0)
			err_context(r->err, "wal/%s", name);
	}
	close(fd);
	return status;
}

struct named {			/* a segment */
	char name[SEGMENT_NAME];
	uint64_t began;		/* 0: it cannot be told */
};

static int named_order(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return (x->began > y->began) - (x->began < y->began);
}

struct found {
	int wal;
	struct named *items;	/* owned */
	size_t count, room;
};

static int found_add(void *data, const char *name)
{
	struct found *found = data;
	struct named named = { .began = 0 };
	struct head head;
	int fd;

	if (!is_segment_name(name))
		return 0;
	fd = fs_open(found->wal, name, O_RDONLY, 0);
	if (fd >= 0 && segment_read_head(fd, &head) == 0)
		named.began = head.began;
	if (fd >= 0)
		close(fd);
	snprintf(named.name, sizeof named.name, "%s", name);
	found->items = mem_room(found->items, found->count, &found->room, sizeof *found->items);
	found->items[found->count++] = named;
	return 0;
}

/* Each in turn, those first that were begun first. */
static int replay_all(struct replay *r)
{
	struct found found = { .wal = r->wal };
	int status = names_each(r->wal, ".", found_add, &found, r->err);

	if (found.count > 0)
		qsort(found.items, found.count, sizeof *found.items, named_order);
	for (size_t i = 0; i < found.count && status == 0; i++)
		status = replay_name(r, found.items[i].name);
	free(found.items);
	return status;
}

/* What was replayed is on disk, and what was taken for finished. */
static int replay_end(struct replay *r)
{
	if (syncfs(r->store->dir) < 0)
		return err_sys(r->err, "sync the file system of %s", r->store->path);
	for (size_t at = 0; at < r->done.len; at += strlen(r->done.data + at) + 1)
		unlinkat(r->store->wal, r->done.data + at, 0);
	return fsync(r->store->wal) == 0 ? 0 : err_sys(r->err, "sync %s/wal", r->store->path);
}

int wal_replay(struct store *store, struct err *err)
{
	struct replay r = { .store = store, .wal = store->wal, .done = BUF_INIT, .err = err };
	bool alone = false;
	int status = 0;

	if (store->wal < 0 || names_none(store->wal, ".")) {
		counters_note_replayed(store);
		return 0;
	}
	store->replaying = true;
	/* Where others go on, what died on its way is made void, as whoever takes its lock would do it. */
	alone = counters_forget_dead(store);
	status = alone ? 0 : counters_finish_dead(store, err);
	if (status == 0)
		status = replay_all(&r);
	store->replaying = false;
	if (status == 0 && (alone || r.done.len > 0))
		status = replay_end(&r);
	if (status == 0)
		counters_note_replayed(store);
	outbox_close(r.outbox);
	buf_clear(&r.known.bytes);
	buf_clear(&r.done);
	return status;
}

bool wal_has_unreplayed(int directory)
{
	struct replay r = { .wal = directory, .done = BUF_INIT };
	int status = directory < 0 ? 0 : replay_all(&r);

	buf_clear(&r.done);
	return status < 0 || r.found;
}
