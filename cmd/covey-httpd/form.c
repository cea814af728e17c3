/* form - files posted as multipart/form-data (curl -F, a browser's form) */
#include "form.h"

#include "answer.h"
#include "loop/conn.h"
#include "mem.h"
#include "multipart.h"
#include "upload.h"
#include "write.h"

#define FILES_MAX 1000		/* in one form */

struct part {
	struct buf path;
	struct stage *stage;	/* owned */
	char type[RECORD_TYPE_MAX + 1];
};

struct form {
	struct conn *conn;
	struct multipart multipart;
	struct part *parts;	/* owned */
	size_t count;
	bool in_file;		/* the current part is one: content counts */
	bool browser;		/* wants a page, not a status */
};

static int form_refused(const struct refusal *refusal, struct err *err)
{
	enum err_kind kind = refusal->status == 413 || refusal->status == 431 ? ERR_TOO_LARGE :
										ERR_INVALID;

	return err_set(err, kind, "read form: %s", refusal->why);
}

struct form *form_new(struct conn *c, struct err *err)
{
	struct form *form = mem_new(1, sizeof *form);
	struct refusal refusal;

	form->conn = c;
	form->browser = answer_wants_page(c);
	form->multipart = (struct multipart)MULTIPART_INIT;
	if (multipart_start(&form->multipart, head_get(&c->head, FIELD_CONTENT_TYPE), &refusal) == 0)
		return form;
	form_refused(&refusal, err);
	form_free(form);
	return NULL;
}

void form_free(struct form *form)
{
	if (form == NULL)
		return;
	for (size_t i = 0; i < form->count; i++) {
		stage_free(form->parts[i].stage);
		buf_clear(&form->parts[i].path);
	}
	free(form->parts);
	multipart_clear(&form->multipart);
	free(form);
}

/* A file begins: where it goes. */
static int form_begin_file(struct form *form, struct err *err)
{
	const struct request *r = &form->conn->request;
	struct part *part;

	if (form->count == FILES_MAX)
		return err_set(err, ERR_TOO_LARGE, "read form: more than %d files", FILES_MAX);
	if (form->count > 0 && !r->slash)
		return err_set(err, ERR_INVALID,
			       "read form: several files want a directory, with a slash at its end");
	form->parts = mem_resize(form->parts, form->count + 1, sizeof *form->parts);
	part = &form->parts[form->count++];
	*part = (struct part){ .path = BUF_INIT };
	if (r->slash)
		path_join(&part->path, buf_str(&r->path), buf_str(&form->multipart.filename));
	else
		buf_addstr(&part->path, buf_str(&r->path));
	if (path_check(buf_str(&part->path), err) < 0)
		return -1;
	upload_type(form->conn->worker->httpd->mime, buf_str(&form->multipart.type),
		    buf_str(&part->path), part->type);
	return stage_begin(form->conn->worker->httpd->store, &part->stage, err);
}

int form_add(struct form *form, struct str bytes, struct err *err)
{
	struct multipart *m = &form->multipart;
	struct refusal refusal;
	struct str piece;

	for (;;) {
		switch (multipart_next(m, &bytes, &piece, &refusal)) {
		case MULTIPART_MORE:
			return 0;
		case MULTIPART_REFUSED:
			return form_refused(&refusal, err);
		case MULTIPART_PART:
			form->in_file = m->has_filename && m->filename.len > 0;
			if (form->in_file && form_begin_file(form, err) < 0)
				return -1;
			break;
		case MULTIPART_CONTENT:
			if (form->in_file && stage_add(form->parts[form->count - 1].stage, piece.s,
						       piece.n, err) < 0)
				return -1;
			break;
		case MULTIPART_PART_END:
			form->in_file = false;
			break;
		}
	}
}

int form_finish(struct form *form, struct write *w, struct err *err)
{
	if (!form->multipart.done)
		return err_set(err, ERR_INVALID, "read form: it ends before its last boundary");
	if (form->count == 0)
		return err_set(err, ERR_INVALID, "read form: there is no file in it");
	w->form = form->browser;
	for (size_t i = 0; i < form->count; i++) {
		struct part *part = &form->parts[i];
		struct write_item *item = write_add(w, buf_str(&part->path));

		item->stage = part->stage;
		part->stage = NULL;
		memcpy(item->type, part->type, sizeof item->type);
	}
	return 0;
}
