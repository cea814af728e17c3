/*
 * outbox - writing what is not yet known to every home and keeper
 *
 * One thread syncs for all who wait, while they sync their bodies, and wakes
 * only those whose entries are on disk now: waking all of them at each sync
 * cost more than the sync.  The same thread marks entries done: that is a
 * write, which may wait for the file system's journal as long as a sync does.
 * A segment that is full is left when all of it is synced.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

/* Who waits for an entry: on his own stack. */
struct waiter {
	struct waiter *next;
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
	struct waiter *waiters;		/* for entries of it */
	/* entries of any segment, to be marked done */
	struct outbox_mark *finished;	/* owned */
	size_t finished_count, finished_room;
};

static bool is_over(const struct outbox *outbox, uint32_t offset)
{
	return outbox->failed || outbox->synced > offset;
}

/* Under the mutex: those who need not wait any longer leave the list. */
static struct waiter *take_ready(struct outbox *outbox)
{
	struct waiter **at = &outbox->waiters, *ready = NULL;

	while (*at != NULL) {
		struct waiter *waiter = *at;

		if (!is_over(outbox, waiter->offset)) {
			at = &waiter->next;
			continue;
		}
		*at = waiter->next;
		waiter->failed = outbox->failed;
		waiter->next = ready;
		ready = waiter;
	}
	return ready;
}

/* Not under the mutex, so that nobody is woken to wait for it. */
static void wake(struct waiter *waiter)
{
	while (waiter != NULL) {
		struct waiter *next = waiter->next;	/* it goes as soon as it is woken */

		sem_post(&waiter->over);
		waiter = next;
	}
}

/* Under the mutex: sync what was written, once.  It is open meanwhile. */
static void sync_written(struct outbox *outbox)
{
	uint32_t target = outbox->written;
	int fd = outbox->fd, status;
	struct waiter *ready;

	pthread_mutex_unlock(&outbox->mutex);
	status = fdatasync(fd);
	pthread_mutex_lock(&outbox->mutex);
	if (status < 0) {
		outbox->failed = true;
		disk_failed(outbox->store);
	} else {
		outbox->synced = target;
	}
	ready = take_ready(outbox);
	pthread_cond_broadcast(&outbox->progress);
	pthread_mutex_unlock(&outbox->mutex);
	wake(ready);
	pthread_mutex_lock(&outbox->mutex);
}

/* Under the mutex, which is open meanwhile. */
static void mark_finished(struct outbox *outbox)
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
static void *sync_for_all(void *argument)
{
	struct outbox *outbox = argument;

	pthread_mutex_lock(&outbox->mutex);
	for (;;) {
		bool sync = !outbox->ending && !outbox->failed && outbox->synced < outbox->written;

		if (sync)
			sync_written(outbox);
		if (outbox->finished_count > 0)
			mark_finished(outbox);
		else if (outbox->ending)
			break;
		else if (!sync)
			pthread_cond_wait(&outbox->work, &outbox->mutex);
	}
	pthread_mutex_unlock(&outbox->mutex);
	return NULL;
}

static void release(struct outbox *outbox)
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
	errno = pthread_create(&outbox->thread, NULL, sync_for_all, outbox);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errno != 0) {
		release(outbox);
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
	release(outbox);
}

/* A file without a name, locked, with a header and zeros, on disk. */
static int fill_segment(struct store *store, int fd, uint64_t id, struct err *err)
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

static int name_segment(struct store *store, int fd, uint64_t *ret_id, struct err *err)
{
	char name[SEGMENT_NAME];
	uint64_t id = 0;

	while (id == 0)
		if (getrandom(&id, sizeof id, 0) != sizeof id)
			id = 0;
	if (fill_segment(store, fd, id, err) < 0)
		return -1;
	if (fs_link_fd(fd, store->outbox, segment_name(name, id)) < 0)
		return err_sys(err, "name a segment of the outbox");
	*ret_id = id;
	return disk_sync(store, store->outbox, "outbox", err);
}

/* Under the mutex, everything written is synced: a new segment takes over. */
static int renew(struct outbox *outbox, struct err *err)
{
	int fd = fs_tmpfile(outbox->store->outbox);
	uint64_t id = 0;

	if (fd < 0)
		return err_sys(err, "make a segment of the outbox");
	if (name_segment(outbox->store, fd, &id, err) < 0) {
		close(fd);
		return -1;
	}
	if (outbox->fd >= 0)
		close(outbox->fd);
	outbox->fd = fd;
	outbox->id = id;
	outbox->written = outbox->synced = SEGMENT_HEAD;
	return 0;
}

/* Under the mutex: there is a segment with room for n bytes. */
static int prepare(struct outbox *outbox, size_t n, struct err *err)
{
	while (!outbox->failed && outbox->fd >= 0 && outbox->written + n > SEGMENT_BYTES) {
		if (outbox->synced == outbox->written)
			return renew(outbox, err);
		pthread_cond_wait(&outbox->progress, &outbox->mutex);
	}
	if (outbox->failed)
		return err_set(err, ERR_AWAY, "write to the outbox: a sync failed, and this program is about to leave");
	return outbox->fd < 0 ? renew(outbox, err) : 0;
}

/* Under the mutex. */
static int append(struct outbox *outbox, struct str path, struct version v,
		  struct outbox_mark *ret, struct err *err)
{
	struct buf bytes = BUF_INIT;
	int status = 0;

	if (prepare(outbox, segment_entry_bytes(path, v), err) < 0)
		return -1;
	segment_format(&bytes, outbox->id, outbox->written, path, v);
	if (fs_write(outbox->fd, bytes.data, bytes.len, outbox->written) < 0) {
		status = err_sys(err, "write to the outbox");
	} else {
		*ret = (struct outbox_mark){ outbox->id, outbox->written };
		outbox->written += (uint32_t)bytes.len;
		pthread_cond_signal(&outbox->work);
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
	status = append(outbox, path, v, ret, err);
	pthread_mutex_unlock(&outbox->mutex);
	return status;
}

void outbox_finish(struct outbox *outbox, struct outbox_mark mark)
{
	if (mark.segment == 0)
		return;
	pthread_mutex_lock(&outbox->mutex);
	if (outbox->finished_count == outbox->finished_room) {
		outbox->finished_room = outbox->finished_room ? 2 * outbox->finished_room : 16;
		outbox->finished = mem_resize(outbox->finished, outbox->finished_room,
					      sizeof *outbox->finished);
	}
	outbox->finished[outbox->finished_count++] = mark;
	pthread_cond_signal(&outbox->work);
	pthread_mutex_unlock(&outbox->mutex);
}

/* A segment is left only when all of it is synced. */
static bool must_wait(const struct outbox *outbox, struct outbox_mark mark)
{
	return outbox->id == mark.segment && !is_over(outbox, mark.offset);
}

int outbox_wait(struct outbox *outbox, struct outbox_mark mark, struct err *err)
{
	struct waiter waiter = { .offset = mark.offset };
	bool wait;

	pthread_mutex_lock(&outbox->mutex);
	wait = must_wait(outbox, mark);
	waiter.failed = outbox->failed;
	if (wait) {
		sem_init(&waiter.over, 0, 0);
		waiter.next = outbox->waiters;
		outbox->waiters = &waiter;
	}
	pthread_mutex_unlock(&outbox->mutex);
	if (wait) {
		while (sem_wait(&waiter.over) < 0)
			continue;	/* a signal */
		sem_destroy(&waiter.over);
	}
	return waiter.failed ? err_set(err, ERR_AWAY, "sync the outbox: it failed, and this program is about to leave") : 0;
}
