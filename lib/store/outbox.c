/*
 * outbox - what is not yet known to every home and keeper: its files, writing and reading them
 *
 * In network order, a segment is
 *
 *	offset size
 *	0      16   "covey outbox 1\n\0"
 *	16     8    the segment's id, which is its name, too
 *	24     40   zeros
 *	64          entries, each at a multiple of 8; zeros follow the last
 *
 * and an entry:
 *
 *	0      2    bytes of the path, at least 1
 *	2      1    1; 2 with n behind byte 32
 *	3      1    0, or 1 when it is done: the only byte that ever changes
 *	4      4    zeros
 *	8      8    time
 *	16     8    node
 *	24     8    checksum: FNV-1a 64 of the id, the offset (8 bytes each),
 *		    this entry's first 24 bytes with state 0, and what follows
 *		    this up to the end of the path
 *	32     8    n of the version, unless it is 0
 *	32, 40      the path, and zeros up to a multiple of 8
 *
 * A segment gets its name when its zeros are on disk and its writer has
 * locked it, so that no sync of an entry has to write metadata, and whoever
 * can lock it knows that the writer has ended.  An entry is on disk only if
 * all before it are: what is behind a torn one was never relied on.
 *
 * In each writing process one thread syncs for all who wait, while they sync
 * their bodies, and wakes only those whose entries are on disk: waking all of
 * them at each sync cost more than the sync.  The same thread marks entries
 * done: that is a write, which may wait for the file system's journal as long
 * as a sync does.  A segment that is full is left when all of it is synced.
 */
#include "inside.h"

#include "fs.h"
#include "list.h"
#include "mem.h"
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#define SEGMENT_BYTES (256 << 10)
#define SEGMENT_HEAD 64
#define SEGMENT_ENTRY 32	/* without the path */
#define SEGMENT_NAME 24		/* bytes that hold the name of one */
#define MAGIC "covey outbox 1\n"	/* with its NUL: 16 bytes */
#define STATE_AT 3

enum { PLAIN = 1, CHILD };	/* what byte 2 says */

static const char *segment_name(char to[SEGMENT_NAME], uint64_t id)
{
	snprintf(to, SEGMENT_NAME, "%016" PRIx64 ".seg", id);
	return to;
}

static int segment_id_of_name(const char *name, uint64_t *ret)
{
	struct str text = str_of(name);
	char again[SEGMENT_NAME];

	if (text.n != 20 || str_hex64((struct str){ text.s, 16 }, ret) < 0 || *ret == 0)
		return -1;
	return strcmp(name, segment_name(again, *ret)) == 0 ? 0 : -1;
}

static struct flock segment_lock(short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET };
}

static size_t entry_bytes(struct str path, struct version v)
{
	return (SEGMENT_ENTRY + (v.n > 0 ? 8 : 0) + path.n + 7) & ~(size_t)7;
}

static void segment_format_head(struct buf *buf, uint64_t id)
{
	pack_bytes(buf, MAGIC, sizeof MAGIC);
	pack_u64(buf, id);
}

static void entry_format(struct buf *buf, uint64_t segment, uint32_t offset, struct str path,
			 struct version v)
{
	struct buf sum = BUF_INIT, rest = BUF_INIT;
	size_t start = buf->len;

	pack_u16(buf, (uint16_t)path.n);
	pack_u8(buf, v.n > 0 ? CHILD : PLAIN);
	pack_u8(buf, 0);
	pack_u32(buf, 0);
	pack_u64(buf, v.time);
	pack_u64(buf, v.node);
	pack_u64(&sum, segment);
	pack_u64(&sum, offset);
	pack_bytes(&sum, buf->data + start, buf->len - start);
	if (v.n > 0)
		pack_u64(&rest, v.n);
	pack_bytes(&rest, path.s, path.n);
	buf_addstr(&sum, buf_str(&rest));
	pack_u64(buf, path_hash(buf_str(&sum)));
	buf_addstr(buf, buf_str(&rest));
	while ((buf->len - start) % 8 != 0)
		pack_u8(buf, 0);
	buf_clear(&sum);
	buf_clear(&rest);
}

