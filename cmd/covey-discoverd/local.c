/*
 * local - discover.sock: requests of this node's programs, and of people
 *
 *	VIEW, WATCH	the members and the layout
 *	BEHIND, SYNCED, WAITS	what covey-versiond and covey-syncd know of layouts
 *	CHANGE		covey layout set, leave, join, force, adopt, forget
 *	CARRY		a packet of another node that came by HTTP
 *	LEAVE		say good-bye
 *
 * A change is told to the council again and again until the layout is as it
 * was wished; whoever asked is told of each step.  Leaving is a wish to be
 * a guest, which the gossip tells; it is on disk, and stands, whether somebody
 * waits or not, until the node is to join again.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "discover_talk.h"
#include "log.h"
#include "mem.h"

#include <inttypes.h>

struct change {
	struct link link;
	struct discoverd *discoverd;
	struct serve_request *request;
	struct agent_wish wish;
	uint64_t until;			/* ms; 0: without end */
	uint64_t waits_told;		/* of waits_changes */
};

/* Whatever it says of itself. */
static void flag_key(const struct view *view, struct member *member)
{
	const struct view_entry *entry = view_entry(view, member->id);

	member->flags &= (uint8_t)~MEMBER_OTHER_KEY;
	if (entry != NULL && entry->other_key)
		member->flags |= MEMBER_OTHER_KEY;
}

static void reply_members(struct discoverd *d, struct serve_request *const *to, size_t count)
{
	struct members members = MEMBERS_INIT;
	struct buf body = BUF_INIT;

	view_members(&d->gossip.view, &members);
	for (size_t i = 0; i < members.count; i++)
		flag_key(&d->gossip.view, &members.list[i]);
	discover_members_pack(&body, &members, memory_offset(d));
	for (size_t i = 0; i < count; i++)
		serve_reply(to[i], DISCOVER_MEMBERS, buf_str(&body), NULL, 0);
	buf_clear(&body);
	members_clear(&members);
}

static void reply_layout(struct discoverd *d, struct serve_request *const *to, size_t count)
{
	struct buf body = BUF_INIT;

	discover_layout_pack(&body, agent_layout(&d->agent));
	for (size_t i = 0; i < count; i++)
		serve_reply(to[i], DISCOVER_LAYOUT, buf_str(&body), NULL, 0);
	buf_clear(&body);
}

void local_publish_layout(struct discoverd *d)
{
	if (d->watcher_count > 0)
		reply_layout(d, d->watchers, d->watcher_count);
}

void local_publish_members(struct discoverd *d)
{
	if (d->watcher_count > 0)
		reply_members(d, d->watchers, d->watcher_count);
}

static void watcher_gone(struct serve_request *request)
{
	struct discoverd *d = request->data;

	for (size_t i = 0; i < d->watcher_count; i++)
		if (d->watchers[i] == request)
			d->watchers[i--] = d->watchers[--d->watcher_count];
	discoverd_unwatched(d);
}

static void watcher_add(struct discoverd *d, struct serve_request *request)
{
	d->watchers = mem_resize(d->watchers, d->watcher_count + 1, sizeof *d->watchers);
	d->watchers[d->watcher_count++] = request;
	request->data = d;
	request->gone = watcher_gone;
}

static void reply_done(struct serve_request *request)
{
	serve_reply(request, DISCOVER_DONE, STR(""), NULL, 0);
	serve_end(request);
}

static int ask_behind(struct discoverd *d, struct serve_request *request, struct str body, struct err *err)
{
	struct discover_behind behind;

	if (discover_behind_unpack(body, &behind, err) < 0)
		return -1;
	if (behind.epoch > agent_layout(&d->agent)->epoch && behind.from.len != 0)
		agent_fetch(&d->agent, behind.node, &behind.from);
	reply_done(request);
	return 0;
}

static int ask_synced(struct discoverd *d, struct serve_request *request, struct str body, struct err *err)
{
	uint64_t epoch;

	if (discover_synced_unpack(body, &epoch, err) < 0)
		return -1;
	if (agent_synced(&d->agent, epoch)) {
		discoverd_hurry(d);
		layouts_step(d);
	}
	reply_done(request);
	return 0;
}

static int ask_carry(struct discoverd *d, struct serve_request *request, struct str packet, struct err *err)
{
	struct buf answer = BUF_INIT;

	(void)err;
	network_carried(d, packet, &answer);
	serve_reply(request, DISCOVER_CARRIED, buf_str(&answer), NULL, 0);
	serve_end(request);
	buf_clear(&answer);
	return 0;
}

/* changes */

static void tell_progress(struct serve_request *request, const char *text)
{
	serve_reply(request, DISCOVER_PROGRESS, str_of(text), NULL, 0);
}

static void tell_waits(struct discoverd *d, struct change *change)
{
	char text[DISCOVER_WAITS_MAX + 20];

	change->waits_told = d->waits_changes;
	if (d->waits[0] == '\0')
		return;
	snprintf(text, sizeof text, "waits for %s", d->waits);
	tell_progress(change->request, text);
}

