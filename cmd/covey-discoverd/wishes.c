/*
 * wishes - what people ask of the layout: covey layout set, leave, join, force, adopt, forget
 *
 * A wish is told to the council again and again until the layout is as it
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

struct wish {
	struct serve_request *request;
	struct agent_wish wish;
	uint64_t until;			/* ms; 0: without end */
	uint64_t waits_told;		/* of waits_changes */
	struct wish *next;
};

static void tell(struct serve_request *request, const char *text)
{
	serve_reply(request, DISCOVER_PROGRESS, str_of(text), NULL, 0);
}

static void tell_done(struct serve_request *request)
{
	serve_reply(request, DISCOVER_DONE, STR(""), NULL, 0);
	serve_end(request);
}

static void tell_waits(struct discoverd *d, struct wish *wish)
{
	char text[DISCOVER_WAITS_MAX + 20];

	wish->waits_told = d->waits_changes;
	if (d->waits[0] == '\0')
		return;
	snprintf(text, sizeof text, "waits for %s", d->waits);
	tell(wish->request, text);
}

/* Leaving and joining take each other back. */
static bool is_taken_back(const struct discoverd *d, const struct agent_wish *wish)
{
	return (wish->kind == AGENT_LEAVE && !d->guest_wanted) ||
	       (wish->kind == AGENT_JOIN && d->guest_wanted);
}

/* True when the wish is no more. */
static bool go_on(struct discoverd *d, struct wish *wish)
{
	struct err err = ERR_INIT;
	uint64_t now = clock_mono_ms();
	char progress[200];
	bool done;

	if (is_taken_back(d, &wish->wish)) {
		err_set(&err, ERR_CONFLICT, "change the layout: that was taken back");
		serve_fail(wish->request, &err);
		return true;
	}
	done = agent_wish(&d->agent, &wish->wish, now, progress);
	if (progress[0] != '\0')
		tell(wish->request, progress);
	if (wish->wish.kind == AGENT_LEAVE && wish->waits_told != d->waits_changes && !done)
		tell_waits(d, wish);
	if (done) {
		tell_done(wish->request);
	} else if (wish->until != 0 && now >= wish->until) {
		agent_wish_end(&d->agent, &wish->wish, &err);
		serve_fail(wish->request, &err);
		done = true;
	}
	return done;
}

static void again(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, wish_again);
	struct wish **link = &d->wishes;

	while (*link != NULL) {
		struct wish *wish = *link;

		if (go_on(d, wish)) {
			*link = wish->next;
			free(wish);
		} else {
			link = &wish->next;
		}
	}
	settle_step(d);
	if (d->wishes != NULL)
		timer_start(d->service->loop, timer, AGENT_WISH_MS);
}

static int refuse(const struct discoverd *d, const struct discover_change *change, struct err *err)
{
	const struct layout *layout = settle_layout(d);

	if (layout->epoch == 0)
		return err_set(err, ERR_DENIED, "change the layout: this node belongs to no group yet");
	if (change->what == CHANGE_LEAVE && layout_is_solo(layout) &&
	    layout_find(layout, d->standing.self) != NULL)
		return err_set(err, ERR_DENIED, "leave the layout: this node is its only member");
	if (change->what == CHANGE_ADOPT && change->lineage != layout->lineage &&
	    agent_can_adopt(&d->agent, change->lineage, err) < 0)
		return -1;
	if (change->what == CHANGE_JOIN && !d->service->conf->node.home)
		return err_set(err, ERR_DENIED, "join the layout: this node is a guest by node.home");
	if (change->what == CHANGE_JOIN && d->standing.silent)
		return err_set(err, ERR_DENIED, "join the layout: this node forgot something: stop it and say covey node renew");
	return 0;
}