static bool segment_parse_head(struct str segment, uint64_t *ret)
{
	struct unpack in = unpack_of(segment);
	char magic[sizeof MAGIC];

	unpack_bytes(&in, magic, sizeof magic);
	*ret = unpack_u64(&in);
	return segment.n >= SEGMENT_HEAD && memcmp(magic, MAGIC, sizeof magic) == 0 && *ret != 0;
}

bool outbox_parse(struct str segment, uint32_t *offset, struct outbox_entry *ret, bool *ret_done)
{
	uint32_t at = *offset > SEGMENT_HEAD ? *offset : SEGMENT_HEAD;
	struct buf again = BUF_INIT;
	struct outbox_entry entry;
	struct unpack in;
	uint8_t state, kind;
	bool whole;

	if (!segment_parse_head(segment, &entry.mark.segment) || at % 8 != 0 || at > segment.n)
		return false;
	in = unpack_of((struct str){ segment.s + at, segment.n - at });
	entry.mark.offset = at;
	entry.path.n = unpack_u16(&in);
	kind = unpack_u8(&in);
	state = unpack_u8(&in);
	unpack_u32(&in);
	entry.version.time = unpack_u64(&in);
	entry.version.node = unpack_u64(&in);
	unpack_u64(&in);
	entry.version.n = kind == CHILD ? unpack_u64(&in) : 0;
	if (in.failed || entry.path.n == 0 || state > 1 || version_is_none(entry.version) ||
	    entry.version.n > VERSION_N_MAX ||
	    kind != (entry.version.n > 0 ? CHILD : PLAIN) ||
	    segment.n - at < entry_bytes(entry.path, entry.version))
		return false;
	entry.path.s = in.rest.s;
	entry_format(&again, entry.mark.segment, at, entry.path, entry.version);
	again.data[STATE_AT] = (char)state;
	whole = memcmp(again.data, segment.s + at, again.len) == 0 &&
		path_check(entry.path, NULL) == 0;
	if (whole) {
		*offset = at + (uint32_t)again.len;
		*ret = entry;
		*ret_done = state != 0;
	}
	buf_clear(&again);
	return whole;
}

static int segment_open(struct store *store, uint64_t id)
{
	char name[SEGMENT_NAME];

	return id == 0 ? -1 : fs_open(store->outbox, segment_name(name, id), O_RDWR, 0);
}

static int segment_read(int fd, struct buf *to, struct err *err)
{
	ssize_t n = pread(fd, buf_reserve(to, SEGMENT_BYTES), SEGMENT_BYTES, 0);

	if (n < 0)
		return err_sys(err, "read a segment of the outbox");
	to->len = (size_t)n;
	return 0;
}

/* one entry, by whoever finished it */

void outbox_done(struct store *store, struct outbox_mark mark)
{
	int fd = segment_open(store, mark.segment);

	if (fd < 0)
		return;
	if (mark.offset < SEGMENT_BYTES - SEGMENT_ENTRY)
		fs_write(fd, "\1", 1, mark.offset + STATE_AT);
	close(fd);
}

bool outbox_is_done(struct store *store, struct outbox_mark mark)
{
	int fd = segment_open(store, mark.segment);
	char state = 1;
	bool done;

	if (fd < 0)
		return mark.segment == 0 || errno == ENOENT;
	done = pread(fd, &state, 1, mark.offset + STATE_AT) != 1 || state != 0;
	close(fd);
	return done;
}

static void lookup_open(struct store *store, struct outbox_lookup *lookup, uint64_t segment)
{
	int fd = segment_open(store, segment);

	buf_reset(&lookup->bytes);
	lookup->segment = segment;
	lookup->offset = 0;
	if (fd < 0)
		return;
	if (segment_read(fd, &lookup->bytes, NULL) < 0)
		buf_reset(&lookup->bytes);
	close(fd);
}

