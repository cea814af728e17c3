/*
 * talk - version.sock: requests of this node's programs
 *
 * A request whose lookup would have to wait does so in the pool; then it
 * begins.
 */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "mem.h"

#define WAITS_MAX 8			/* then go on and wait here */

/* NEWEST and STORE under way. */
struct pending {
	struct talk_waiting waiting;
	struct versiond *versiond;
	struct serve_request *request;
	struct check_wait check;
	struct store_wait store;
};

static struct pending *pending_new(struct versiond *v, struct serve_request *request,
				   void (*gone)(struct talk_waiting *))
{
	struct pending *pending = mem_new(1, sizeof *pending);

	pending->versiond = v;
	pending->request = request;
	pending->waiting.gone = gone;
	request->data = &pending->waiting;
	return pending;
}

static void pending_end(struct pending *pending)
{
	struct versiond *v = pending->versiond;

	pending->request->data = NULL;
	serve_end(pending->request);
	free(pending);
	talk_ended(v);
}

/* NEWEST */

static void reply_newest(struct versiond *v, struct serve_request *request,
			 const struct newest_answer *answer)
{
	struct buf body = BUF_INIT;

	v->stats->checks[answer->certainty]++;
	newest_answer_pack(&body, answer);
	serve_reply(request, VERSION_TALK_ANSWER, buf_str(&body), NULL, 0);
	buf_clear(&body);
}

static void newest_done(struct check_wait *wait, const struct check_result *result)
{
	struct pending *pending = CONTAINER_OF(wait, struct pending, check);

	reply_newest(pending->versiond, pending->request, &result->answer);
	pending_end(pending);
}

static void newest_gone(struct talk_waiting *waiting)
{
	struct pending *pending = CONTAINER_OF(waiting, struct pending, waiting);

	check_cancel(&pending->check);
	free(pending);
}

/* Without a key: what is here is all there is. */
static void newest_alone(struct versiond *v, struct serve_request *request,
			 const struct newest_ask *ask)
{
	struct newest_answer answer = { .certainty = CERTAINTY_CONFIRMED, .clock = group_clock(v) };
	struct home_found found = { .content = false };

	if (look_up(v, ask->path, ask->version, ask->purpose == NEWEST_BELOW, &found) < 0)
		answer.certainty = CERTAINTY_UNCONFIRMED;
	answer.record = found.record;
	answer.type = str_of(found.type);
	answer.entry = found.entry;
	answer.parent_known = true;
	reply_newest(v, request, &answer);
	serve_end(request);
	talk_ended(v);
}

static void begin_newest(struct versiond *v, struct serve_request *request, struct str body)
{
	struct newest_ask ask;
	struct pending *pending;

	if (newest_ask_unpack(body, &ask, NULL) < 0)
		return;			/* it was read before */
	if (v->socket == NULL) {
		newest_alone(v, request, &ask);
		return;
	}
	pending = pending_new(v, request, newest_gone);
	pending->check.done = newest_done;
	check_start(&v->asker, &pending->check, ask.path, (enum check_purpose)ask.purpose,
		    ask.version, clock_mono_ms());
	group_stir(v);
}

/* STORE */

static void store_done(struct store_wait *wait, const struct store_answer *answer)
{
	struct pending *pending = CONTAINER_OF(wait, struct pending, store);
	struct buf body = BUF_INIT;

	if (answer->last)
		pending->versiond->stats->stores[answer->confirmed]++;
	store_answer_pack(&body, answer);
	serve_reply(pending->request, VERSION_TALK_STORED, buf_str(&body), NULL, 0);
	buf_clear(&body);
	if (answer->last)
		pending_end(pending);
}

static void store_gone(struct talk_waiting *waiting)
{
	struct pending *pending = CONTAINER_OF(waiting, struct pending, waiting);

	storing_cancel(&pending->store);
	free(pending);
}

static void begin_store(struct versiond *v, struct serve_request *request, struct str body)
{
	struct store_ask ask;
	struct pending *pending;

	if (store_ask_unpack(body, &ask, NULL) < 0)
		return;
	pending = pending_new(v, request, store_gone);
	pending->store.done = store_done;
	storing_start(&v->asker, &pending->store, &ask, clock_mono_ms());
	group_stir(v);
}

/* waiting for a writer */

struct early {
	struct talk_waiting waiting;
	struct job job;
	struct versiond *versiond;
	struct serve_request *request;	/* NULL: its asker is gone */
	void (*begin)(struct versiond *, struct serve_request *, struct str body);
	struct buf path, body;
	unsigned waits;
};

static void early_gone(struct talk_waiting *waiting)
{
	CONTAINER_OF(waiting, struct early, waiting)->request = NULL;
}

