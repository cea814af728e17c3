/*
 * askers - those who wait for a PULL, and what they are told
 *
 * Each gets a descriptor of the content as soon as there is some of it,
 * then how far it has come, at most every PROGRESS_MS, then the end.
 */
#include "pulling.h"

#include "container.h"
#include "mem.h"

#include <fcntl.h>
#include <unistd.h>

#define PROGRESS_MS 5			/* between two PROGRESS */

struct waiter {
	struct waiter *next;
	struct pulling *pulling;
	struct asker asker;
	bool started;			/* has the descriptor of this stage */
};

/* Opened anew, so that neither offset nor permission to write is shared. */
static int reader_of(const struct pulling *p)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d",
		 p->present >= 0 ? p->present : stage_fd(p->stage));
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void tell_started(struct pulling *p, struct waiter *w)
{
	int fd = w->started ? -1 : reader_of(p);

	if (fd < 0)
		return;
	serve_reply(w->asker.request, SYNC_STARTED, (struct str)STR_INIT, &fd, 1);
	close(fd);
	w->started = true;
}

void askers_progress(struct pulling *p)
{
	struct buf body = BUF_INIT;

	sync_progress_pack(&body, p->readable);
	for (struct waiter *w = p->waiters; w != NULL; w = w->next) {
		tell_started(p, w);
		if (w->started)
			serve_reply(w->asker.request, SYNC_PROGRESS, buf_str(&body), NULL, 0);
	}
	buf_clear(&body);
	p->told = p->readable;
	timer_start(p->daemon->loop, &p->progress, PROGRESS_MS);
}

void askers_progress_due(struct timer *timer)
{
	struct pulling *p = CONTAINER_OF(timer, struct pulling, progress);

	if (p->readable > p->told)
		askers_progress(p);
}

static void drop_waiter(struct pulling *p)
{
	struct waiter *w = p->waiters;

	p->waiters = w->next;
	free(w);
}

void askers_done(struct pulling *p)
{
	struct err err;

	err_set(&err, ERR_SYSTEM, "pull: out of descriptors");
	while (p->waiters != NULL) {
		struct serve_request *request = p->waiters->asker.request;

		tell_started(p, p->waiters);
		if (p->waiters->started) {
			serve_reply(request, SYNC_DONE, (struct str)STR_INIT, NULL, 0);
			serve_end(request);
		} else {
			serve_fail(request, &err);
		}
		drop_waiter(p);
	}
}

void askers_failed(struct pulling *p, const struct err *err)
{
	while (p->waiters != NULL) {
		serve_fail(p->waiters->asker.request, err);
		drop_waiter(p);
	}
}

void askers_left(struct pulling *p)
{
	while (p->waiters != NULL) {
		serve_end(p->waiters->asker.request);
		drop_waiter(p);
	}
}

void askers_put_off(struct serve_request *request)
{
	serve_reply(request, SYNC_LATER, (struct str)STR_INIT, NULL, 0);
	serve_end(request);
}

void askers_put_off_all(struct pulling *p)
{
	while (p->waiters != NULL) {
		askers_put_off(p->waiters->asker.request);
		drop_waiter(p);
	}
}

void askers_new_stage(struct pulling *p)
{
	for (struct waiter *w = p->waiters; w != NULL; w = w->next)
		w->started = false;
}

static void asker_gone(struct asker *asker)
{
	struct waiter *w = CONTAINER_OF(asker, struct waiter, asker), **at;
	struct pulling *p = w->pulling;

	for (at = &p->waiters; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	free(w);
	if (p->waiters == NULL)
		pulling_unwanted(p);
}

void askers_add(struct pulling *p, struct serve_request *request)
{
	struct waiter *w = mem_new(1, sizeof *w);

	w->pulling = p;
	w->asker = (struct asker){ .request = request, .gone = asker_gone };
	w->next = p->waiters;
	p->waiters = w;
	request->data = &w->asker;
}
