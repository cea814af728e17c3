/* post - POST /.covey/msg: one sealed message to another node, and its answer */
#include "syncd.h"

#include "container.h"
#include "peer_http.h"

static int on_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	(void)fetch;
	if (head->status == 200 || head->status == 204)
		return 0;
	return err_set(err, ERR_AWAY, "ask peer by HTTP: it answers %d", head->status);
}

static int on_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	struct posting *p = CONTAINER_OF(fetch, struct posting, fetch);

	if (n > WIRE_LONG_BYTES - p->answer.len)
		return err_set(err, ERR_TOO_LARGE, "ask peer by HTTP: its answer is too long");
	buf_add(&p->answer, bytes, n);
	return 0;
}

static void on_end(struct fetch *fetch, const struct err *err)
{
	struct posting *p = CONTAINER_OF(fetch, struct posting, fetch);

	p->done(p, err);
}

void posting_start(struct syncd *d, struct posting *p, const struct address *peer, const char *to,
		   struct str message, uint64_t patience_ms)
{
	struct buf target = BUF_INIT;
	struct err err;
	int rc;

	buf_addf(&target, PEER_MSG "%s", to);
	buf_reset(&p->answer);
	p->fetch = (struct fetch){
		.method = FETCH_POST, .peer = peer, .target = buf_str(&target), .content = message,
		.first_byte_ms = patience_ms, .stall_ms = patience_ms,
		.head = on_head, .body = on_body, .end = on_end,
	};
	rc = fetch_start(d->fetcher, &p->fetch, &err);
	buf_clear(&target);
	if (rc < 0)
		p->done(p, &err);
}

void posting_clear(struct posting *p)
{
	fetch_cancel(&p->fetch);
	buf_clear(&p->answer);
}
