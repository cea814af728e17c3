/* service_pages - /.covey/: is it alive, is it ready, what is going on */
#include "answer.h"
#include "conn.h"
#include "escape.h"
#include "handlers.h"
#include "reply.h"

#include <inttypes.h>
#include <sys/statvfs.h>

static void page(struct conn *c, int status, const char *type, struct str body)
{
	answer_begin(c, status);
	reply_field(&c->output.text, "Content-Type", str_of(type));
	reply_field(&c->output.text, "Cache-Control", STR("no-store"));
	answer_end_text(c, body);
}

static void readyz(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	struct err err;

	if (atomic_load(&h->draining))
		answer_error(c, 503, "this node is stopping");
	else if (store_writable(h->store, &err) < 0)
		answer_error(c, 503, "%s", err.text);
	else
		page(c, 200, "text/plain; charset=utf-8", STR("ready\n"));
}

static void add_store(struct buf *json, const struct conf *conf)
{
	struct statvfs fs;

	buf_adds(json, "\"store\":{\"path\":");
	escape_json(json, str_of(conf->node.store));
	if (statvfs(conf->node.store, &fs) == 0)
		buf_addf(json, ",\"free\":%" PRIu64, (uint64_t)fs.f_bavail * fs.f_frsize);
	buf_addf(json, ",\"min_free\":%" PRIu64 "}", conf->limits.min_free);
}

static void status_page(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	struct buf json = BUF_INIT;

	buf_addf(&json, "{\"node\":\"%016" PRIx64 "\",\"name\":", store_node(h->store));
	escape_json(&json, str_of(h->conf->node.name));
	buf_addf(&json, ",\"version\":\"%s\",", COVEY_VERSION);
	add_store(&json, h->conf);
	buf_adds(&json, ",\"group\":{\"peers\":[]}}\n");
	page(c, 200, "application/json", buf_str(&json));
	buf_clear(&json);
}

void service_page(struct conn *c)
{
	static const struct {
		const char *path;
		void (*page)(struct conn *);
		bool body;
	} pages[] = {
		{ "/.covey/healthz", NULL, false },
		{ "/.covey/readyz", readyz, false },
		{ "/.covey/status", status_page, false },
	};

	if (c->head.method != METHOD_GET && c->head.method != METHOD_HEAD) {
		answer_error_with(c, 405, STR("Allow: GET, HEAD\r\n"),
				  STR("service pages are only read"));
		return;
	}
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		if (!str_eq(c->head.path, str_of(pages[i].path)))
			continue;
		if (pages[i].page != NULL)
			pages[i].page(c);
		else
			page(c, 200, "text/plain; charset=utf-8", STR("alive\n"));
		return;
	}
	answer_error(c, 404, "no such service page");
}