/* Leaving and joining take each other back. */
static bool change_is_taken_back(const struct discoverd *d, const struct agent_wish *wish)
{
	return (wish->kind == AGENT_LEAVE && !d->guest_wanted) ||
	       (wish->kind == AGENT_JOIN && d->guest_wanted);
}

/* True when it has ended. */
static bool change_go_on(struct discoverd *d, struct change *change)
{
	struct err err = ERR_INIT;
	uint64_t now = clock_mono_ms();
	char progress[200];
	bool done;

	if (change_is_taken_back(d, &change->wish)) {
		err_set(&err, ERR_CONFLICT, "change the layout: that was taken back");
		serve_fail(change->request, &err);
		return true;
	}
	done = agent_wish(&d->agent, &change->wish, now, progress);
	if (progress[0] != '\0')
		tell_progress(change->request, progress);
	if (change->wish.kind == AGENT_LEAVE && change->waits_told != d->waits_changes && !done)
		tell_waits(d, change);
	if (done) {
		reply_done(change->request);
	} else if (change->until != 0 && now >= change->until) {
		agent_wish_end(&d->agent, &change->wish, &err);
		serve_fail(change->request, &err);
		done = true;
	}
	return done;
}

static void change_free(struct change *change)
{
	list_remove(&change->link);
	free(change);
}

static void changes_due(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, changes_due);

	LIST_EACH(struct change, change, &d->changes, link)
		if (change_go_on(d, change))
			change_free(change);
	layouts_step(d);
	if (d->changes.first != NULL)
		timer_start(d->service->loop, timer, AGENT_WISH_MS);
}

static void change_gone(struct serve_request *request)
{
	struct change *change = request->data;

	agent_wish_end(&change->discoverd->agent, &change->wish, NULL);
	change_free(change);
}

static int change_judge(const struct discoverd *d, const struct discover_change *asked, struct err *err)
{
	const struct layout *layout = agent_layout(&d->agent);

	if (layout->epoch == 0)
		return err_set(err, ERR_DENIED, "change the layout: this node belongs to no group yet");
	if (asked->what == CHANGE_LEAVE && layout_is_solo(layout) &&
	    layout_find(layout, d->incarnation.self) != NULL)
		return err_set(err, ERR_DENIED, "leave the layout: this node is its only member");
	if (asked->what == CHANGE_ADOPT && asked->lineage != layout->lineage &&
	    agent_can_adopt(&d->agent, asked->lineage, err) < 0)
		return -1;
	if (asked->what == CHANGE_JOIN && !d->service->conf->node.home)
		return err_set(err, ERR_DENIED, "join the layout: this node is a guest by node.home");
	if (asked->what == CHANGE_JOIN && d->incarnation.silent)
		return err_set(err, ERR_DENIED, "join the layout: this node forgot something: stop it and say covey node renew");
	return 0;
}

/* *ret_lineage is to be waited for. */
static int change_force(struct discoverd *d, struct serve_request *request, uint64_t *ret_lineage,
			struct err *err)
{
	struct layout layout;
	char text[200];

	if (agent_force(&d->agent, clock_mono_ms(), &layout, err) < 0)
		return -1;
	snprintf(text, sizeof text, "lineage %016" PRIx64 " of %zu members is forced away from lineage "
		 "%016" PRIx64 ", epoch %" PRIu64, layout.lineage, layout.count, layout.left_lineage,
		 layout.left_epoch);
	log_line(LOG_LEVEL_WARNING, "%s; what only the others knew is lost unless they come over", text);
	tell_progress(request, text);
	*ret_lineage = layout.lineage;
	return 0;
}

/* Who is a member of the layout leaves that first, or others would go on counting on it. */
static int forget_member(struct discoverd *d, uint64_t id, struct err *err)
{
	const struct view_entry *entry = view_entry(&d->gossip.view, id);
	const struct member *m = entry != NULL ? &entry->member : NULL;
	bool away = m != NULL && (member_is_gone(m->state) || m->state == MEMBER_DOWN);

	if (m == NULL || m->state == MEMBER_FORGOTTEN)
		return err_set(err, ERR_ABSENT, "forget %016" PRIx64 ": this node knows no such node", id);
	if (!away)
		return err_set(err, ERR_DENIED, "forget %016" PRIx64 ": it is %s; %s", id,
			       member_state_name(m->state), m->state == MEMBER_SUSPECT ? "ask again when it is down" :
			       "say covey layout leave there, and stop it");
	if (layout_find(agent_layout(&d->agent), id) != NULL)
		return err_set(err, ERR_DENIED, "forget %016" PRIx64 ": it is a member of the layout, "
			       "which leaves it out after an hour; if most members are lost, say covey "
			       "layout force", id);
	log_line(LOG_LEVEL_INFO, "forget %s, %016" PRIx64 ", as it was told to", m->name, id);
	view_forget(&d->gossip.view, id);
	discoverd_hurry(d);
	return 0;
}