bool outbox_has(struct store *store, struct outbox_lookup *lookup, struct outbox_mark mark,
		struct str path, struct version v)
{
	struct outbox_entry entry;
	bool done;

	if (lookup->segment != mark.segment || mark.offset < lookup->offset)
		lookup_open(store, lookup, mark.segment);
	/* From the first one on: what is behind a torn one does not count. */
	while (lookup->offset <= mark.offset &&
	       outbox_parse(buf_str(&lookup->bytes), &lookup->offset, &entry, &done))
		if (entry.mark.offset == mark.offset)
			return str_eq(entry.path, path) && version_cmp(entry.version, v) == 0;
	return false;
}

bool outbox_writer_lives(struct store *store, uint64_t segment)
{
	struct flock all = segment_lock(F_WRLCK);
	int fd = segment_open(store, segment);
	bool lives;

	if (fd < 0)
		return false;
	lives = fcntl(fd, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK;
	close(fd);
	return lives;
}

/* writing */

/* Who waits for an entry: on his own stack. */
struct waiter {
	struct link link;		/* in waiters, or in those that are to be woken */
	uint32_t offset;		/* of the entry */
	sem_t over;			/* it is on disk, or never will be */
	bool failed;
};

struct outbox {
	struct store *store;
	pthread_mutex_t mutex;
	pthread_cond_t work, progress;	/* for the syncing thread; for who needs room */
	pthread_t thread;
	bool ending, failed;
	/* the current segment */
	int fd;				/* owned, locked; -1: none yet */
	uint64_t id;
	uint32_t written, synced;	/* offsets behind the last entry */
	uint32_t wanted;		/* that somebody waits, or will wait, for */
	struct list waiters;		/* for entries of it */
	/* entries of any segment, to be marked done */
	struct outbox_mark *finished;	/* owned */
	size_t finished_count, finished_room;
};

static bool entry_is_over(const struct outbox *outbox, uint32_t offset)
{
	return outbox->failed || outbox->synced > offset;
}

/* Under the mutex: those who need not wait any longer go over to the other list. */
static void waiters_take_over(struct outbox *outbox, struct list *ready)
{
	LIST_EACH(struct waiter, waiter, &outbox->waiters, link)
		if (entry_is_over(outbox, waiter->offset)) {
			list_remove(&waiter->link);
			waiter->failed = outbox->failed;
			list_append(ready, &waiter->link);
		}
}

/* Not under the mutex, so that nobody is woken to wait for it. */
static void waiters_wake(struct list *ready)
{
	struct waiter *waiter;

	while ((waiter = LIST_FIRST(struct waiter, ready, link)) != NULL) {
		list_remove(&waiter->link);
		sem_post(&waiter->over);	/* it goes as soon as it is woken */
	}
}

/* Under the mutex: sync what was written, once.  It is open meanwhile. */
static void outbox_sync_written(struct outbox *outbox)
{
	uint32_t target = outbox->written;
	int fd = outbox->fd, status;
	struct list ready = { .first = NULL };

	pthread_mutex_unlock(&outbox->mutex);
	status = fdatasync(fd);
	pthread_mutex_lock(&outbox->mutex);
	if (status < 0) {
		outbox->failed = true;
		disk_failed(outbox->store);
	} else {
		outbox->synced = target;
	}
	waiters_take_over(outbox, &ready);
	pthread_cond_broadcast(&outbox->progress);
	pthread_mutex_unlock(&outbox->mutex);
	waiters_wake(&ready);
	pthread_mutex_lock(&outbox->mutex);
}

/* Under the mutex, which is open meanwhile. */
static void outbox_mark_finished(struct outbox *outbox)
{
	struct outbox_mark *marks = outbox->finished;
	size_t count = outbox->finished_count;

	outbox->finished = NULL;
	outbox->finished_count = outbox->finished_room = 0;
	pthread_mutex_unlock(&outbox->mutex);
	for (size_t i = 0; i < count; i++)
		outbox_done(outbox->store, marks[i]);
	free(marks);
	pthread_mutex_lock(&outbox->mutex);
}

/* One sync at a time, then the marks: who waits for a sync is first. */
static void *outbox_sync_for_all(void *argument)
{
	struct outbox *outbox = argument;

	pthread_mutex_lock(&outbox->mutex);
	for (;;) {
		bool sync = !outbox->ending && !outbox->failed && outbox->synced < outbox->wanted;

		if (sync)
			outbox_sync_written(outbox);
		if (outbox->finished_count > 0)
			outbox_mark_finished(outbox);
		else if (outbox->ending)
			break;
		else if (!sync)
			pthread_cond_wait(&outbox->work, &outbox->mutex);
	}
	pthread_mutex_unlock(&outbox->mutex);
	return NULL;
}

static void outbox_release(struct outbox *outbox)
{
	if (outbox->fd >= 0)
		close(outbox->fd);
	free(outbox->finished);
	pthread_mutex_destroy(&outbox->mutex);
	pthread_cond_destroy(&outbox->work);
	pthread_cond_destroy(&outbox->progress);
	free(outbox);
}

int outbox_open(struct outbox **ret, struct store *store, struct err *err)
{
	struct outbox *outbox = mem_new(1, sizeof *outbox);
	sigset_t all, before;

	outbox->store = store;
	outbox->fd = -1;
	pthread_mutex_init(&outbox->mutex, NULL);
	pthread_cond_init(&outbox->work, NULL);
	pthread_cond_init(&outbox->progress, NULL);
	sigfillset(&all);	/* signals are the caller's threads' */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&outbox->thread, NULL, outbox_sync_for_all, outbox);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errno != 0) {
		outbox_release(outbox);
		return err_sys(err, "start the thread of the outbox");
	}
	*ret = outbox;
	return 0;
}

