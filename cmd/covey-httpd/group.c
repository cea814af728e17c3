/* group - what this process knows of its group: keys, layout, clock, signatures */
#include "group.h"

#include "clock.h"
#include "httpd.h"
#include "identity.h"
#include "mem.h"
#include "quorum.h"
#include "view_client.h"

struct group {
	struct httpd *httpd;
	struct view_client *view;	/* of worker 0's loop */
	pthread_mutex_t mutex;		/* of signatures */
	struct sign_memory signatures;
	struct sign_keys keys;
	/* Of the view, for every request. */
	atomic_uint_least64_t epoch;
	atomic_int_least64_t offset;	/* ns, to be added to this node's clock */
	atomic_uint flags;		/* enum member_flag of this node */
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

enum sign_verdict group_check(struct group *g, struct sign_request *request, struct str signature,
			      struct sign_asker *ret)
{
	enum sign_verdict verdict;

	request->receiver = store_node(g->httpd->store);
	pthread_mutex_lock(&g->mutex);
	verdict = sign_check(&g->signatures, &g->keys, request, signature, clock_wall_ns(), ret);
	pthread_mutex_unlock(&g->mutex);
	return verdict;
}

const char *group_sign(struct group *g, char to[SIGN_TEXT], struct sign_request *request,
		       const struct sign_asker *asker)
{
	request->sender = store_node(g->httpd->store);
	request->receiver = asker->id;
	return sign_make(to, &g->keys, request, clock_wall_ns(), asker->nonce);
}

int group_new(struct group **ret, struct httpd *h, struct err *err)
{
	static const struct view_events events = { .changed = group_view_changed };
	struct seal_keys keys = SEAL_KEYS_INIT;
	struct group *g;

	if (identity_keys(h->conf, &keys, err) < 0)
		return -1;
	g = mem_new(1, sizeof *g);
	g->httpd = h;
	g->view = view_client_new(store_run(h->store), h->state_directory, &events, g);
	g->signatures = (struct sign_memory)SIGN_MEMORY_INIT;
	pthread_mutex_init(&g->mutex, NULL);
	sign_keys_derive(&g->keys, &keys);
	explicit_bzero(&keys, sizeof keys);
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
	pthread_mutex_destroy(&g->mutex);
	free(g);
}
