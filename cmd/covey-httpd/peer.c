/* peer - requests of other nodes: who signed them */
#include "peer.h"

#include "answer.h"
#include "clock.h"
#include "conn.h"
#include "group.h"
#include "peer_http.h"
#include "reply.h"

/* The fields that a signature covers. */
struct covered {
	struct sign_part parts[SIGN_FIELDS_MAX];
	size_t count;
	bool too_many;
};

static void cover(struct covered *covered, const struct head_field *field)
{
	if (!sign_covers(field->name))
		return;
	if (covered->count == SIGN_FIELDS_MAX)
		covered->too_many = true;
	else
		covered->parts[covered->count++] = (struct sign_part){ field->name, field->value };
}

/* As it was sent. */
static struct str target_of(const struct conn *c)
{
	const struct head *head = &c->head;

	if (head->query.s == NULL)
		return head->path;
	return (struct str){ head->path.s, (size_t)(head->query.s + head->query.n - head->path.s) };
}

/* Whoever held a key, and has another clock, is told this one's. */
static void refuse(struct conn *c, enum sign_verdict verdict)
{
	struct buf fields = BUF_INIT;

	if (verdict == SIGN_OLD)
		reply_fieldf(&fields, PEER_TIME, "%llu", (unsigned long long)clock_wall_ns());
	answer_error_with(c, 403, buf_str(&fields),
			  STR("Covey-* fields are for nodes of a group, signed"));
	buf_clear(&fields);
}

static bool refused(struct conn *c, struct str method, const struct covered *covered,
		    struct str signature)
{
	struct group *group = c->worker->httpd->group;
	struct sign_request request = { .method = method, .target = target_of(c),
					.fields = covered->parts, .field_count = covered->count };
	enum sign_verdict verdict = SIGN_FORGED;

	if (group != NULL && signature.s != NULL && !covered->too_many)
		verdict = group_check(group, &request, signature);
	if (verdict == SIGN_OK)
		return false;
	refuse(c, verdict);
	return true;
}

bool peer_refused(struct conn *c)
{
	struct covered covered = { .count = 0 };

	for (size_t i = 0; i < c->head.field_count; i++)
		cover(&covered, &c->head.fields[i]);
	if (refused(c, c->head.method_text, &covered, head_get(&c->head, FIELD_COVEY_SIGNATURE)))
		return true;
	c->request.peer = true;
	return false;
}

bool peer_trailer_refused(struct conn *c)
{
	struct str rest = buf_str(&c->body.trailers);
	struct covered covered = { .count = 0 };
	struct head_field field;

	while (body_trailer_next(&rest, &field))
		cover(&covered, &field);
	return refused(c, STR(SIGN_TRAILER), &covered,
		       body_trailer(&c->body, FIELD_COVEY_SIGNATURE));
}
