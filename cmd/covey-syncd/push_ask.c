/* push_ask - PUSH, PUSH_BEGIN, PUSH_MORE, PUSH_NAME, PUSH_DROP: what is asked about pushes */
#include "pushing.h"

#include "container.h"
#include "mem.h"

#include <sodium.h>
#include <sys/stat.h>

struct push_asker {
	struct asker asker;
	struct pushing *pushing;
};

static void asker_gone(struct asker *asker)
{
	struct push_asker *a = CONTAINER_OF(asker, struct push_asker, asker);

	pushing_leave(a->pushing);
	free(a);
}

static void settled(struct pushing *p)
{
	struct push_asker *a = p->data;
	struct sync_have have = { .count = 0 };
	struct buf body = BUF_INIT;
	struct err err;

	have.count = pushing_have(p, have.nodes);
	if (have.count > 0) {
		sync_have_pack(&body, &have);
		serve_reply(a->asker.request, SYNC_HAVE, buf_str(&body), NULL, 0);
		serve_end(a->asker.request);
	} else if (p->daemon->leaving) {
		serve_end(a->asker.request);
	} else {
		err_set(&err, ERR_AWAY, "push: no keeper took it");
		serve_fail(a->asker.request, &err);
	}
	buf_clear(&body);
	free(a);
}

static void wait_for(struct pushing *p, struct serve_request *request)
{
	struct push_asker *a = mem_new(1, sizeof *a);

	a->asker = (struct asker){ .request = request, .gone = asker_gone };
	a->pushing = p;
	p->settled = settled;
	p->data = a;
	request->data = &a->asker;
}

/* The descriptor that came along, of a file with at least so many bytes. */
static int take_fd(struct frame *frame, uint64_t bytes, struct err *err)
{
	struct stat st;
	int fd;

	if (frame->fd_count != 1 || fstat(frame->fds[0], &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < bytes)
		return err_set(err, ERR_INVALID, "push: no descriptor of the content");
	fd = frame->fds[0];
	frame->fds[0] = -1;
	return fd;
}

int push_ask(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct sync_push wanted;
	struct pushing *p;
	int fd;

	if (sync_push_unpack(frame->body, &wanted, err) < 0)
		return -1;
	if (version_is_none(wanted.record.version))
		return err_set(err, ERR_INVALID, "push: no record");
	fd = take_fd(frame, wanted.record.size, err);
	if (fd < 0)
		return -1;
	p = pushing_begin(d, &wanted, fd, wanted.record.size);
	wait_for(p, request);
	pushing_start(p);
	return 0;
}

static void token_lost(struct timer *timer)
{
	pushing_free(CONTAINER_OF(timer, struct pushing, over));
}

/* Its writer lives, or will have to begin anew. */
static void keep_token(struct pushing *p)
{
	p->over.fire = token_lost;
	timer_start(p->daemon->loop, &p->over, 2 * p->daemon->service->conf->limits.idle_timeout_ms);
}

int push_begin(struct syncd *d, struct serve_request *request, struct frame *frame,
	       struct err *err)
{
	struct buf body = BUF_INIT;
	struct sync_push wanted;
	struct pushing *p;
	int fd;

	if (sync_push_unpack(frame->body, &wanted, err) < 0)
		return -1;
	if (!version_is_none(wanted.record.version))
		return err_set(err, ERR_INVALID, "begin push: it has a record");
	fd = take_fd(frame, 0, err);
	if (fd < 0)
		return -1;
	p = pushing_begin(d, &wanted, fd, 0);
	do
		randombytes_buf(&p->token, sizeof p->token);
	while (p->token == 0);
	keep_token(p);
	pushing_start(p);
	sync_token_pack(&body, p->token);
	serve_reply(request, SYNC_TOKEN, buf_str(&body), NULL, 0);
	serve_end(request);
	buf_clear(&body);
	return 0;
}

static struct pushing *find(const struct syncd *d, uint64_t token, struct err *err)
{
	for (struct pushing *p = d->pushes; p != NULL; p = p->next)
		if (p->token == token && !pushing_is_named(p))
			return p;
	err_set(err, ERR_ABSENT, "push: the token is not known");
	return NULL;
}

static void done(struct serve_request *request)
{
	serve_reply(request, SYNC_DONE, (struct str)STR_INIT, NULL, 0);
	serve_end(request);
}

int push_more(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct sync_more more;
	struct pushing *p;

	if (sync_more_unpack(frame->body, &more, err) < 0)
		return -1;
	p = find(d, more.token, err);
	if (p == NULL)
		return -1;
	keep_token(p);
	pushing_more(p, more.bytes);
	done(request);
	return 0;
}

int push_name(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct sync_name name;
	struct pushing *p;

	if (sync_name_unpack(frame->body, &name, err) < 0)
		return -1;
	p = find(d, name.token, err);
	if (p == NULL)
		return -1;
	timer_stop(&p->over);
	wait_for(p, request);
	pushing_name(p, &name.record, name.type);
	return 0;
}

int push_drop(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct pushing *p;
	uint64_t token;

	if (sync_token_unpack(frame->body, &token, err) < 0)
		return -1;
	p = find(d, token, NULL);
	if (p != NULL)
		pushing_free(p);
	done(request);
	return 0;
}

/* What is not named is nobody's yet; of the rest the outbox knows. */
void push_stop(struct syncd *d)
{
	struct pushing *p = d->pushes;

	while (p != NULL) {
		struct pushing *next = p->next;

		if (p->settled == settled)
			settled(p);
		pushing_free(p);
		p = next;
	}
}
