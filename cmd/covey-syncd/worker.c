/* worker - the jobs of covey-syncd, each on a thread of its own */
#include "syncd.h"

#include "clock.h"
#include "container.h"

#include <errno.h>

/* On its thread, once there is one: the job, and what is left of it. */
static void worker_run(struct job *job)
{
	struct worker *w = CONTAINER_OF(job, struct worker, job);
	struct syncd *d = w->daemon;

	syncd_lock(d);
	w->run(w);
	list_remove(&w->link);
	d->asked -= !w->own;
	if (w->release != NULL)
		w->release(w);
	service_touch(d->service);
	syncd_rest(d);
	syncd_unlock(d);
}

void worker_start(struct syncd *d, struct worker *w, struct pool *pool)
{
	w->daemon = d;
	w->wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	w->job = (struct job){ .work = worker_run };
	list_append(&d->workers, &w->link);
	d->asked += !w->own;
	pool_submit(pool, &w->job);
}

void worker_wake(struct worker *w)
{
	w->woken = true;
	pthread_cond_signal(&w->wake);
	if (w->fetches != NULL)
		fetch_wake(w->fetches);
}

void worker_cut(struct worker *w)
{
	atomic_store(&w->cut, true);
	worker_wake(w);
}

bool worker_is_cut(struct worker *w)
{
	return atomic_load(&w->cut);
}

void workers_cut(struct syncd *d, bool own)
{
	LIST_EACH(struct worker, w, &d->workers, link)
		if (w->own == own)
			worker_cut(w);
}

bool worker_wait(struct worker *w, uint64_t due)
{
	struct timespec at = { .tv_sec = (time_t)(due / 1000), .tv_nsec = (long)(due % 1000 * 1000000) };
	int rc = 0;

	while (!w->woken && !worker_is_cut(w) && rc != ETIMEDOUT)
		rc = due == NEVER ? pthread_cond_wait(&w->wake, &w->daemon->lock)
				  : pthread_cond_clockwait(&w->wake, &w->daemon->lock, CLOCK_MONOTONIC, &at);
	w->woken = false;
	return !worker_is_cut(w);
}

bool worker_wait_until(struct worker *w, const uint64_t *due)
{
	while (worker_wait(w, *due))
		if (clock_mono_ms() >= *due)
			return true;
	return false;
}

void worker_set_due(struct worker *w, uint64_t *due, uint64_t ms)
{
	*due = clock_mono_ms() + ms;
	worker_wake(w);
}

struct fetch *worker_await(struct worker *w, struct fetch_set *set, uint64_t due)
{
	struct fetch *fetch = NULL;

	if (!w->woken && !worker_is_cut(w)) {
		w->fetches = set;
		syncd_unlock(w->daemon);
		fetch = fetch_wait(set, due);
		syncd_lock(w->daemon);
		w->fetches = NULL;
	}
	w->woken = false;
	return fetch;
}

/* covey-versiond */

struct versiond_question {
	struct call call;
	struct worker *worker;
	bool (*is_last)(struct str body);
	bool over;
	uint8_t type;			/* of the answer; 0: there was none */
	struct buf *body;		/* of the answer */
};

static void versiond_answered(struct call *call, struct frame *frame)
{
	struct versiond_question *q = CONTAINER_OF(call, struct versiond_question, call);

	q->over = frame == NULL || q->is_last == NULL || frame->type == FRAME_FAILED ||
		  q->is_last(frame->body);
	if (q->over && frame != NULL) {
		q->type = frame->type;
		buf_addstr(q->body, frame->body);
		call_finish(call);
	}
	if (q->over)
		worker_wake(q->worker);
}

int worker_ask_versiond(struct worker *w, uint8_t type, struct str body, uint64_t patience_ms,
			bool (*is_last)(struct str body), uint8_t wanted, struct buf *ret,
			struct err *err)
{
	struct versiond_question q = { .call = CALL_INIT, .worker = w, .is_last = is_last, .body = ret };

	buf_reset(ret);
	q.call.answer = versiond_answered;
	call_start(w->daemon->version, &q.call, type, body, patience_ms);
	while (!q.over && worker_wait(w, NEVER))
		;
	call_finish(&q.call);
	if (q.type == wanted)
		return 0;
	err_set(err, ERR_AWAY, "ask covey-versiond: it is away");
	if (q.type == FRAME_FAILED)
		frame_failed_unpack(buf_str(ret), err);
	return -1;
}

/* whoever asked */

static void asker_gone(struct serve_request *request)
{
	struct asked *a = request->data;

	a->asker.request = NULL;
	worker_cut(&a->worker);
}

static void asked_release(struct worker *w)
{
	struct asked *a = CONTAINER_OF(w, struct asked, worker);

	buf_clear(&a->text);
	free(a);
}

void asked_start(struct syncd *d, struct asked *a, void (*run)(struct worker *), struct serve_request *request,
		 struct pool *pool)
{
	a->worker.run = run;
	if (a->worker.release == NULL)
		a->worker.release = asked_release;
	a->asker.request = request;
	request->data = a;
	request->gone = asker_gone;
	worker_start(d, &a->worker, pool);
}

void asker_answer(struct asker *a, uint8_t type, struct str body)
{
	if (a->request == NULL)
		return;
	serve_reply(a->request, type, body, NULL, 0);
	asker_end(a);
}

void asker_fail(struct asker *a, const struct err *err)
{
	if (a->request != NULL)
		serve_fail(a->request, err);
	a->request = NULL;
}

void asker_end(struct asker *a)
{
	if (a->request != NULL)
		serve_end(a->request);
	a->request = NULL;
}

void request_done(struct serve_request *request)
{
	asker_answer(&(struct asker){ request }, SYNC_DONE, (struct str)STR_INIT);
}
