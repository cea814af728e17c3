/* loop - one thread's events: descriptors, timers, and tasks from other threads */
#include "loop.h"

#include "clock.h"
#include "container.h"
#include "mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define ROUND 128		/* events fetched at once */

struct loop {
	int epoll;
	uint64_t now;
	atomic_bool stopped;

	/* What epoll gave this round; a watch that stops is struck from the rest. */
	struct epoll_event fetched[ROUND];
	int fetched_count;

	/* Watches epoll refuses (regular files): always ready, as with poll(2). */
	struct watch **files;
	size_t file_count;

	/* A binary heap by due; timers[0] is the next. */
	struct timer **timers;
	size_t timer_count, timer_room;

	/* Posted tasks: a queue under its mutex, and an eventfd that wakes. */
	pthread_mutex_t mutex;
	struct task *first, **last;
	struct watch wake;

	pthread_mutex_t *guard;		/* NULL: none */
	bool waiting;			/* under the guard: it does not see by itself that timers change */

	struct watch signals;
	void (*on_signal)(int, void *);
	void *signal_data;
};

/* timers */

static void heap_put(struct loop *loop, size_t place, struct timer *timer)
{
	loop->timers[place] = timer;
	timer->place = place;
}

static void heap_up(struct loop *loop, size_t place, struct timer *timer)
{
	while (place > 0) {
		struct timer *parent = loop->timers[(place - 1) / 2];

		if (parent->due <= timer->due)
			break;
		heap_put(loop, place, parent);
		place = (place - 1) / 2;
	}
	heap_put(loop, place, timer);
}

static void heap_down(struct loop *loop, size_t place, struct timer *timer)
{
	for (;;) {
		size_t child = 2 * place + 1;

		if (child >= loop->timer_count)
			break;
		if (child + 1 < loop->timer_count &&
		    loop->timers[child + 1]->due < loop->timers[child]->due)
			child++;
		if (timer->due <= loop->timers[child]->due)
			break;
		heap_put(loop, place, loop->timers[child]);
		place = child;
	}
	heap_put(loop, place, timer);
}

void timer_stop(struct timer *timer)
{
	struct loop *loop = timer->loop;
	struct timer *last;

	if (loop == NULL)
		return;
	timer->loop = NULL;
	last = loop->timers[--loop->timer_count];
	if (last == timer)
		return;
	if (last->due < timer->due)
		heap_up(loop, timer->place, last);
	else
		heap_down(loop, timer->place, last);
}

void timer_start(struct loop *loop, struct timer *timer, uint64_t after_ms)
{
	timer_stop(timer);
	loop->timers = mem_room(loop->timers, loop->timer_count, &loop->timer_room, sizeof *loop->timers);
	timer->loop = loop;
	timer->due = clock_mono_ms() + after_ms;
	heap_up(loop, loop->timer_count++, timer);
	if (loop->waiting && loop->timers[0] == timer)
		eventfd_write(loop->wake.fd, 1);
}

/* Fire what is due; one that starts itself again with no delay waits for the next round. */
static void timers_run(struct loop *loop)
{
	size_t most = loop->timer_count;

	while (most-- > 0 && loop->timer_count > 0 && loop->timers[0]->due <= loop->now) {
		struct timer *timer = loop->timers[0];

		timer_stop(timer);
		timer->fire(timer);
	}
}

/* watches */

int watch_start(struct loop *loop, struct watch *watch, uint32_t events, struct err *err)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0) {
		if (errno != EPERM)
			return err_sys(err, "watch descriptor %d", watch->fd);
		loop->files = mem_resize(loop->files, loop->file_count + 1, sizeof *loop->files);
		loop->files[loop->file_count++] = watch;
	}
	watch->loop = loop;
	watch->events = events;
	return 0;
}

static struct watch **file_of(const struct watch *watch)
{
	struct loop *loop = watch->loop;

	for (size_t i = 0; i < loop->file_count; i++)
		if (loop->files[i] == watch)
			return &loop->files[i];
	return NULL;
}

void watch_change(struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (watch->loop == NULL || watch->events == events)
		return;
	watch->events = events;
	if (file_of(watch) == NULL)
		epoll_ctl(watch->loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
}

void watch_stop(struct watch *watch)
{
	struct loop *loop = watch->loop;
	struct watch **file;

	if (loop == NULL)
		return;
	file = file_of(watch);
	if (file != NULL)
		*file = loop->files[--loop->file_count];
	else
		epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = 0; i < loop->fetched_count; i++)
		if (loop->fetched[i].data.ptr == watch)
			loop->fetched[i].data.ptr = NULL;
	watch->loop = NULL;
}

static void files_run(struct loop *loop)
{
	for (size_t i = loop->file_count; i-- > 0;) {
		struct watch *watch;

		if (i >= loop->file_count)	/* callbacks stopped several */
			continue;
		watch = loop->files[i];
		if (watch->events & (EPOLLIN | EPOLLOUT))
			watch->ready(watch, watch->events & (EPOLLIN | EPOLLOUT));
	}
}