static void wish_of(struct agent_wish *ret, const struct discover_change *asked)
{
	static const enum agent_wish_kind kinds[] = {
		[CHANGE_SET] = AGENT_SET,     [CHANGE_LEAVE] = AGENT_LEAVE,
		[CHANGE_FORCE] = AGENT_ADOPT, [CHANGE_JOIN] = AGENT_JOIN,
		[CHANGE_ADOPT] = AGENT_ADOPT,
	};

	*ret = (struct agent_wish){ .kind = kinds[asked->what], .lineage = asked->lineage };
	ret->numbers = (struct layout_numbers){ .homes = asked->homes, .copies = asked->copies,
						.keep_versions = asked->keep_versions,
						.keep_days = asked->keep_days };
}

static void change_begin(struct discoverd *d, struct serve_request *request,
			 const struct discover_change *asked, uint64_t forced)
{
	struct change *change = mem_new(1, sizeof *change);

	change->discoverd = d;
	change->request = request;
	wish_of(&change->wish, asked);
	if (forced != 0)
		change->wish.lineage = forced;
	if (asked->within_ms != 0)
		change->until = clock_mono_ms() + asked->within_ms;
	request->data = change;
	request->gone = change_gone;
	list_prepend(&d->changes, &change->link);
	d->changes_due.fire = changes_due;
	timer_start(d->service->loop, &d->changes_due, 0);
}

static int ask_change(struct discoverd *d, struct serve_request *request, struct str body, struct err *err)
{
	struct discover_change asked;
	uint64_t forced = 0;

	if (discover_change_unpack(body, &asked, err) < 0)
		return -1;
	/* Of no layout: a node without one may wait for a group that is gone. */
	if (asked.what == CHANGE_FORGET) {
		if (forget_member(d, asked.node, err) < 0)
			return -1;
		reply_done(request);
		return 0;
	}
	if (change_judge(d, &asked, err) < 0 ||
	    (asked.what == CHANGE_FORCE && change_force(d, request, &forced, err) < 0))
		return -1;
	if (asked.what == CHANGE_LEAVE || asked.what == CHANGE_JOIN)
		memory_guest(d, asked.what == CHANGE_LEAVE);
	change_begin(d, request, &asked, forced);
	return 0;
}

/* WAITS: leaving takes long, or (empty) no more. */
static int ask_waits(struct discoverd *d, struct serve_request *request, struct str why, struct err *err)
{
	size_t n = why.n < DISCOVER_WAITS_MAX ? why.n : DISCOVER_WAITS_MAX;

	(void)err;
	memcpy(d->waits, why.s, n);
	d->waits[n] = '\0';
	d->waits_changes++;
	reply_done(request);
	return 0;
}

/* dispatch */

/* VIEW, WATCH and LEAVE, which have no body. */
static int ask_plainly(struct discoverd *d, struct serve_request *request, const struct frame *frame,
		       struct err *err)
{
	if (frame->body.n > 0)
		return err_set(err, ERR_INVALID, "ask covey-discoverd: malformed request");
	if (frame->type == DISCOVER_LEAVE) {
		discoverd_leave(d);
		reply_done(request);
		return 0;
	}
	reply_members(d, &request, 1);
	reply_layout(d, &request, 1);
	if (frame->type == DISCOVER_WATCH)
		watcher_add(d, request);
	else
		serve_end(request);
	return 0;
}

static int local_dispatch(struct discoverd *d, struct serve_request *request, const struct frame *frame,
			  struct err *err)
{
	switch (frame->type) {
	case DISCOVER_VIEW:
	case DISCOVER_WATCH:
	case DISCOVER_LEAVE:
		return ask_plainly(d, request, frame, err);
	case DISCOVER_BEHIND:
		return ask_behind(d, request, frame->body, err);
	case DISCOVER_SYNCED:
		return ask_synced(d, request, frame->body, err);
	case DISCOVER_WAITS:
		return ask_waits(d, request, frame->body, err);
	case DISCOVER_CHANGE:
		return ask_change(d, request, frame->body, err);
	case DISCOVER_CARRY:
		return ask_carry(d, request, frame->body, err);
	default:
		return err_set(err, ERR_UNSUPPORTED, "ask covey-discoverd: unknown request");
	}
}

static void local_request(struct serve *serve, struct serve_request *request, struct frame *frame)
{
	struct err err = ERR_INIT;

	if (local_dispatch(serve_data(serve), request, frame, &err) < 0)
		serve_fail(request, &err);
}

static const struct serve_role role = { .request = local_request };

int local_start(struct discoverd *d, struct err *err)
{
	d->serve = serve_new(d->service->loop, service_fd(d->service, "discover"), &role, d, err);
	return d->serve != NULL ? 0 : -1;
}

/* The requests that are open are gone, too. */
void local_stop(struct discoverd *d)
{
	serve_free(d->serve);
	timer_stop(&d->changes_due);
	free(d->watchers);
	d->serve = NULL;
	d->watchers = NULL;
	d->watcher_count = 0;
}