/* True: *ret_lineage is to be waited for. */
static bool force(struct discoverd *d, struct serve_request *request, uint64_t *ret_lineage)
{
	struct layout layout;
	struct err err = ERR_INIT;
	char text[200];

	if (agent_force(&d->agent, clock_mono_ms(), &layout, &err) < 0) {
		serve_fail(request, &err);
		return false;
	}
	snprintf(text, sizeof text, "lineage %016" PRIx64 " of %zu members is forced away from lineage "
		 "%016" PRIx64 ", epoch %" PRIu64, layout.lineage, layout.count, layout.left_lineage,
		 layout.left_epoch);
	log_line(LOG_LEVEL_WARNING, "%s; what only the others knew is lost unless they come over", text);
	tell(request, text);
	*ret_lineage = layout.lineage;
	return true;
}

/* Who is a member of the layout leaves that first, or others would go on counting on it. */
static int forget(struct discoverd *d, uint64_t id, struct err *err)
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
	if (layout_find(settle_layout(d), id) != NULL)
		return err_set(err, ERR_DENIED, "forget %016" PRIx64 ": it is a member of the layout, "
			       "which leaves it out after an hour; if most members are lost, say covey "
			       "layout force", id);
	log_line(LOG_LEVEL_INFO, "forget %s, %016" PRIx64 ", as it was told to", m->name, id);
	view_forget(&d->gossip.view, id);
	discoverd_hurry(d);
	return 0;
}

static void wish_of(struct agent_wish *ret, const struct discover_change *change)
{
	static const enum agent_wish_kind kinds[] = {
		[CHANGE_SET] = AGENT_SET,     [CHANGE_LEAVE] = AGENT_LEAVE,
		[CHANGE_FORCE] = AGENT_ADOPT, [CHANGE_JOIN] = AGENT_JOIN,
		[CHANGE_ADOPT] = AGENT_ADOPT,
	};

	*ret = (struct agent_wish){ .kind = kinds[change->what], .lineage = change->lineage };
	ret->numbers = (struct layout_numbers){ .homes = change->homes, .copies = change->copies,
						.keep_versions = change->keep_versions,
						.keep_days = change->keep_days };
}

void wishes_ask(struct discoverd *d, struct serve_request *request,
		const struct discover_change *change)
{
	struct err err = ERR_INIT;
	struct wish *wish;
	uint64_t forced = 0;

	/* Of no layout: without one this node may wait for a group that is gone. */
	if (change->what == CHANGE_FORGET) {
		if (forget(d, change->node, &err) < 0)
			serve_fail(request, &err);
		else
			tell_done(request);
		return;
	}
	if (refuse(d, change, &err) < 0) {
		serve_fail(request, &err);
		return;
	}
	if (change->what == CHANGE_FORCE && !force(d, request, &forced))
		return;
	if (change->what == CHANGE_LEAVE || change->what == CHANGE_JOIN)
		standing_guest(d, change->what == CHANGE_LEAVE);
	wish = mem_new(1, sizeof *wish);
	wish->request = request;
	wish_of(&wish->wish, change);
	if (forced != 0)
		wish->wish.lineage = forced;
	if (change->within_ms != 0)
		wish->until = clock_mono_ms() + change->within_ms;
	wish->next = d->wishes;
	d->wishes = wish;
	d->wish_again.fire = again;
	timer_start(d->service->loop, &d->wish_again, 0);
}

void wishes_wait(struct discoverd *d, struct str why)
{
	size_t n = why.n < DISCOVER_WAITS_MAX ? why.n : DISCOVER_WAITS_MAX;

	memcpy(d->waits, why.s, n);
	d->waits[n] = '\0';
	d->waits_changes++;
}

void wishes_gone(struct discoverd *d, const struct serve_request *request)
{
	for (struct wish **link = &d->wishes; *link != NULL; link = &(*link)->next) {
		struct wish *wish = *link;

		if (wish->request != request)
			continue;
		agent_wish_end(&d->agent, &wish->wish, NULL);
		*link = wish->next;
		free(wish);
		return;
	}
}

void wishes_end(struct discoverd *d)
{
	timer_stop(&d->wish_again);
	while (d->wishes != NULL)
		wishes_gone(d, d->wishes->request);
}
