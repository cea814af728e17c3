/*
 * wishes - what people ask of the layout: covey layout set, leave, join, force
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
	char progress[200];
	bool done;

	if (is_taken_back(d, &wish->wish)) {
		err_set(&err, ERR_CONFLICT, "change the layout: that was taken back");
		serve_fail(wish->request, &err);
		return true;
	}
	done = agent_wish(&d->agent, &wish->wish, clock_mono_ms(), progress);
	if (progress[0] != '\0')
		tell(wish->request, progress);
	if (done)
		tell_done(wish->request);
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
	if (change->what == CHANGE_JOIN && !d->service->conf->node.home)
		return err_set(err, ERR_DENIED, "join the layout: this node is a guest by node.home");
	if (change->what == CHANGE_JOIN && d->standing.silent)
		return err_set(err, ERR_DENIED, "join the layout: this node forgot something, and must be formatted anew");
	return 0;
}

static void force(struct discoverd *d, struct serve_request *request)
{
	struct layout layout;
	struct err err = ERR_INIT;

	if (agent_force(&d->agent, &layout, &err) < 0) {
		serve_fail(request, &err);
		return;
	}
	log_line(LOG_LEVEL_WARNING, "a layout is forced: epoch %" PRIu64 " of %zu members; what only "
		 "the others knew is lost unless they return", layout.epoch, layout.count);
	tell(request, "the new layout is told to all that are up");
	tell_done(request);
}

static void wish_of(struct agent_wish *ret, const struct discover_change *change)
{
	*ret = (struct agent_wish){ .kind = change->what == CHANGE_LEAVE  ? AGENT_LEAVE
					    : change->what == CHANGE_JOIN ? AGENT_JOIN
									  : AGENT_SET };
	ret->numbers = (struct layout_numbers){ .homes = change->homes, .copies = change->copies,
						.keep_versions = change->keep_versions,
						.keep_days = change->keep_days };
}

void wishes_ask(struct discoverd *d, struct serve_request *request,
		const struct discover_change *change)
{
	struct err err = ERR_INIT;
	struct wish *wish;

	if (refuse(d, change, &err) < 0) {
		serve_fail(request, &err);
		return;
	}
	if (change->what == CHANGE_FORCE) {
		force(d, request);
		return;
	}
	if (change->what == CHANGE_LEAVE || change->what == CHANGE_JOIN)
		standing_guest(d, change->what == CHANGE_LEAVE);
	wish = mem_new(1, sizeof *wish);
	wish->request = request;
	wish_of(&wish->wish, change);
	wish->next = d->wishes;
	d->wishes = wish;
	d->wish_again.fire = again;
	timer_start(d->service->loop, &d->wish_again, 0);
}

void wishes_gone(struct discoverd *d, const struct serve_request *request)
{
	for (struct wish **link = &d->wishes; *link != NULL; link = &(*link)->next) {
		struct wish *wish = *link;

		if (wish->request != request)
			continue;
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