void outbox_close(struct outbox *outbox)
{
	if (outbox == NULL)
		return;
	pthread_mutex_lock(&outbox->mutex);
	outbox->ending = true;
	pthread_cond_signal(&outbox->work);
	pthread_mutex_unlock(&outbox->mutex);
	pthread_join(outbox->thread, NULL);
	outbox_release(outbox);
}

/* A file without a name, locked, with a header and zeros, on disk. */
static int segment_fill(struct store *store, int fd, uint64_t id, struct err *err)
{
	struct flock all = segment_lock(F_WRLCK);
	struct buf bytes = BUF_INIT;
	int status;

	segment_format_head(&bytes, id);
	memset(buf_reserve(&bytes, SEGMENT_BYTES - bytes.len), 0, SEGMENT_BYTES - bytes.len);
	status = fcntl(fd, F_OFD_SETLK, &all);
	if (status == 0)
		status = fs_write(fd, bytes.data, SEGMENT_BYTES, 0);
	buf_clear(&bytes);
	return status < 0 ? err_sys(err, "write a segment of the outbox")
			  : disk_sync(store, fd, "segment of the outbox", err);
}

static int segment_link(struct store *store, int fd, uint64_t *ret_id, struct err *err)
{
	char name[SEGMENT_NAME];
	uint64_t id = disk_draw();

	if (segment_fill(store, fd, id, err) < 0)
		return -1;
	if (fs_link_fd(fd, store->outbox, segment_name(name, id)) < 0)
		return err_sys(err, "name a segment of the outbox");
	*ret_id = id;
	return disk_sync(store, store->outbox, "outbox", err);
}

/* Under the mutex, everything written is synced: a new segment takes over. */
static int outbox_start_segment(struct outbox *outbox, struct err *err)
{
	int fd = fs_tmpfile(outbox->store->outbox);
	uint64_t id = 0;

	if (fd < 0)
		return err_sys(err, "make a segment of the outbox");
	if (segment_link(outbox->store, fd, &id, err) < 0) {
		close(fd);
		return -1;
	}
	if (outbox->fd >= 0)
		close(outbox->fd);
	outbox->fd = fd;
	outbox->id = id;
	outbox->written = outbox->synced = outbox->wanted = SEGMENT_HEAD;
	return 0;
}

