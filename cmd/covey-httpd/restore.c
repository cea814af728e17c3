/* restore - a new version with the content of an older one */
#include "answer.h"
#include "loop/conn.h"
#include "handlers.h"
#include "pull.h"
#include "write.h"

static const char no_content[] = "this version is a deletion or a directory";

/* The content is open in request.entry: commit it anew. */
static void restore_commit(struct conn *c)
{
	struct request *r = &c->request;
	struct write *w = write_new(c, WRITE_FILE);
	struct write_item *item = write_add(w, buf_str(&r->path));

	w->mtime = r->entry.record.mtime;
	w->form = answer_wants_page(c);
	memcpy(item->type, r->entry.type, sizeof item->type);
	item->copy_fd = r->entry.fd;
	r->entry.fd = -1;
	write_start(w);
}

/* 1: it is open; 0: it has to be fetched, if it can be; -1: answered. */
static int restore_open(struct conn *c)
{
	struct request *r = &c->request;
	struct err err;

	if (store_version(c->worker->httpd->store, buf_str(&r->path), r->query.restore, STORE_CONTENT,
			  &r->entry, &err) < 0) {
		if (err.kind == ERR_ABSENT)
			return 0;
		answer_err(c, &err);
		return -1;
	}
	if (!record_is_live(&r->entry.record) || r->entry.record.flags & RECORD_DIRECTORY) {
		answer_error(c, 404, "%s", no_content);
		return -1;
	}
	return r->entry.fd >= 0;
}

static void restore_fetched(struct conn *c, int fd)
{
	struct request *r = &c->request;

	if (fd < 0) {
		answer_error(c, 503, "this version's content cannot be had now");
		return;
	}
	store_entry_clear(&r->entry);
	r->entry.record = r->ask.record;
	memcpy(r->entry.type, r->ask.type, sizeof r->entry.type);
	r->entry.fd = fd;
	restore_commit(c);
}

/* What the peers know of a version that is not here. */
static void restore_fetch(struct conn *c)
{
	struct request *r = &c->request;

	if (version_cmp(r->ask.record.version, r->query.restore) != 0)
		answer_error(c, 404, "no such version");
	else if (!record_is_live(&r->ask.record) || r->ask.record.flags & RECORD_DIRECTORY)
		answer_error(c, 404, "%s", no_content);
	else if (pull_start(c, &r->ask.record, str_of(r->ask.type), PULL_WHOLE, restore_fetched) < 0)
		answer_error(c, 503, "this version's content cannot be had now");
}

void restore_start(struct conn *c)
{
	struct request *r = &c->request;
	int here;

	if (c->has_body) {
		answer_error(c, 400, "?restore= takes no body");
		return;
	}
	if (r->slash) {
		answer_error(c, 400, "?restore= is for files");
		return;
	}
	here = restore_open(c);
	if (here > 0)
		restore_commit(c);
	else if (here == 0 && ask_start(&r->ask, c, buf_str(&r->path), NEWEST_ONE, r->query.restore,
				      restore_fetch))
		restore_fetch(c);
}
