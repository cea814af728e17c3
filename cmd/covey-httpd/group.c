/* group - what this process knows of its group: keys, layout, clock, signatures */
#include "group.h"

#include "clock.h"
#include "container.h"
#include "discover_talk.h"
#include "httpd.h"
#include "identity.h"
#include "layout_file.h"
#include "mem.h"
#include "members.h"
#include "quorum.h"

#define AGAIN_MS 1000		/* between tries to reach covey-discoverd */

struct group {
	struct httpd *httpd;
	struct call watch;		/* of worker 0 */
	struct timer again;
	pthread_mutex_t mutex;		/* of layout, members, memory */
	struct layout layout;
	struct members members;		/* as covey-discoverd told them last; owned */
	struct sign_memory memory;
	struct sign_keys keys;
	atomic_uint_least64_t epoch;
	atomic_int_least64_t offset;	/* ns, to be added to this node's clock */
	atomic_uint_least64_t alone;	/* epoch of a layout of this node alone; or 0 */
	atomic_uint flags;		/* enum member_flag of this node */
};

/* what covey-discoverd tells */

static void take_layout(struct group *g, const struct layout *layout)
{
	bool alone = layout->count == 1 && layout->members[0].id == store_node(g->httpd->store);

	pthread_mutex_lock(&g->mutex);
	g->layout = *layout;
	pthread_mutex_unlock(&g->mutex);
	atomic_store(&g->alone, alone ? layout->epoch : 0);
	atomic_store(&g->epoch, layout->epoch);
}

/* What covey-discoverd wrote before it went away. */
static void read_layout(struct group *g)
{
	struct layout layout;

	if (layout_load(g->httpd->state_directory, &layout, NULL) == 0 &&
	    (layout.lineage != g->layout.lineage || layout.epoch > g->layout.epoch))
		take_layout(g, &layout);
}

static void take_members(struct group *g, struct str body)
{
	struct members members = MEMBERS_INIT;
	const struct member *self;
	int64_t offset;

	if (discover_members_unpack(body, &members, &offset, NULL) == 0) {
		atomic_store(&g->httpd->asked, (unsigned)members_asked(&members));
		atomic_store(&g->offset, offset);
		self = members_find(&members, store_node(g->httpd->store));
		atomic_store(&g->flags, self == NULL ? MEMBER_SILENT : self->flags);
		pthread_mutex_lock(&g->mutex);
		members_clear(&g->members);
		g->members = members;
		pthread_mutex_unlock(&g->mutex);
	}
}

static void told(struct call *call, struct frame *frame)
{
	struct group *g = CONTAINER_OF(call, struct group, watch);
	struct layout layout;

	if (frame == NULL) {		/* who is up nobody knows now */
		pthread_mutex_lock(&g->mutex);
		members_clear(&g->members);
		pthread_mutex_unlock(&g->mutex);
		read_layout(g);
		timer_start(g->httpd->loop, &g->again, AGAIN_MS);
	} else if (frame->type == DISCOVER_MEMBERS) {
		take_members(g, frame->body);
	} else if (frame->type == DISCOVER_LAYOUT &&
		   discover_layout_unpack(frame->body, &layout, NULL) == 0) {
		take_layout(g, &layout);
	}
}

void group_watch(struct group *g)
{
	g->watch.answer = told;
	call_start(g->httpd->workers[0].discover, &g->watch, DISCOVER_WATCH,
		   (struct str)STR_INIT, 0);
}

static void watch_again(struct timer *timer)
{
	group_watch(CONTAINER_OF(timer, struct group, again));
}

/* what others want to know */

void group_layout(struct group *g, struct layout *ret)
{
	pthread_mutex_lock(&g->mutex);
	*ret = g->layout;
	pthread_mutex_unlock(&g->mutex);
}

uint64_t group_epoch(struct group *g)
{
	return atomic_load_explicit(&g->epoch, memory_order_relaxed);
}

struct layout_id group_disk_layout(struct group *g)
{
	struct layout layout = LAYOUT_NONE;

	layout_load(g->httpd->state_directory, &layout, NULL);
	return (struct layout_id){ layout.lineage, layout.epoch };
}

uint64_t group_alone(struct group *g)
{
	return atomic_load_explicit(&g->alone, memory_order_relaxed);
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

/* The layout's members that are up and speak as homes. */
static size_t list_alive(struct group *g, const struct layout *layout, uint64_t ret[LAYOUT_MEMBERS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < layout->count; i++) {
		const struct member *m = members_find(&g->members, layout->members[i].id);

		if (m != NULL && m->state == MEMBER_UP && !(m->flags & MEMBER_SILENT))
			ret[count++] = m->id;
	}
	return count;
}

static bool has_majority(const struct layout *layout, unsigned partition, const uint64_t *alive,
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
	uint64_t alive[LAYOUT_MEMBERS_MAX];
	unsigned without = 0;
	struct layout layout;
	size_t count;

	pthread_mutex_lock(&g->mutex);
	layout = g->layout;
	count = list_alive(g, &layout, alive);
	pthread_mutex_unlock(&g->mutex);
	for (unsigned p = 0; p < PARTITIONS; p++)
		without += !has_majority(&layout, p, alive, count);
	if (layout.epoch == 0)
		buf_adds(ret_why, "this node belongs to no group yet");
	else if (without > 0)
		buf_addf(ret_why, "%zu of %zu members are up, no majority of the homes of %u of %u "
			 "partitions", count, layout.count, without, PARTITIONS);
	else if (count < layout_copies(&layout))
		buf_addf(ret_why, "%zu of %zu members are up, and a content is to be on %zu", count,
			 layout.count, layout_copies(&layout));
	else
		return true;
	return false;
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
	verdict = sign_check(&g->memory, &g->keys, request, signature, clock_wall_ns(), ret);
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
	struct seal_keys keys = SEAL_KEYS_INIT;
	struct group *g;

	if (identity_keys(h->conf, &keys, err) < 0)
		return -1;
	g = mem_new(1, sizeof *g);
	g->httpd = h;
	g->watch = (struct call)CALL_INIT;
	g->again.fire = watch_again;
	g->memory = (struct sign_memory)SIGN_MEMORY_INIT;
	pthread_mutex_init(&g->mutex, NULL);
	sign_keys_derive(&g->keys, &keys);
	explicit_bzero(&keys, sizeof keys);
	/* What an earlier process accepted is not known: nothing from before this moment counts. */
	sign_memory_since(&g->memory, clock_wall_ns());
	read_layout(g);
	atomic_store(&g->flags, MEMBER_SILENT);		/* until covey-discoverd has told */
	*ret = g;
	return 0;
}

void group_free(struct group *g)
{
	if (g == NULL)
		return;
	call_finish(&g->watch);
	timer_stop(&g->again);
	members_clear(&g->members);
	sign_memory_clear(&g->memory);
	explicit_bzero(&g->keys, sizeof g->keys);
	pthread_mutex_destroy(&g->mutex);
	free(g);
}