/* Under the mutex: all that is written is synced soon. */
static void outbox_want(struct outbox *outbox)
{
	outbox->wanted = outbox->written;
	if (outbox->synced < outbox->wanted)
		pthread_cond_signal(&outbox->work);
}

/* Under the mutex: there is a segment with room for n bytes. */
static int outbox_make_room(struct outbox *outbox, size_t n, struct err *err)
{
	while (!outbox->failed && outbox->fd >= 0 && outbox->written + n > SEGMENT_BYTES) {
		if (outbox->synced == outbox->written)
			return outbox_start_segment(outbox, err);
		outbox_want(outbox);
		pthread_cond_wait(&outbox->progress, &outbox->mutex);
	}
	if (outbox->failed)
		return err_set(err, ERR_AWAY, "write to the outbox: a sync failed, and this program is "
			       "about to leave");
	return outbox->fd < 0 ? outbox_start_segment(outbox, err) : 0;
}

/* Under the mutex. */
static int outbox_append(struct outbox *outbox, struct str path, struct version v,
			 struct outbox_mark *ret, struct err *err)
{
	struct buf bytes = BUF_INIT;
	int status = 0;

	if (outbox_make_room(outbox, entry_bytes(path, v), err) < 0)
		return -1;
	entry_format(&bytes, outbox->id, outbox->written, path, v);
	if (fs_write(outbox->fd, bytes.data, bytes.len, outbox->written) < 0) {
		status = err_sys(err, "write to the outbox");
	} else {
		*ret = (struct outbox_mark){ outbox->id, outbox->written };
		outbox->written += (uint32_t)bytes.len;
	}
	buf_clear(&bytes);
	return status;
}

int outbox_begin(struct outbox *outbox, struct str path, struct version v,
		 struct outbox_mark *ret, struct err *err)
{
	int status;

	if (path.n == 0 || path_check(path, NULL) < 0 || version_is_none(v))
		return err_set(err, ERR_INVALID, "write to the outbox: no version of a path");
	pthread_mutex_lock(&outbox->mutex);
	status = outbox_append(outbox, path, v, ret, err);
	pthread_mutex_unlock(&outbox->mutex);
	return status;
}

void outbox_sync_soon(struct outbox *outbox)
{
	pthread_mutex_lock(&outbox->mutex);
	outbox_want(outbox);
	pthread_mutex_unlock(&outbox->mutex);
}

void outbox_finish(struct outbox *outbox, struct outbox_mark mark)
{
	if (mark.segment == 0)
		return;
	pthread_mutex_lock(&outbox->mutex);
	outbox->finished = mem_room(outbox->finished, outbox->finished_count, &outbox->finished_room,
				    sizeof *outbox->finished);
	outbox->finished[outbox->finished_count++] = mark;
	pthread_cond_signal(&outbox->work);
	pthread_mutex_unlock(&outbox->mutex);
}

/* A segment is left only when all of it is synced. */
static bool entry_must_wait(const struct outbox *outbox, struct outbox_mark mark)
{
	return outbox->id == mark.segment && !entry_is_over(outbox, mark.offset);
}

int outbox_wait(struct outbox *outbox, struct outbox_mark mark, struct err *err)
{
	struct waiter waiter = { .offset = mark.offset };
	bool wait;

	pthread_mutex_lock(&outbox->mutex);
	wait = entry_must_wait(outbox, mark);
	waiter.failed = outbox->failed;
	if (wait) {
		sem_init(&waiter.over, 0, 0);
		list_append(&outbox->waiters, &waiter.link);
		outbox_want(outbox);
	}
	pthread_mutex_unlock(&outbox->mutex);
	if (wait) {
		while (sem_wait(&waiter.over) < 0)
			continue;	/* a signal */
		sem_destroy(&waiter.over);
	}
	if (!waiter.failed)
		return 0;
	return err_set(err, ERR_AWAY, "sync the outbox: it failed, and this program is about to leave");
}

/* reading, for whoever finishes what writers left */

struct position {
	uint64_t segment;
	uint32_t offset;	/* all before it was told, or done */
	bool there;		/* met in this round */
};

