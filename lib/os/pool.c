/* pool - threads for what blocks, so that loops never do */
#include "pool.h"

#include "clock.h"
#include "container.h"
#include "mem.h"

#include <errno.h>
#include <pthread.h>

#define LEAVE_MS 3000			/* without a job, then a thread ends */

struct thread {
	pthread_t id;
	bool made;			/* id is of a thread that nobody has joined */
	bool runs;
	struct pool *pool;
	uint64_t key;			/* of the job it runs */
	struct list behind;		/* jobs with that key that were next in turn */
};

struct pool {
	pthread_mutex_t mutex;
	pthread_cond_t work;		/* there is a job, or the pool is closing */
	struct list jobs;
	unsigned count, idle, size;	/* threads running, of them waiting, at most */
	unsigned least;			/* that stay though there is nothing to do */
	unsigned places;		/* of threads, that were ever used */
	bool closing;
	struct thread *threads;		/* owned: size */
};

/* The first, or NULL. */
static struct job *queue_take(struct list *queue)
{
	struct job *job = LIST_FIRST(struct job, queue, link);

	if (job != NULL)
		list_remove(&job->link);
	return job;
}

static void job_done(struct task *task)
{
	struct job *job = CONTAINER_OF(task, struct job, task);

	job->done(job);
}

/* A thread that runs a job with this key, or NULL. */
static struct thread *thread_with_key(struct pool *pool, uint64_t key)
{
	for (unsigned i = 0; i < pool->places && key != 0; i++)
		if (pool->threads[i].key == key)
			return &pool->threads[i];
	return NULL;
}

/* Until there is a job or the pool closes, or for long enough to leave.  Mutex held. */
static void thread_wait(struct pool *pool)
{
	uint64_t due = clock_mono_ms() + LEAVE_MS;
	struct timespec at = { .tv_sec = (time_t)(due / 1000), .tv_nsec = (long)(due % 1000 * 1000000) };
	int rc = 0;

	pool->idle++;
	while (pool->jobs.first == NULL && !pool->closing && (rc != ETIMEDOUT || pool->count <= pool->least))
		rc = pool->count <= pool->least
			     ? pthread_cond_wait(&pool->work, &pool->mutex)
			     : pthread_cond_clockwait(&pool->work, &pool->mutex, CLOCK_MONOTONIC, &at);
	pool->idle--;
}

/* The next job, or NULL when this thread is to end.  Mutex held. */
static struct job *thread_next_job(struct pool *pool, struct thread *self)
{
	/* They were in turn before any that still wait there. */
	struct job *job = queue_take(&self->behind);
	struct thread *other;

	if (job != NULL)
		return job;
	self->key = 0;
	for (;;) {
		thread_wait(pool);
		job = queue_take(&pool->jobs);
		if (job == NULL)
			return NULL;
		other = thread_with_key(pool, job->key);
		if (other == NULL)
			break;
		list_append(&other->behind, &job->link);
	}
	self->key = job->key;
	return job;
}

void job_finish(struct job *job)
{
	job->task.run = job_done;
	loop_post(job->home, &job->task);
}

static void job_work(struct job *job)
{
	bool told = job->done != NULL;	/* else it may be gone when it has run */

	job->work(job);
	if (told)
		job_finish(job);
}

static void *thread_run(void *data)
{
	struct thread *self = data;
	struct pool *pool = self->pool;
	struct job *job;

	pthread_mutex_lock(&pool->mutex);
	while ((job = thread_next_job(pool, self)) != NULL) {
		pthread_mutex_unlock(&pool->mutex);
		job_work(job);
		pthread_mutex_lock(&pool->mutex);
	}
	self->runs = false;
	pool->count--;
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

struct pool *pool_new(unsigned threads)
{
	struct pool *pool = mem_new(1, sizeof *pool);

	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->size = threads > 0 ? threads : 1;
	pool->threads = mem_new(pool->size, sizeof *pool->threads);
	for (unsigned i = 0; i < pool->size; i++)
		pool->threads[i].pool = pool;
	return pool;
}

static void thread_join(struct thread *thread)
{
	if (thread->made)
		pthread_join(thread->id, NULL);
	thread->made = false;
}

/* One more, mutex held; 0, or what pthread_create() says. */
static int pool_add_thread(struct pool *pool)
{
	struct thread *thread = pool->threads;
	int error;

	while (thread->runs)
		thread++;
	thread_join(thread);	/* the one before has let go of the mutex for good */
	error = pthread_create(&thread->id, NULL, thread_run, thread);
	if (error != 0)
		return error;
	thread->made = thread->runs = true;
	pool->count++;
	if (pool->places < pool->count)
		pool->places = pool->count;
	return 0;
}

int pool_start(struct pool *pool, struct err *err)
{
	pthread_mutex_lock(&pool->mutex);
	pool->least = 1;
	errno = pool->count == 0 ? pool_add_thread(pool) : 0;
	pthread_mutex_unlock(&pool->mutex);
	return errno == 0 ? 0 : err_sys(err, "start a thread");
}

void pool_submit(struct pool *pool, struct job *job)
{
	pthread_mutex_lock(&pool->mutex);
	if (pool->jobs.count + 1 > pool->idle && pool->count < pool->size)
		pool_add_thread(pool);
	if (pool->count == 0) {		/* nobody would ever run it */
		pthread_mutex_unlock(&pool->mutex);
		job_work(job);
		return;
	}
	list_append(&pool->jobs, &job->link);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->mutex);
}

void pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->mutex);
	pool->closing = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->mutex);
	for (unsigned i = 0; i < pool->places; i++)
		thread_join(&pool->threads[i]);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->mutex);
	free(pool->threads);
	free(pool);
}
