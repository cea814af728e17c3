/* Unit test of loop and pool: order, stopping from within callbacks, files, signals, jobs. */
#include "loop.h"

#include "container.h"
#include "batch.h"
#include "pool.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct loop *loop;
static struct err err;

static void stop_fire(struct timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

/* Runs the loop, at most ms long. */
static void run(uint64_t ms)
{
	struct timer end = { .fire = stop_fire };

	timer_start(loop, &end, ms);
	CHECK(loop_run(loop, &err) == 0);
	timer_stop(&end);
}

/* timers */

static int fired[64], fired_count;

struct numbered {
	struct timer timer;
	int number;
};

static void note(struct timer *timer)
{
	fired[fired_count++] = CONTAINER_OF(timer, struct numbered, timer)->number;
}

static void again(struct timer *timer)
{
	note(timer);
	if (fired_count < 5)
		timer_start(loop, timer, 0);
	else
		loop_stop(loop);
}

static void test_timers(void)
{
	struct numbered t[20];
	static const int delay[20] = { 13, 4, 40, 22, 1, 31, 7, 55, 16, 28,
				       10, 34, 19, 46, 25, 37, 43, 49, 52, 2 };
	uint64_t last = 0;	/* ms: when the one before was due, which a busy machine puts off as it starts them */

	for (int i = 0; i < 20; i++) {
		t[i] = (struct numbered){ .timer.fire = note, .number = i };
		timer_start(loop, &t[i].timer, (uint64_t)delay[i] * 2);
	}
	timer_stop(&t[3].timer);	/* from the middle of the heap */
	timer_stop(&t[3].timer);
	timer_start(loop, &t[4].timer, 120);	/* from first to last */
	run(180);
	CHECK(fired_count == 19);
	for (int i = 0; i < fired_count; i++) {
		CHECK(fired[i] != 3);
		CHECK(t[fired[i]].timer.due >= last);
		last = t[fired[i]].timer.due;
	}
	fired_count = 0;
	t[0].timer.fire = again;
	timer_start(loop, &t[0].timer, 0);
	run(1000);
	CHECK(fired_count == 5);
}

/* watches */

struct counted {
	struct watch watch;
	struct counted *victim;
	int calls;
};

static void drain(struct watch *watch, uint32_t events)
{
	struct counted *c = CONTAINER_OF(watch, struct counted, watch);
	char byte;

	CHECK(events & EPOLLIN);
	c->calls++;
	if (c->victim != NULL)
		watch_stop(&c->victim->watch);
	CHECK(read(watch->fd, &byte, 1) == 1);
}

static void test_stop_fetched(void)
{
	int a[2], b[2];
	struct counted x = { .watch.ready = drain }, y = { .watch.ready = drain };

	CHECK(pipe(a) == 0 && pipe(b) == 0);
	x.watch.fd = a[0], y.watch.fd = b[0];
	x.victim = &y, y.victim = &x;
	CHECK(watch_start(loop, &x.watch, EPOLLIN, &err) == 0);
	CHECK(watch_start(loop, &y.watch, EPOLLIN, &err) == 0);
	CHECK(write(a[1], "1", 1) == 1 && write(b[1], "1", 1) == 1);
	run(20);
	CHECK(x.calls + y.calls == 1);	/* whoever came first struck the other */
	watch_stop(&x.watch);
	watch_stop(&y.watch);
	x.victim = NULL, x.calls = 0;
	CHECK(write(a[1], "1", 1) == 1);
	CHECK(watch_start(loop, &x.watch, 0, &err) == 0);
	run(10);
	CHECK(x.calls == 0);
	watch_change(&x.watch, EPOLLIN);
	run(10);
	CHECK(x.calls >= 1);
	watch_stop(&x.watch);
	close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

static void read_file(struct watch *watch, uint32_t events)
{
	struct counted *c = CONTAINER_OF(watch, struct counted, watch);
	char byte;

	CHECK(events == EPOLLIN);
	if (read(watch->fd, &byte, 1) == 1) {
		c->calls++;
		return;
	}
	watch_stop(watch);
	loop_stop(loop);
}

static void test_file(void)
{
	struct counted c = { .watch.ready = read_file };
	FILE *f = tmpfile();

	CHECK(f != NULL && fputs("abc", f) >= 0 && fflush(f) == 0);
	rewind(f);
	c.watch.fd = fileno(f);
	CHECK(watch_start(loop, &c.watch, EPOLLIN, &err) == 0);
	run(1000);
	CHECK(c.calls == 3);
	fclose(f);
	c.watch.fd = 1000000;
	CHECK(watch_start(loop, &c.watch, EPOLLIN, &err) == -1 && err.sys == EBADF);
}

/* tasks and signals */

struct posted {
	struct task task;
	int number;
};

static void note_task(struct task *task)
{
	fired[fired_count++] = CONTAINER_OF(task, struct posted, task)->number;
}

static void *post_all(void *tasks)
{
	struct posted *t = tasks;

	for (int i = 0; i < 50; i++)
		loop_post(loop, &t[i].task);
	loop_stop(loop);
	return NULL;
}

static void test_tasks(void)
{
	struct posted t[50];
	pthread_t thread;

	for (int i = 0; i < 50; i++)
		t[i] = (struct posted){ .task.run = note_task, .number = i };
	fired_count = 0;
	CHECK(pthread_create(&thread, NULL, post_all, t) == 0);
	CHECK(loop_run(loop, &err) == 0);
	pthread_join(thread, NULL);
	run(5);
	CHECK(fired_count == 50);
	for (int i = 0; i < fired_count; i++)
		CHECK(fired[i] == i);
}

static void on_signal(int signal, void *data)
{
	*(int *)data = signal;
	loop_stop(loop);
}

static void test_signals(void)
{
	static const int list[] = { SIGUSR1, 0 };
	int got = 0;

	CHECK(loop_signals(loop, list, on_signal, &got, &err) == 0);
	CHECK(raise(SIGUSR1) == 0);
	run(1000);
	CHECK(got == SIGUSR1);
}

/* jobs */

struct sum {
	struct job job;
	int in, out;
	pthread_t worker;
};

static int jobs_done;
static pthread_t loop_thread;

static void work(struct job *job)
{
	struct sum *s = CONTAINER_OF(job, struct sum, job);
	struct timespec nap = { .tv_nsec = 1000000 };

	s->worker = pthread_self();
	nanosleep(&nap, NULL);
	s->out = s->in * 2;
}

static void work_done(struct job *job)
{
	struct sum *s = CONTAINER_OF(job, struct sum, job);

	CHECK(pthread_equal(pthread_self(), loop_thread));
	CHECK(!pthread_equal(s->worker, loop_thread));
	CHECK(s->out == s->in * 2);
	if (++jobs_done == 100)
		loop_stop(loop);
}

static void test_pool(void)
{
	struct pool *pool = pool_new(4);
	struct sum *s = calloc(100, sizeof *s);

	loop_thread = pthread_self();
	for (int i = 0; i < 100; i++) {
		s[i].job = (struct job){ .work = work, .done = work_done, .home = loop };
		s[i].in = i;
		pool_submit(pool, &s[i].job);
	}
	run(10000);
	CHECK(jobs_done == 100);
	s[0].out = 0;
	s[0].in = 7;
	pool_submit(pool, &s[0].job);
	pool_free(pool);	/* waits */
	CHECK(s[0].out == 14);
	run(5);
	CHECK(jobs_done == 101);
	pool_free(pool_new(3));
	free(s);
}

static unsigned threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned count = 0;

	CHECK(dir != NULL);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void done_of_two(struct job *job)
{
	(void)job;
	if (++jobs_done == 2)
		loop_stop(loop);
}

/* Threads without a job end, but for one of a pool that was started; the next job has one again. */
static void test_pool_ends(void)
{
	struct pool *pools[2] = { pool_new(4), pool_new(4) };
	unsigned before = threads();
	struct sum s[2];

	CHECK(pool_start(pools[0], &err) == 0);
	for (int round = 0; round < 2; round++) {
		jobs_done = 0;
		for (int i = 0; i < 2; i++) {
			s[i] = (struct sum){ .in = i };
			s[i].job = (struct job){ .work = work, .done = done_of_two, .home = loop };
			pool_submit(pools[i], &s[i].job);
		}
		run(10000);
		CHECK(jobs_done == 2 && s[1].out == 2);
		for (int ms = 0; ms < 30000 && threads() != before + 1; ms += 10)
			usleep(10000);
		CHECK(threads() == before + 1);
	}
	pool_free(pools[0]);
	pool_free(pools[1]);
	CHECK(threads() == before);
}

/* Many that wait, for one that came after them. */

static struct {
	sem_t go;
	atomic_int running, most, next;
	int done;
} turns;

struct turn {
	struct job job;
	int number, at;
};

static void wait_work(struct job *job)
{
	struct turn *t = CONTAINER_OF(job, struct turn, job);
	int running = atomic_fetch_add(&turns.running, 1) + 1;

	if (running > atomic_load(&turns.most))
		atomic_store(&turns.most, running);
	while (sem_wait(&turns.go) < 0)
		;
	t->at = atomic_fetch_add(&turns.next, 1);
	atomic_fetch_sub(&turns.running, 1);
}

static void let_go_work(struct job *job)
{
	(void)job;
	for (int i = 0; i < 50; i++)
		sem_post(&turns.go);
}

static void turn_done(struct job *job)
{
	(void)job;
	if (++turns.done == 51)
		loop_stop(loop);
}

static void test_pool_keys(void)
{
	struct pool *pool = pool_new(4);
	struct job let_go = { .work = let_go_work, .done = turn_done, .home = loop };
	struct turn *t = calloc(50, sizeof *t);

	CHECK(sem_init(&turns.go, 0, 0) == 0);
	for (int i = 0; i < 50; i++) {
		t[i].job = (struct job){ .work = wait_work, .done = turn_done, .home = loop,
					 .key = 7 };
		pool_submit(pool, &t[i].job);
	}
	pool_submit(pool, &let_go);
	run(10000);
	CHECK(turns.done == 51 && atomic_load(&turns.most) == 1);
	for (int i = 0; i < 50; i++)
		CHECK(t[i].at == i);
	pool_free(pool);
	sem_destroy(&turns.go);
	free(t);
}

/* What comes while a batch is worked on is the next one. */

static struct {
	sem_t go;
	atomic_size_t batches, largest, jobs;
	int done;
} batches;

static void batch_work(struct job **jobs, size_t count)
{
	struct turn *first = CONTAINER_OF(jobs[0], struct turn, job);

	atomic_fetch_add(&batches.batches, 1);
	atomic_fetch_add(&batches.jobs, count);
	if (count > atomic_load(&batches.largest))
		atomic_store(&batches.largest, count);
	for (size_t i = 1; i < count; i++)	/* in the order they came */
		CHECK(CONTAINER_OF(jobs[i], struct turn, job)->number == first->number + (int)i);
	if (first->number == 0)
		while (sem_wait(&batches.go) < 0)
			;
}

static void batch_done(struct job *job)
{
	(void)job;
	if (++batches.done == 50)
		loop_stop(loop);
}

static void batch_one(struct batch *batch, struct turn *t, int number)
{
	struct list one = { .first = NULL };

	t->number = number;
	t->job = (struct job){ .done = batch_done, .home = loop };
	list_append(&one, &t->job.link);
	batch_submit(batch, &one);
	CHECK(one.count == 0);
}

static void test_batch(void)
{
	struct pool *pool = pool_new(4);
	struct batch *batch = batch_new(pool, 1, 20, batch_work);
	struct turn *t = calloc(50, sizeof *t);

	CHECK(sem_init(&batches.go, 0, 0) == 0);
	batch_one(batch, &t[0], 0);
	while (atomic_load(&batches.batches) == 0)
		usleep(1000);
	for (int i = 1; i < 50; i++)
		batch_one(batch, &t[i], i);
	CHECK(atomic_load(&batches.batches) == 1);
	sem_post(&batches.go);
	run(10000);
	CHECK(batches.done == 50 && atomic_load(&batches.jobs) == 50);
	CHECK(atomic_load(&batches.batches) == 4 && atomic_load(&batches.largest) == 20);
	pool_free(pool);
	batch_free(batch);
	sem_destroy(&batches.go);
	free(t);
}

/* A thread that holds the guard starts timers, wakes the loop by that, and stops a watch that is ready. */

static struct {
	pthread_mutex_t lock;
	struct timer timer;
	struct watch watch;
	int pipe[2];
	int turns, held;		/* callbacks; those of the thread while it had the lock */
} guarded = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void guarded_fire(struct timer *timer)
{
	(void)timer;
	if (++guarded.turns == 100)
		loop_stop(loop);
}

static void guarded_ready(struct watch *watch, uint32_t events)
{
	(void)watch, (void)events;
	CHECK(guarded.held == 0);
}

static void guarded_work(struct job *job)
{
	char byte = 0;

	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&guarded.lock);
		guarded.held = 1;
		watch_stop(&guarded.watch);
		CHECK(watch_start(loop, &guarded.watch, EPOLLIN, NULL) == 0);
		CHECK(i % 10 > 0 || write(guarded.pipe[1], "x", 1) == 1);
		watch_stop(&guarded.watch);
		CHECK(i % 10 > 0 || read(guarded.pipe[0], &byte, 1) == 1);
		timer_start(loop, &guarded.timer, 0);
		guarded.held = 0;
		pthread_mutex_unlock(&guarded.lock);
		while (pthread_mutex_lock(&guarded.lock) == 0 && guarded.turns <= i) {
			pthread_mutex_unlock(&guarded.lock);
			usleep(100);
		}
		pthread_mutex_unlock(&guarded.lock);
	}
	free(job);
}

static void test_guard(void)
{
	struct pool *pool = pool_new(1);
	struct job *job = calloc(1, sizeof *job);

	CHECK(pipe(guarded.pipe) == 0 && pool_start(pool, &err) == 0);
	guarded.watch = (struct watch){ .fd = guarded.pipe[0], .ready = guarded_ready };
	guarded.timer.fire = guarded_fire;
	pthread_mutex_lock(&guarded.lock);
	loop_guard(loop, &guarded.lock);
	job->work = guarded_work;	/* and no done(): it frees the job itself */
	pool_submit(pool, job);
	run(60000);
	CHECK(guarded.turns == 100);
	pthread_mutex_unlock(&guarded.lock);
	pool_free(pool);
	close(guarded.pipe[0]);
	close(guarded.pipe[1]);
}

int main(void)
{
	loop = loop_new(&err);
	CHECK(loop != NULL);
	test_timers();
	test_stop_fetched();
	test_file();
	test_tasks();
	test_signals();
	test_pool();
	test_pool_ends();
	test_pool_keys();
	test_batch();
	test_guard();
	loop_free(loop);
	return UNIT_RESULT();
}