struct outbox_reader {
	struct store *store;
	struct position *positions;	/* owned */
	size_t count;
	/* of one round */
	int (*each)(void *data, const struct outbox_entry *);
	void *data;
	struct err *err;
};

struct outbox_reader *outbox_reader_new(struct store *store)
{
	struct outbox_reader *reader = mem_new(1, sizeof *reader);

	reader->store = store;
	return reader;
}

void outbox_reader_free(struct outbox_reader *reader)
{
	if (reader != NULL)
		free(reader->positions);
	free(reader);
}

static struct position *reader_position(struct outbox_reader *reader, uint64_t segment)
{
	for (size_t i = 0; i < reader->count; i++)
		if (reader->positions[i].segment == segment)
			return &reader->positions[i];
	reader->positions = mem_resize(reader->positions, reader->count + 1,
				       sizeof *reader->positions);
	reader->positions[reader->count] = (struct position){ .segment = segment };
	return &reader->positions[reader->count++];
}

static int reader_tell(struct outbox_reader *reader, struct position *position, struct str segment)
{
	struct outbox_entry entry;
	uint32_t behind = position->offset;
	bool done;

	while (outbox_parse(segment, &behind, &entry, &done)) {
		if (!done && reader->each(reader->data, &entry) < 0)
			return -1;
		position->offset = behind;
	}
	return 0;
}

static int reader_read_name(void *data, const char *name)
{
	struct outbox_reader *reader = data;
	struct buf bytes = BUF_INIT;
	struct position *position;
	uint64_t id, inside;
	int fd, status;

	if (segment_id_of_name(name, &id) < 0)
		return 0;
	fd = segment_open(reader->store, id);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(reader->err, "open a segment of the outbox");
	status = segment_read(fd, &bytes, reader->err);
	close(fd);
	position = reader_position(reader, id);
	position->there = true;
	if (status == 0 && segment_parse_head(buf_str(&bytes), &inside) && inside == id)
		status = reader_tell(reader, position, buf_str(&bytes));
	buf_clear(&bytes);
	return status;
}

int outbox_read(struct outbox_reader *reader, int (*each)(void *data, const struct outbox_entry *),
		void *data, struct err *err)
{
	size_t kept = 0;
	int status;

	reader->each = each;
	reader->data = data;
	reader->err = err;
	for (size_t i = 0; i < reader->count; i++)
		reader->positions[i].there = false;
	status = names_each(reader->store->outbox, ".", reader_read_name, reader, err);
	for (size_t i = 0; i < reader->count; i++)
		if (reader->positions[i].there || status < 0)
			reader->positions[kept++] = reader->positions[i];
	reader->count = kept;
	return status;
}

bool outbox_was_told(const struct outbox_reader *reader, struct outbox_mark mark)
{
	for (size_t i = 0; i < reader->count; i++)
		if (reader->positions[i].segment == mark.segment)
			return mark.offset < reader->positions[i].offset;
	return false;
}

static bool segment_is_done(struct str segment)
{
	struct outbox_entry entry;
	uint32_t offset = 0;
	bool done;

	while (outbox_parse(segment, &offset, &entry, &done))
		if (!done)
			return false;
	return true;
}

static int segment_remove_done(void *data, const char *name)
{
	struct store *store = data;
	struct flock all = segment_lock(F_WRLCK);
	struct buf bytes = BUF_INIT;
	uint64_t id;
	int fd;

	if (segment_id_of_name(name, &id) < 0)
		return 0;
	fd = segment_open(store, id);
	if (fd < 0)
		return 0;
	if (fcntl(fd, F_OFD_SETLK, &all) == 0 && segment_read(fd, &bytes, NULL) == 0 &&
	    segment_is_done(buf_str(&bytes)))
		unlinkat(store->outbox, name, 0);
	close(fd);
	buf_clear(&bytes);
	return 0;
}

int outbox_remove_done(struct store *store, struct err *err)
{
	return names_each(store->outbox, ".", segment_remove_done, store, err);
}
