/*
 * peer - requests of other nodes of the group (peer_http.h): who signed them, and their answers
 *
 * What a node asks as any client does is in index.c and get.c, what it gives
 * to this one (PUT with Covey-Push) in write.c, and messages that it sends to
 * a role of this one in pages.c.
 */
#include "peer.h"

#include "answer.h"
#include "clock.h"
#include "loop/conn.h"
#include "group.h"
#include "peer_http.h"
#include "reply.h"

/* who signed it */

/* The fields that a signature covers. */
struct covered {
	struct sign_part parts[SIGN_FIELDS_MAX];
	size_t count;
	bool too_many;
};

static void peer_cover(struct covered *covered, const struct head_field *field)
{
	if (!sign_covers(field->name))
		return;
	if (covered->count == SIGN_FIELDS_MAX)
		covered->too_many = true;
	else
		covered->parts[covered->count++] = (struct sign_part){ field->name, field->value };
}

/* As it was sent. */
static struct str peer_target(const struct conn *c)
{
	const struct head *head = &c->head;

	if (head->query.s == NULL)
		return head->path;
	return (struct str){ head->path.s, (size_t)(head->query.s + head->query.n - head->path.s) };
}

/* A node that has the key and another clock is told this one's. */
static void peer_refuse(struct conn *c, enum sign_verdict verdict)
{
	struct buf fields = BUF_INIT;

	if (verdict == SIGN_OLD)
		reply_fieldf(&fields, PEER_TIME, "%llu", (unsigned long long)clock_wall_ns());
	answer_error_with(c, 403, buf_str(&fields),
			  STR("Covey-* fields are for nodes of a group, signed"));
	buf_clear(&fields);
}

static bool peer_signature_refused(struct conn *c, struct str method, const struct covered *covered,
				   struct str signature, struct sign_asker *ret)
{
	struct group *group = c->worker->httpd->group;
	struct sign_request request = { .method = method, .target = peer_target(c),
					.fields = covered->parts, .field_count = covered->count };
	enum sign_verdict verdict = SIGN_FORGED;

	if (group != NULL && signature.s != NULL && !covered->too_many)
		verdict = group_check(group, &request, signature, ret);
	if (verdict == SIGN_OK)
		return false;
	c->request.peer = verdict == SIGN_OLD;		/* the time that it is told is signed */
	peer_refuse(c, verdict);
	return true;
}

bool peer_refused(struct conn *c)
{
	struct covered covered = { .count = 0 };

	for (size_t i = 0; i < c->head.field_count; i++)
		peer_cover(&covered, &c->head.fields[i]);
	if (peer_signature_refused(c, c->head.method_text, &covered, head_get(&c->head, FIELD_COVEY_SIGNATURE),
				   &c->request.asker))
		return true;
	c->request.peer = true;
	c->request.body_signed = head_get(&c->head, FIELD_COVEY_EPOCH).s != NULL;
	return false;
}

bool peer_trailer_refused(struct conn *c)
{
	struct str rest = buf_str(&c->body.trailers);
	struct covered covered = { .count = 0 };
	struct sign_asker asker = { .id = 0 };
	struct head_field field;

	while (body_trailer_next(&rest, &field))
		peer_cover(&covered, &field);
	if (peer_signature_refused(c, STR(SIGN_TRAILER), &covered, body_trailer(&c->body, FIELD_COVEY_SIGNATURE),
				   &asker))
		return true;
	if (asker.id == c->request.asker.id &&
	    memcmp(asker.nonce, c->request.asker.nonce, SIGN_NONCE_BYTES) == 0)
		return false;
	peer_refuse(c, SIGN_FORGED);
	return true;
}

/* answers, signed */

static void peer_cover_lines(struct covered *covered, struct str lines)
{
	struct str line, name;

	while (str_cut(&lines, '\n', &line)) {
		struct head_field field;

		if (!str_cut(&line, ':', &name) || line.s == NULL)
			continue;
		line.n -= str_ends(line, STR("\r"));
		field = (struct head_field){ .name = name, .value = str_trim(line) };
		peer_cover(covered, &field);
	}
}

static void peer_sign_covered(struct conn *c, struct str method, struct str target,
			      const struct covered *covered, struct buf *to)
{
	struct sign_request answer = { .method = method, .target = target,
				       .fields = covered->parts, .field_count = covered->count };
	char text[SIGN_TEXT];

	group_sign(c->worker->httpd->group, text, &answer, &c->request.asker);
	reply_field(to, SIGN_FIELD, str_of(text));
}

void peer_sign(struct conn *c, int status, struct str lines, struct buf *to)
{
	struct covered covered = { .count = 0 };
	char text[16];

	if (!c->request.peer)
		return;
	snprintf(text, sizeof text, "%d", status);
	peer_cover_lines(&covered, lines);
	peer_sign_covered(c, STR(SIGN_ANSWER), str_of(text), &covered, to);
}

void peer_sign_body(struct conn *c, const uint8_t sha256[32], struct buf *to)
{
	char hex[2 * 32 + 1];
	struct covered covered = { .count = 1 };

	str_to_hex(hex, sha256, 32);
	covered.parts[0] = (struct sign_part){ STR(SIGN_BODY), str_of(hex) };
	reply_field(to, SIGN_BODY, str_of(hex));
	peer_sign_covered(c, STR(SIGN_ANSWER_TRAILER), STR(""), &covered, to);
}
