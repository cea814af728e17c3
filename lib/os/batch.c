/* batch - jobs that are cheaper together, on the threads of a pool */
#include "batch.h"

#include "container.h"
#include "mem.h"

#include <pthread.h>

struct runner {
	struct job job;			/* of the pool, as long as it runs */
	struct batch *batch;
	bool runs;
	struct job **jobs;		/* owned: what it works on */
};

struct batch {
	struct pool *pool;
	pthread_mutex_t mutex;
	struct list jobs;
	size_t most;
	void (*work)(struct job **, size_t count);
	struct runner *runners;		/* owned */
	unsigned count;
};

/* Under the mutex. */
static size_t runner_take(struct runner *runner)
{
	struct batch *batch = runner->batch;
	struct job *job;
	size_t n = 0;

	while (n < batch->most && (job = LIST_FIRST(struct job, &batch->jobs, link)) != NULL) {
		list_remove(&job->link);
		runner->jobs[n++] = job;
	}
	return n;
}

static void runner_work(struct job *job)
{
	struct runner *runner = CONTAINER_OF(job, struct runner, job);
	struct batch *batch = runner->batch;
	size_t n;

	pthread_mutex_lock(&batch->mutex);
	while ((n = runner_take(runner)) > 0) {
		pthread_mutex_unlock(&batch->mutex);
		batch->work(runner->jobs, n);
		for (size_t i = 0; i < n; i++)
			if (runner->jobs[i] != NULL)
				job_finish(runner->jobs[i]);
		pthread_mutex_lock(&batch->mutex);
	}
	runner->runs = false;
	pthread_mutex_unlock(&batch->mutex);
}

struct batch *batch_new(struct pool *pool, unsigned threads, size_t most,
			void (*work)(struct job **, size_t count))
{
	struct batch *batch = mem_new(1, sizeof *batch);

	batch->pool = pool;
	batch->most = most;
	batch->work = work;
	batch->count = threads;
	batch->runners = mem_new(threads, sizeof *batch->runners);
	pthread_mutex_init(&batch->mutex, NULL);
	for (unsigned i = 0; i < threads; i++) {
		batch->runners[i].batch = batch;
		batch->runners[i].job.work = runner_work;
		batch->runners[i].jobs = mem_new(most, sizeof(struct job *));
	}
	return batch;
}

void batch_submit(struct batch *batch, struct list *jobs)
{
	struct runner *idle = NULL;
	struct job *job;

	pthread_mutex_lock(&batch->mutex);
	while ((job = LIST_FIRST(struct job, jobs, link)) != NULL) {
		list_remove(&job->link);
		list_append(&batch->jobs, &job->link);
	}
	for (unsigned i = 0; i < batch->count && idle == NULL; i++)
		if (!batch->runners[i].runs)
			idle = &batch->runners[i];
	if (idle != NULL)
		idle->runs = true;
	pthread_mutex_unlock(&batch->mutex);
	if (idle != NULL)
		pool_submit(batch->pool, &idle->job);
}

void batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	for (unsigned i = 0; i < batch->count; i++)
		free(batch->runners[i].jobs);
	free(batch->runners);
	pthread_mutex_destroy(&batch->mutex);
	free(batch);
}
