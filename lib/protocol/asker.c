/* asker - this node's questions to homes, and to others when these are away */
#include "asker.h"

#include "phase.h"
#include "storing.h"

void asker_init(struct asker *asker, struct home *home, uint64_t check_ms, uint64_t store_ms)
{
	*asker = (struct asker){ .home = home, .check_ms = check_ms, .store_ms = store_ms };
}

void asker_clear(struct asker *asker)
{
	while (asker->running != NULL)
		asker->running->kind->forget(asker->running);
	storing_forget_all(asker);
	peers_clear(&asker->peers);
	buf_clear(&asker->packet);
	*asker = (struct asker){ .due = 0 };
}

void asker_members(struct asker *asker, const struct members *members)
{
	peers_set(&asker->peers, members);
}

size_t asker_peers(const struct asker *asker)
{
	return peers_count(&asker->peers);
}

/* Each goes to the front of the list as it begins again: those that have not are behind it. */
void asker_layout(struct asker *asker, const struct layout *layout, uint64_t now)
{
	struct phase *old = asker->running, *next;

	asker->now = now;
	if (!home_layout(asker->home, layout))
		return;
	storing_forget_settled(asker);
	for (; old != NULL; old = next) {
		next = old->next;
		old->kind->restart(old, now);
	}
}

static struct phase *find(struct asker *asker, uint64_t id)
{
	struct phase *phase = asker->by_id[id % ASKER_BUCKETS];

	while (phase != NULL && phase->id != id)
		phase = phase->id_next;
	return phase;
}

static uint64_t id_of(const struct wire *wire)
{
	if (wire->type == WIRE_RECORD)
		return wire->record.id;
	return wire->type == WIRE_STORED ? wire->stored.id : wire->stale.id;
}

void asker_receive(struct asker *asker, const struct wire *wire, uint64_t now)
{
	struct phase *phase;

	asker->now = now;
	if (wire->type != WIRE_RECORD && wire->type != WIRE_STORED && wire->type != WIRE_STALE)
		return;
	phase = find(asker, id_of(wire));
	if (phase == NULL) {		/* too late for its question, but it lives */
		peers_heard_late(&asker->peers, wire->sender.id, id_of(wire), now);
		return;
	}
	phase_answered(phase, wire, now);
	phase->kind->step(phase, now);
}

void asker_committed(struct asker *asker, uint64_t id, bool on_disk, uint64_t now)
{
	struct phase *phase = find(asker, id);

	asker->now = now;
	if (phase == NULL || !phase->committing)
		return;
	phase_committed(phase, on_disk);
	phase->kind->step(phase, now);
}

/* done() may begin and cancel others: after each the list is gone through anew. */
void asker_tick(struct asker *asker, uint64_t now)
{
	struct phase *phase;

	asker->now = now;
	do {
		asker->due = 0;
		for (phase = asker->running; phase != NULL; phase = phase->next) {
			if (phase->due <= now) {
				phase_again(phase, now);
				if (phase->kind->step(phase, now))
					break;
			}
			if (asker->due == 0 || phase->due < asker->due)
				asker->due = phase->due;
		}
	} while (phase != NULL);
}
