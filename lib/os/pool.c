/* pool - threads for what blocks, so that loops never do */
#include "pool.h"

#include "container.h"
#include "mem.h"

#include <pthread.h>

struct pool {
	pthread_mutex_t mutex;
	pthread_cond_t work;		/* there is a job, or the pool is closing */
	struct job *first, **last;
	size_t queued;
	unsigned count, idle, size;	/* threads running, of them waiting, at most */
	bool closing;
	pthread_t *threads;
};

static void done(struct task *task)
{
	struct job *job = CONTAINER_OF(task, struct job, task);

	job->done(job);
}

/* The next job, or NULL when the pool closes and nothing is left. Mutex held. */
static struct job *next_job(struct pool *pool)
{
	struct job *job;

	pool->idle++;
	while (pool->first == NULL && !pool->closing)
		pthread_cond_wait(&pool->work, &pool->mutex);
	pool->idle--;
	job = pool->first;
	if (job == NULL)
		return NULL;
	pool->first = job->next;
	if (pool->first == NULL)
		pool->last = &pool->first;
	pool->queued--;
	return job;
}

static void *run(void *data)
{
	struct pool *pool = data;
	struct job *job;

	pthread_mutex_lock(&pool->mutex);
	while ((job = next_job(pool)) != NULL) {
		pthread_mutex_unlock(&pool->mutex);
		job->work(job);
		job->task.run = done;
		loop_post(job->home, &job->task);
		pthread_mutex_lock(&pool->mutex);
	}
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

struct pool *pool_new(unsigned threads)
{
	struct pool *pool = mem_new(1, sizeof *pool);

	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->last = &pool->first;
	pool->size = threads > 0 ? threads : 1;
	pool->threads = mem_new(pool->size, sizeof *pool->threads);
	return pool;
}

void pool_submit(struct pool *pool, struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&pool->mutex);
	*pool->last = job;
	pool->last = &job->next;
	pool->queued++;
	if (pool->queued > pool->idle && pool->count < pool->size) {
		if (pthread_create(&pool->threads[pool->count], NULL, run, pool) == 0)
			pool->count++;
		else if (pool->count == 0)
			abort();	/* nobody would ever run it: as with memory, start afresh */
	}
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
	for (unsigned i = 0; i < pool->count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->mutex);
	free(pool->threads);
	free(pool);
}
