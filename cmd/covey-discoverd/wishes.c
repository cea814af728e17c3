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

#define AGAIN_MS 250

struct wish {
	struct serve_request *request;
	struct discover_change change;
	uint64_t told;			/* the epoch of the last progress */
	struct wish *next;
};

static void tell(const struct wish *wish, const char *text)
{
	serve_reply(wish->request, DISCOVER_PROGRESS, str_of(text), NULL, 0);
}

static void tell_progress(struct wish *wish, const struct layout *layout)
{
	char text[160];

	if (wish->told == layout->epoch)
		return;
	wish->told = layout->epoch;
	snprintf(text, sizeof text, "epoch %" PRIu64 ": %zu members, homes %u, copies %u%s",
		 layout->epoch, layout->count, layout->homes, layout->copies,
		 !layout_is_joint(layout) ? ""
		 : wish->change.what == CHANGE_LEAVE
			 ? "; what is kept here is being taken over"
			 : "; records are on their way to their new homes");
	tell(wish, text);
}

/* Tell the council the numbers that are wanted. */
static void ask_council(struct discoverd *d, const struct layout_numbers *numbers)
{
	const struct layout *layout = settle_layout(d);
	struct wire_change change = { .lineage = layout->lineage, .numbers = *numbers };

	council_ask(&d->settle.council, numbers, clock_mono_ms());
	for (size_t i = 0; i < layout->count; i++) {
		const struct address *to = network_address(d, layout->members[i].id);

		if (!layout->members[i].council || to == NULL)
			continue;
		wire_pack_change(network_message(d, layout->members[i].id), &change);
		network_send(d, to);
	}
}

static bool set_is_done(struct discoverd *d, const struct wish *wish)
{
	const struct discover_change *change = &wish->change;
	struct layout_numbers numbers = { .homes = change->homes, .copies = change->copies,
					  .keep_versions = change->keep_versions,
					  .keep_days = change->keep_days };

	if (council_agrees(&d->settle.council, &numbers))
		return true;
	ask_council(d, &numbers);
	return false;
}

static bool leave_is_done(const struct discoverd *d)
{
	return d->standing.guest && layout_find(settle_layout(d), d->standing.self) == NULL;
}

static bool join_is_done(const struct discoverd *d)
{
	const struct layout *layout = settle_layout(d);

	return !d->standing.guest && !layout_is_joint(layout) &&
	       layout_find(layout, d->standing.self) != NULL;
}

static bool is_done(struct discoverd *d, const struct wish *wish)
{
	if (wish->change.what == CHANGE_LEAVE)
		return leave_is_done(d);
	return wish->change.what == CHANGE_JOIN ? join_is_done(d) : set_is_done(d, wish);
}

/* Leaving and joining take each other back. */
static bool is_taken_back(const struct discoverd *d, const struct wish *wish)
{
	return (wish->change.what == CHANGE_LEAVE && !d->guest_wanted) ||
	       (wish->change.what == CHANGE_JOIN && d->guest_wanted);
}

/* True when the wish is no more. */
static bool go_on(struct discoverd *d, struct wish *wish)
{
	struct err err = ERR_INIT;

	if (is_taken_back(d, wish)) {
		err_set(&err, ERR_CONFLICT, "change the layout: that was taken back");
		serve_fail(wish->request, &err);
		return true;
	}
	tell_progress(wish, settle_layout(d));
	if (!is_done(d, wish))
		return false;
	serve_reply(wish->request, DISCOVER_DONE, STR(""), NULL, 0);
	serve_end(wish->request);
	return true;
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
		timer_start(d->service->loop, timer, AGAIN_MS);
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
		return err_set(err, ERR_DENIED, "join the layout: this node forgot something: stop it and say covey node renew");
	return 0;
}

static void force(struct discoverd *d, struct serve_request *request)
{
	struct layout layout;
	struct err err = ERR_INIT;
	struct wish wish = { .request = request };

	if (council_force(&d->settle.council, &d->gossip.view, &layout, &err) < 0) {
		serve_fail(request, &err);
		return;
	}
	log_line(LOG_LEVEL_WARNING, "a layout is forced: epoch %" PRIu64 " of %zu members; what only "
		 "the others knew is lost unless they return", layout.epoch, layout.count);
	settle_force(d, &layout);
	tell(&wish, "the new layout is told to all that are up");
	serve_reply(request, DISCOVER_DONE, STR(""), NULL, 0);
	serve_end(request);
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
	wish->change = *change;
	wish->next = d->wishes;
	d->wishes = wish;
	d->wish_again.fire = again;
	timer_start(d->service->loop, &d->wish_again, 0);
}

void wishes_hear(struct discoverd *d, const struct wire_change *change)
{
	if (change->lineage == settle_layout(d)->lineage)
		council_ask(&d->settle.council, &change->numbers, clock_mono_ms());
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
