/* service_pages - /.covey/: is it alive, is it ready, what is going on */
#include "service_pages.h"

#include "answer.h"
#include "conn.h"
#include "group.h"
#include "reply.h"

void service_answer(struct conn *c, int status, const char *type, struct str body)
{
	answer_begin(c, status);
	reply_field(&c->output.text, "Content-Type", str_of(type));
	reply_field(&c->output.text, "Cache-Control", STR("no-store"));
	answer_end_text(c, body);
}

static void healthz(struct conn *c)
{
	service_answer(c, 200, "text/plain; charset=utf-8", STR("alive\n"));
}

/* silence: why it answers as no home yet, or NULL. */
static void say_ready(struct conn *c, const char *silence)
{
	struct buf text = BUF_INIT;

	if (silence != NULL)
		buf_addf(&text, "ready; silent yet: %s\n", silence);
	else
		buf_adds(&text, "ready\n");
	service_answer(c, 200, "text/plain; charset=utf-8", buf_str(&text));
	buf_clear(&text);
}

/* ?confirm, whatever its value, and what a monitor adds: nothing else that is asked there changes the answer. */
static bool wants_confirm(const struct conn *c)
{
	struct str rest = c->head.query, pair, name;

	while (str_cut(&rest, '&', &pair))
		if (str_cut(&pair, '=', &name) && str_eq(name, STR("confirm")))
			return true;
	return false;
}

static void say_whether_it_confirms(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	struct buf why = BUF_INIT;

	if (h->group == NULL || group_can_confirm(h->group, &why))
		service_answer(c, 200, "text/plain; charset=utf-8", STR("ready; reads and writes are confirmed\n"));
	else
		answer_error(c, 503, "this node cannot confirm now: %s", why.data);
	buf_clear(&why);
}

static void readyz(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	bool for_good = false;
	const char *silence = h->group != NULL ? group_silence(h->group, &for_good) : NULL;
	struct err err;

	if (atomic_load(&h->draining))
		answer_error(c, 503, "this node is stopping");
	else if (store_writable(h->store, &err) < 0)
		answer_error(c, 503, "%s", err.text);
	else if (for_good)
		answer_error(c, 503, "this node is silent: %s", silence);
	else if (wants_confirm(c))
		say_whether_it_confirms(c);
	else
		say_ready(c, silence);
}

void service_page(struct conn *c)
{
	static const struct {
		const char *path;
		void (*page)(struct conn *);
	} pages[] = {
		{ "/.covey/healthz", healthz },
		{ "/.covey/readyz", readyz },
		{ "/.covey/status", view_status },
		{ "/.covey/layout", view_layout },
		{ "/.covey/metrics", view_metrics },
	};

	if (c->head.method != METHOD_GET && c->head.method != METHOD_HEAD) {
		answer_error_with(c, 405, STR("Allow: GET, HEAD\r\n"),
				  STR("service pages are only read"));
		return;
	}
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		if (!str_eq(c->head.path, str_of(pages[i].path)))
			continue;
		pages[i].page(c);
		return;
	}
	answer_error(c, 404, "no such service page");
}
