/*
 * group - what this process knows of its group: keys, layout, clock, signatures
 *
 * What another node asks as any client does is in index.c and get.c, what it
 * gives to this one (PUT with Covey-Push) in write.c, and messages that it
 * sends to a role of this one in pages.c.
 */
#include "group.h"

#include "answer.h"
#include "clock.h"
#include "keyring.h"
#include "log.h"
#include "loop/conn.h"
#include "mem.h"
#include "peer_http.h"
#include "quorum.h"
#include "reply.h"
#include "view_client.h"

#include <sys/socket.h>

#define UNOPENED_MS 60000		/* between lines about requests that no key of this node signed */

struct group {
	struct httpd *httpd;
	struct view_client *view;	/* of worker 0's loop */
	pthread_mutex_t mutex;		/* of signatures */
	struct sign_memory signatures;
	struct keyring keyring;
	struct seal_keys read;		/* as the keyring has them; of worker 0's loop */
	pthread_rwlock_t lock;		/* of what follows: the same, for all threads */
	struct sign_keys keys;
	struct seal_keys seal;
	/* Of the view, for every request. */
	atomic_uint_least64_t epoch;
	atomic_int_least64_t offset;	/* ns, to be added to this node's clock */
	atomic_uint flags;		/* enum member_flag of this node */
	atomic_uint_least64_t unopened_told;	/* ms: when a refused request was logged last; 0: never */
};

static void group_view_changed(void *data, const struct group_view *now,
			       const struct group_view *before)
{
	struct group *g = data;
	const struct member *self = members_find(&now->members, store_node(g->httpd->store));

	(void)before;
	atomic_store(&g->epoch, now->layout.epoch);
	if (now->state != VIEW_LIVE)
		return;
	atomic_store(&g->httpd->asked, (unsigned)members_asked(&now->members));
	atomic_store(&g->offset, now->clock_offset);
	atomic_store(&g->flags, self == NULL ? MEMBER_SILENT : self->flags);
}

void group_layout(struct group *g, struct layout *ret)
{
	struct group_view *view = view_client_hold(g->view);

	*ret = view->layout;
	group_view_release(view);
}

unsigned group_asked(struct group *g)
{
	struct group_view *view = view_client_hold(g->view);
	size_t asked = members_asked(&view->members);

	group_view_release(view);
	return (unsigned)asked;
}

uint64_t group_epoch(struct group *g)
{
	return atomic_load_explicit(&g->epoch, memory_order_relaxed);
}

bool group_is_silent(struct group *g)
{
	return atomic_load_explicit(&g->flags, memory_order_relaxed) & MEMBER_SILENT;
}

const char *group_silence(struct group *g, bool *ret_for_good)
{
	struct member self = { .flags = (uint8_t)atomic_load(&g->flags) };

	*ret_for_good = self.flags & MEMBER_FORGOT;
	return member_silence(&self);
}

/* The layout's members that are up and speak as homes; without covey-discoverd nobody knows of any. */
static size_t group_list_alive(const struct group_view *view, uint64_t ret[LAYOUT_MEMBERS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; view->state == VIEW_LIVE && i < view->layout.count; i++) {
		const struct member *m = members_find(&view->members, view->layout.members[i].id);

		if (m != NULL && m->state == MEMBER_UP && !(m->flags & MEMBER_SILENT))
			ret[count++] = m->id;
	}
	return count;
}

static bool group_has_majority(const struct layout *layout, unsigned partition, const uint64_t *alive,
			       size_t count)
{
	struct quorum quorum;

	quorum_begin(&quorum);
	quorum_add(&quorum, layout, partition);
	for (size_t i = 0; i < count; i++)
		quorum_answered(&quorum, alive[i]);
	return quorum_reached(&quorum);
}

bool group_can_confirm(struct group *g, struct buf *ret_why)
{
	struct group_view *view = view_client_hold(g->view);
	const struct layout *layout = &view->layout;
	uint64_t alive[LAYOUT_MEMBERS_MAX];
	size_t count = group_list_alive(view, alive);
	unsigned without = 0;
	bool can = false;

	for (unsigned p = 0; p < PARTITIONS; p++)
		without += !group_has_majority(layout, p, alive, count);
	if (layout->epoch == 0)
		buf_adds(ret_why, "this node belongs to no group yet");
	else if (without > 0)
		buf_addf(ret_why, "%zu of %zu members are up, no majority of the homes of %u of %u "
			 "partitions", count, layout->count, without, PARTITIONS);
	else if (count < layout_copies(layout))
		buf_addf(ret_why, "%zu of %zu members are up, and a content is to be on %zu", count,
			 layout->count, layout_copies(layout));
	else
		can = true;
	group_view_release(view);
	return can;
}

uint64_t group_clock(struct group *g)
{
	return clock_wall_ns() + (uint64_t)atomic_load_explicit(&g->offset, memory_order_relaxed);
}

/* signatures: who signed a request */

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

/* As sign_check(), by this node. */
static enum sign_verdict group_check(struct group *g, struct sign_request *request, struct str signature,
				     struct sign_asker *ret)
{
	enum sign_verdict verdict;

	request->receiver = store_node(g->httpd->store);
	pthread_rwlock_rdlock(&g->lock);
	pthread_mutex_lock(&g->mutex);
	verdict = sign_check(&g->signatures, &g->keys, request, signature, clock_wall_ns(), ret);
	pthread_mutex_unlock(&g->mutex);
	pthread_rwlock_unlock(&g->lock);
	return verdict;
}

