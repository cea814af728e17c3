/* crew - many requests under way at once: threads, each with a client of its own */
#include "crew.h"

#include "mem.h"
#include "progress.h"

#include <pthread.h>

#define CREW 16			/* requests at once */

struct worker {
	struct crew *crew;
	struct client *client;	/* owned */
	pthread_t thread;
};

struct crew {
	struct worker workers[CREW];
	pthread_mutex_t lock;	/* of all that follows */
	pthread_cond_t changed;
	struct task *waiting;	/* the one added last is first */
	size_t running;
	int status;
	bool over;		/* a node gave no answer */
	uint64_t known, done, bytes;	/* of files */
	const char *name;
	struct progress progress;
};

int status_worse(int a, int b)
{
	return a == 0 || (a == EX_TEMPFAIL && b != 0) ? b : a;
}

int crew_open(struct crew **ret, const char *url, const char *name, struct err *err)
{
	struct client *first;
	struct crew *crew;

	if (client_open(&first, url, err) < 0)
		return -1;
	crew = mem_new(1, sizeof *crew);
	crew->name = name;
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->changed, NULL);
	for (size_t i = 0; i < CREW; i++)
		crew->workers[i] = (struct worker){ .crew = crew,
						    .client = i == 0 ? first : client_copy(first) };
	*ret = crew;
	return 0;
}

void crew_close(struct crew *crew)
{
	if (crew == NULL)
		return;
	for (size_t i = 0; i < CREW; i++)
		client_close(crew->workers[i].client);
	pthread_cond_destroy(&crew->changed);
	pthread_mutex_destroy(&crew->lock);
	free(crew);
}

void crew_add(struct crew *crew, struct task *task)
{
	pthread_mutex_lock(&crew->lock);
	task->next = crew->waiting;
	crew->waiting = task;
	crew->known += task->file;
	pthread_cond_signal(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
}

static void give_up(struct crew *crew)
{
	if (!crew->over && crew->waiting != NULL)
		command_say("the node gives no answer: the rest is not tried");
	crew->over = true;
}

/* The lock is held before and after. */
static void run_one(struct worker *worker, struct task *task)
{
	struct crew *crew = worker->crew;
	bool tried = !crew->over;
	int status = 0;

	crew->waiting = task->next;
	crew->running++;
	pthread_mutex_unlock(&crew->lock);
	if (tried)
		status = task->run(task, worker->client);
	pthread_mutex_lock(&crew->lock);
	crew->running--;
	crew->status = status_worse(crew->status, status);
	if (tried && client_lost(worker->client))
		give_up(crew);
	crew->done += tried && task->file;
	crew->bytes += task->bytes;
	progress_files(&crew->progress, crew->done, crew->known, crew->bytes);
	task->free(task);
}

static void *work(void *data)
{
	struct worker *worker = data;
	struct crew *crew = worker->crew;

	pthread_mutex_lock(&crew->lock);
	while (crew->waiting != NULL || crew->running > 0)
		if (crew->waiting != NULL)
			run_one(worker, crew->waiting);
		else
			pthread_cond_wait(&crew->changed, &crew->lock);
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

/* Where there can be no more threads, fewer do it. */
int crew_run(struct crew *crew)
{
	size_t started = 1;

	progress_begin(&crew->progress, crew->name);
	while (started < CREW && pthread_create(&crew->workers[started].thread, NULL, work,
						&crew->workers[started]) == 0)
		started++;
	work(&crew->workers[0]);
	for (size_t i = 1; i < started; i++)
		pthread_join(crew->workers[i].thread, NULL);
	progress_end(&crew->progress);
	return crew->status;
}
