/* push - content on its way to its keepers, through covey-syncd */
#include "push.h"

#include "container.h"
#include "httpd.h"
#include "mem.h"

#include <fcntl.h>
#include <unistd.h>

#define EARLY_MS 10000		/* covey-syncd's answer while a body arrives */

static bool is_among(const uint64_t *ids, size_t count, uint64_t id)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

struct push *push_new(struct worker *w, struct str path, const struct layout *layout, int fd,
		      const uint64_t *without, size_t without_count, size_t wanted)
{
	uint64_t self = store_node(w->httpd->store);
	struct layout_order order;
	struct push *p;

	if (w->sync == NULL || wanted == 0)
		return NULL;
	p = mem_new(1, sizeof *p);
	p->worker = w;
	p->path = (struct buf)BUF_INIT;
	p->call = p->more = (struct call)CALL_INIT;
	p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	p->epoch = layout->epoch;
	buf_addstr(&p->path, path);
	layout_keepers(layout, path, &order);
	for (size_t i = 0; i < order.count && p->keepers.keeper_count < HOLDERS_MAX; i++)
		if (order.ids[i] != self && !is_among(without, without_count, order.ids[i]))
			p->keepers.keepers[p->keepers.keeper_count++] = order.ids[i];
	p->keepers.wanted = (uint8_t)wanted;
	if (p->fd >= 0 && p->keepers.keeper_count > 0)
		return p;
	push_free(p);
	return NULL;
}

void push_free(struct push *p)
{
	struct call drop = CALL_INIT;
	struct buf body = BUF_INIT;

	if (p == NULL)
		return;
	call_cancel(&p->call);
	call_finish(&p->more);
	if (p->token != 0 && !p->named) {
		sync_token_pack(&body, p->token);
		call_start(p->worker->sync, &drop, SYNC_PUSH_DROP, buf_str(&body), 0);
		call_finish(&drop);	/* sent, or not: then it goes with covey-syncd */
		buf_clear(&body);
	}
	if (p->fd >= 0)
		close(p->fd);
	buf_clear(&p->path);
	free(p);
}

/* while the body arrives */

static void tell_more(struct push *p);

static void more_told(struct call *call, struct frame *frame)
{
	struct push *p = CONTAINER_OF(call, struct push, more);

	call_finish(call);
	if (!p->named && (frame == NULL || frame->type != SYNC_DONE))
		p->token = 0;
	tell_more(p);
}

/* One at a time: what comes meanwhile is told together. */
static void tell_more(struct push *p)
{
	struct buf body = BUF_INIT;

	if (p->token == 0 || p->more.caller != NULL || p->told == p->size || p->named)
		return;
	p->told = p->size;
	p->more.answer = more_told;
	sync_more_pack(&body, &(struct sync_more){ p->token, p->size });
	call_start(p->worker->sync, &p->more, SYNC_PUSH_MORE, buf_str(&body), EARLY_MS);
	buf_clear(&body);
}

void push_more(struct push *p, uint64_t size)
{
	p->size = size;
	tell_more(p);
}

static void send_name(struct push *p);

static void token_told(struct call *call, struct frame *frame)
{
	struct push *p = CONTAINER_OF(call, struct push, call);

	if (frame != NULL && frame->type == SYNC_TOKEN)
		sync_token_unpack(frame->body, &p->token, NULL);
	call_finish(call);
	if (p->named)
		send_name(p);
	else
		tell_more(p);
}

static void start(struct push *p, enum sync_talk type, uint64_t limit_ms,
		  void (*answer)(struct call *, struct frame *))
{
	struct buf body = BUF_INIT;

	p->keepers.path = buf_str(&p->path);
	p->keepers.record = p->record;
	p->keepers.type = str_of(p->type);
	p->call.answer = answer;
	sync_push_pack(&body, &p->keepers);
	call_start_with(p->worker->sync, &p->call, (uint8_t)type, buf_str(&body), p->fd, limit_ms);
	buf_clear(&body);
}

void push_early(struct push *p)
{
	start(p, SYNC_PUSH_BEGIN, EARLY_MS, token_told);
}

/* its version is known */

static void note_have(struct push *p, struct str body)
{
	struct sync_have have;

	if (sync_have_unpack(body, &have, NULL) < 0)
		return;
	memcpy(p->have, have.nodes, sizeof p->have);
	p->have_count = have.count;
	for (size_t i = 0; i < have.count && i < p->keepers.keeper_count; i++)
		p->passed_over |= !is_among(have.nodes, have.count, p->keepers.keepers[i]);
}

static void pushed(struct call *call, struct frame *frame)
{
	struct push *p = CONTAINER_OF(call, struct push, call);

	call_finish(call);
	if (frame != NULL && frame->type == SYNC_HAVE)
		note_have(p, frame->body);
	else if (p->token != 0) {
		p->token = 0;		/* lost on the way: once more, whole */
		start(p, SYNC_PUSH, p->limit_ms, pushed);
		return;
	}
	p->done(p);
}

static void send_name(struct push *p)
{
	struct sync_name name = { .token = p->token, .record = p->record,
				  .type = str_of(p->type) };
	struct buf body = BUF_INIT;

	if (p->token == 0) {
		start(p, SYNC_PUSH, p->limit_ms, pushed);
		return;
	}
	p->call.answer = pushed;
	sync_name_pack(&body, &name);
	call_start(p->worker->sync, &p->call, SYNC_PUSH_NAME, buf_str(&body), p->limit_ms);
	buf_clear(&body);
}

void push_name(struct push *p, const struct record *record, struct str type, uint64_t limit_ms,
	       void (*done)(struct push *), void *owner)
{
	p->record = *record;
	memcpy(p->type, type.s ? type.s : "", type.n);
	p->type[type.n] = '\0';
	p->limit_ms = limit_ms;
	p->done = done;
	p->owner = owner;
	p->named = true;
	if (p->call.caller == NULL)	/* else when its token has come */
		send_name(p);
}