static void group_refused(struct conn *c, struct group *g)
{
	struct address from = { .len = sizeof from.sa };
	char text[ADDRESS_TEXT];
	uint64_t now = clock_mono_ms(), told = atomic_load(&g->unopened_told);
	bool is_inet;

	unopened_count(c->worker->httpd->unopened, UNOPENED_HTTP);
	if ((told != 0 && now - told < UNOPENED_MS) ||
	    !atomic_compare_exchange_strong(&g->unopened_told, &told, now))
		return;
	if (getpeername(c->line->watch.fd, (struct sockaddr *)&from.sa, &from.len) < 0)
		from.sa.ss_family = AF_UNSPEC;
	is_inet = from.sa.ss_family == AF_INET || from.sa.ss_family == AF_INET6;
	log_line(LOG_LEVEL_WARNING, "a request from %s is refused: it was signed with another key than this "
		 "group's, or changed on its way", is_inet ? address_format(text, &from) : "this machine");
}

static bool peer_signature_refused(struct conn *c, struct str method, const struct covered *covered,
				   struct str signature, struct sign_asker *ret)
{
	struct group *group = c->worker->httpd->group;
	struct sign_request request = { .method = method, .target = peer_target(c),
					.fields = covered->parts, .field_count = covered->count };
	enum sign_verdict verdict = SIGN_FORGED;

	if (group != NULL && signature.s != NULL && !covered->too_many) {
		verdict = group_check(group, &request, signature, ret);
		if (verdict == SIGN_FORGED)
			group_refused(c, group);
	}
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

/* signatures: of answers */

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
	struct group *group = c->worker->httpd->group;
	const struct sign_asker *asker = &c->request.asker;
	struct sign_request answer = { .method = method, .target = target,
				       .sender = store_node(group->httpd->store), .receiver = asker->id,
				       .fields = covered->parts, .field_count = covered->count };
	char text[SIGN_TEXT];

	pthread_rwlock_rdlock(&group->lock);
	sign_make(text, &group->keys, &answer, clock_wall_ns(), asker->nonce);
	pthread_rwlock_unlock(&group->lock);
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

/* sealed batches */

int group_open(struct group *g, struct str packet, struct buf *plain, struct bulk *ret)
{
	uint8_t protocol;
	int rc;

	pthread_rwlock_rdlock(&g->lock);
	rc = seal_open_long(&g->seal, packet, &protocol, plain);
	pthread_rwlock_unlock(&g->lock);
	if (rc < 0)
		unopened_count(g->httpd->unopened, UNOPENED_HTTP);
	if (rc < 0 || protocol != MEMBER_PROTOCOL)
		return -1;
	return bulk_unpack(buf_str(plain), store_node(g->httpd->store), ret);
}

void group_seal(struct group *g, struct bulk *answer, struct buf *to)
{
	struct buf plain = BUF_INIT;
	struct layout layout;

	group_layout(g, &layout);
	answer->lineage = layout.lineage;
	answer->epoch = layout.epoch;
	pthread_rwlock_rdlock(&g->lock);
	answer->group = g->seal.list[0].group;
	bulk_pack(&plain, answer);
	seal_message(&g->seal, buf_str(&plain), to);
	pthread_rwlock_unlock(&g->lock);
	buf_clear(&plain);
}

/* keys */

static void group_take_keys(struct group *g)
{
	pthread_rwlock_wrlock(&g->lock);
	g->seal = g->read;
	sign_keys_derive(&g->keys, &g->seal);
	pthread_rwlock_unlock(&g->lock);
}

static void group_rekey(struct service *service)
{
	struct httpd *h = service->data;

	group_take_keys(h->group);
}

void group_reload(struct group *g)
{
	if (g != NULL)
		keyring_reload(&g->keyring);
}

void group_key_names(struct group *g, char first[SEAL_KEY_NAME], char second[SEAL_KEY_NAME])
{
	first[0] = second[0] = '\0';
	if (g == NULL)
		return;
	pthread_rwlock_rdlock(&g->lock);
	seal_key_name(first, &g->seal, 0);
	if (g->seal.count > 1)
		seal_key_name(second, &g->seal, 1);
	pthread_rwlock_unlock(&g->lock);
}

/* its beginning and end */

int group_new(struct group **ret, struct httpd *h, struct err *err)
{
	static const struct view_events events = { .changed = group_view_changed };
	struct group *g = mem_new(1, sizeof *g);

	if (keyring_start(&g->keyring, h->service, &g->read, group_rekey, err) < 0) {
		free(g);
		return -1;
	}
	pthread_rwlock_init(&g->lock, NULL);
	g->httpd = h;
	g->view = view_client_new(store_run(h->store), h->state_directory, &events, g);
	g->signatures = (struct sign_memory)SIGN_MEMORY_INIT;
	pthread_mutex_init(&g->mutex, NULL);
	group_take_keys(g);
	/* What an earlier process accepted is not known: nothing from before this moment counts. */
	sign_memory_since(&g->signatures, clock_wall_ns());
	atomic_store(&g->flags, MEMBER_SILENT);		/* until covey-discoverd has told */
	group_view_changed(g, view_client_view(g->view), NULL);
	atomic_store(&h->asked, group_asked(g));
	view_client_start(g->view, h->loop);
	*ret = g;
	return 0;
}

void group_free(struct group *g)
{
	if (g == NULL)
		return;
	view_client_free(g->view);
	sign_memory_clear(&g->signatures);
	explicit_bzero(&g->keys, sizeof g->keys);
	explicit_bzero(&g->seal, sizeof g->seal);
	keyring_clear(&g->keyring);
	pthread_rwlock_destroy(&g->lock);
	pthread_mutex_destroy(&g->mutex);
	free(g);
}