static void early_work(struct job *job)
{
	struct early *early = CONTAINER_OF(job, struct early, job);

	look_await(early->versiond, buf_str(&early->path));
}

static void early_done(struct job *job)
{
	struct early *early = CONTAINER_OF(job, struct early, job);
	struct versiond *v = early->versiond;
	bool again = early->request != NULL && ++early->waits < WAITS_MAX &&
		     look_would_wait(v, buf_str(&early->path));

	if (again) {
		versiond_submit(v, v->pool, &early->job);
	} else {
		if (early->request != NULL) {
			early->request->data = NULL;
			early->begin(v, early->request, buf_str(&early->body));
		}
		buf_clear(&early->path);
		buf_clear(&early->body);
		free(early);
	}
	versiond_returned(v);
}

static void begin_when_still(struct versiond *v, struct serve_request *request, struct str path,
			     struct str body,
			     void (*begin)(struct versiond *, struct serve_request *, struct str))
{
	struct early *early;

	if (!look_would_wait(v, path)) {
		begin(v, request, body);
		return;
	}
	early = mem_new(1, sizeof *early);
	early->versiond = v;
	early->request = request;
	early->begin = begin;
	buf_addstr(&early->path, path);
	buf_addstr(&early->body, body);
	early->waiting.gone = early_gone;
	request->data = &early->waiting;
	early->job.key = path_hash(path);
	early->job.work = early_work;
	early->job.done = early_done;
	versiond_submit(v, v->pool, &early->job);
}

/* what is asked */

static int ask_newest(struct versiond *v, struct serve_request *request, struct str body,
		      struct err *err)
{
	struct newest_ask ask;

	if (newest_ask_unpack(body, &ask, err) < 0)
		return -1;
	begin_when_still(v, request, ask.path, body, begin_newest);
	return 0;
}

static int ask_store(struct versiond *v, struct serve_request *request, struct str body,
		     struct err *err)
{
	struct store_ask ask;

	if (store_ask_unpack(body, &ask, err) < 0)
		return -1;
	if (v->socket == NULL)
		return err_set(err, ERR_AWAY, "store %.*s at its homes: there is no group",
			       STR_ARG(ask.path));
	begin_when_still(v, request, ask.path, body, begin_store);
	return 0;
}

static void tell_stats(struct versiond *v, struct serve_request *request)
{
	struct buf text = BUF_INIT;

	stats_print(v, &text);
	serve_reply(request, VERSION_TALK_STATS, buf_str(&text), NULL, 0);
	serve_end(request);
	buf_clear(&text);
	talk_ended(v);
}

static int dispatch(struct versiond *v, struct serve_request *request, const struct frame *frame,
		    struct err *err)
{
	switch (frame->type) {
	case VERSION_TALK_NEWEST:
		return ask_newest(v, request, frame->body, err);
	case VERSION_TALK_STORE:
		return ask_store(v, request, frame->body, err);
	case VERSION_TALK_NODES:
		return nodes_request(v, request, frame->body, err);
	case VERSION_TALK_CARRY:
		return carry_request(v, request, frame->body, err);
	case VERSION_TALK_SYNC:
		return sync_request(v, request, frame->body, err);
	case VERSION_TALK_STATS:
		tell_stats(v, request);
		return 0;
	default:
		return err_set(err, ERR_UNSUPPORTED, "ask covey-versiond: unknown request");
	}
}

static void asked(struct serve *serve, struct serve_request *request, struct frame *frame)
{
	struct versiond *v = serve_data(serve);
	struct err err = ERR_INIT;

	service_touch(v->service);
	if (v->stopped) {
		serve_end(request);
		return;
	}
	if (dispatch(v, request, frame, &err) == 0)
		return;
	serve_fail(request, &err);
	talk_ended(v);
}

static void gone(struct serve *serve, struct serve_request *request)
{
	struct versiond *v = serve_data(serve);
	struct talk_waiting *waiting = request->data;

	if (waiting != NULL)
		waiting->gone(waiting);
	talk_ended(v);
}

int talk_start(struct versiond *v, struct err *err)
{
	static const struct serve_role role = { .request = asked, .gone = gone };

	v->serve = serve_new(v->service->loop, service_fd(v->service, "version"), &role, v, err);
	return v->serve != NULL ? 0 : -1;
}

void talk_stop(struct versiond *v)
{
	serve_free(v->serve);
	v->serve = NULL;
}

void talk_ended(struct versiond *v)
{
	if (!v->stopping || v->jobs > 0 || v->serve == NULL ||
	    (serve_requests(v->serve) > 0 && !v->late))
		return;
	v->stopped = true;
	service_finished(v->service);
}