/* True when some always-ready file wants to be called. */
static bool files_ready(const struct loop *loop)
{
	for (size_t i = 0; i < loop->file_count; i++)
		if (loop->files[i]->events & (EPOLLIN | EPOLLOUT))
			return true;
	return false;
}

/* tasks */

void loop_post(struct loop *loop, struct task *task)
{
	bool first;

	task->next = NULL;
	pthread_mutex_lock(&loop->mutex);
	first = loop->first == NULL;
	*loop->last = task;
	loop->last = &task->next;
	pthread_mutex_unlock(&loop->mutex);
	if (first)
		eventfd_write(loop->wake.fd, 1);
}

static void tasks_run(struct watch *wake, uint32_t events)
{
	struct loop *loop = CONTAINER_OF(wake, struct loop, wake);
	struct task *task;
	eventfd_t ignored;

	(void)events;
	eventfd_read(wake->fd, &ignored);
	pthread_mutex_lock(&loop->mutex);
	task = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	pthread_mutex_unlock(&loop->mutex);
	while (task != NULL) {
		struct task *next = task->next;	/* the task may be gone or posted again after */

		task->run(task);
		task = next;
	}
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stopped, true);
	eventfd_write(loop->wake.fd, 1);
}

/* signals */

static void signals_read(struct watch *watch, uint32_t events)
{
	struct loop *loop = CONTAINER_OF(watch, struct loop, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
		loop->on_signal((int)info.ssi_signo, loop->signal_data);
}

int loop_signals(struct loop *loop, const int *signals, void (*on_signal)(int, void *), void *data,
		 struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	for (; *signals != 0; signals++)
		sigaddset(&set, *signals);
	errno = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (errno != 0)
		return err_sys(err, "block signals");
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_sys(err, "ignore SIGPIPE");
	loop->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->signals.fd < 0)
		return err_sys(err, "open signalfd");
	loop->signals.ready = signals_read;
	loop->on_signal = on_signal;
	loop->signal_data = data;
	return watch_start(loop, &loop->signals, EPOLLIN, err);
}

/* the loop */

struct loop *loop_new(struct err *err)
{
	struct loop *loop = mem_new(1, sizeof *loop);

	loop->signals.fd = -1;
	loop->last = &loop->first;
	loop->now = clock_mono_ms();
	pthread_mutex_init(&loop->mutex, NULL);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->wake.ready = tasks_run;
	if (loop->epoll < 0 || loop->wake.fd < 0) {
		err_sys(err, "open epoll");
		goto fail;
	}
	if (watch_start(loop, &loop->wake, EPOLLIN, err) < 0)
		goto fail;
	return loop;
fail:
	loop_free(loop);
	return NULL;
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	if (loop->epoll >= 0)
		close(loop->epoll);
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	if (loop->signals.fd >= 0)
		close(loop->signals.fd);
	pthread_mutex_destroy(&loop->mutex);
	free(loop->timers);
	free(loop->files);
	free(loop);
}

uint64_t loop_now(const struct loop *loop)
{
	return loop->now;
}

static int loop_wait_ms(const struct loop *loop)
{
	uint64_t now;

	if (files_ready(loop))
		return 0;
	if (loop->timer_count == 0)
		return -1;
	now = clock_mono_ms();
	if (loop->timers[0]->due <= now)
		return 0;
	return loop->timers[0]->due - now > 60000 ? 60000 : (int)(loop->timers[0]->due - now);
}

void loop_guard(struct loop *loop, pthread_mutex_t *guard)
{
	loop->guard = guard;
}

/* Events are fetched only under the guard: what another thread stops meanwhile is not among them. */
static int wait_guarded(struct loop *loop)
{
	struct pollfd any = { .fd = loop->epoll, .events = POLLIN };
	int ms = loop_wait_ms(loop);

	loop->waiting = true;
	pthread_mutex_unlock(loop->guard);
	poll(&any, 1, ms);
	pthread_mutex_lock(loop->guard);
	loop->waiting = false;
	return epoll_wait(loop->epoll, loop->fetched, ROUND, 0);
}

int loop_run(struct loop *loop, struct err *err)
{
	while (!atomic_exchange(&loop->stopped, false)) {
		int n = loop->guard != NULL ? wait_guarded(loop)
					    : epoll_wait(loop->epoll, loop->fetched, ROUND, loop_wait_ms(loop));

		if (n < 0 && errno != EINTR)
			return err_sys(err, "wait for events");
		loop->fetched_count = n < 0 ? 0 : n;
		loop->now = clock_mono_ms();
		for (int i = 0; i < loop->fetched_count; i++) {
			struct watch *watch = loop->fetched[i].data.ptr;

			if (watch != NULL)
				watch->ready(watch, loop->fetched[i].events);
		}
		loop->fetched_count = 0;
		files_run(loop);
		timers_run(loop);
	}
	return 0;
}
