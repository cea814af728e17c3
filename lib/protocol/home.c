/* home - the answerer's step: what this node says when it is asked */
#include "home.h"

static void pack_sender(struct home *home)
{
	buf_reset(&home->sender);
	wire_pack_sender(&home->sender, home->group, &home->self);
}

void home_init(struct home *home, uint64_t group, const struct member *self)
{
	*home = (struct home){ .layout = LAYOUT_NONE, .self = *self, .group = group };
	home->self.name[0] = home->self.region[0] = '\0';
	pack_sender(home);
}

void home_clear(struct home *home)
{
	buf_clear(&home->sender);
	*home = (struct home){ .lookup = NULL };
}

void home_group(struct home *home, uint64_t group)
{
	home->group = group;
	pack_sender(home);
}

bool home_layout(struct home *home, const struct layout *layout)
{
	if (layout->lineage == home->layout.lineage && layout->epoch <= home->layout.epoch)
		return false;
	home->layout = *layout;
	home->self.lineage = layout->lineage;
	home->self.epoch = layout->epoch;
	pack_sender(home);
	return true;
}

/* What comes before looking: is this question for a node as this one is now? */
static enum home_step judge(const struct home *home, uint64_t lineage, uint64_t epoch, uint64_t id,
			    struct buf *packet)
{
	struct wire_stale stale = { .id = id, .epoch = home->layout.epoch };

	if (epoch == 0)
		return HOME_COMMIT;
	if (home->layout.epoch == 0)
		return HOME_FETCH;
	if (lineage != home->layout.lineage)
		return HOME_NOTHING;
	if (epoch > home->layout.epoch)
		return HOME_FETCH;
	if (epoch < home->layout.epoch) {
		wire_pack(packet, WIRE_STALE, &stale);
		return HOME_ANSWER;
	}
	return home->silent ? HOME_NOTHING : HOME_COMMIT;
}

static enum home_step answer_check(const struct home *home, const struct wire_check *check,
				   uint64_t clock, struct buf *packet)
{
	struct home_found found = { .content = false };
	struct wire_record answer;

	if (home->lookup(home->data, check->path, check->version, check->below, &found) < 0)
		return HOME_NOTHING;
	answer = (struct wire_record){ .id = check->id, .epoch = check->epoch, .clock = clock,
				       .content = found.content, .record = found.record,
				       .type = str_of(found.type), .entry = found.entry,
				       .gate = found.gate };
	wire_pack(packet, WIRE_RECORD, &answer);
	return HOME_ANSWER;
}

static void begin(const struct home *home, uint64_t asker, struct buf *packet)
{
	buf_reset(packet);
	buf_addstr(packet, buf_str(&home->sender));
	wire_pack_to(packet, asker, WIRE_VERSIONS);
}

enum home_step home_receive(const struct home *home, const struct wire *wire, uint64_t clock,
			    struct buf *packet)
{
	uint64_t lineage = wire->sender.lineage;
	enum home_step step;

	begin(home, wire->sender.id, packet);
	if (wire->type == WIRE_STORE)
		return judge(home, lineage, wire->store.epoch, wire->store.id, packet);
	if (wire->type != WIRE_CHECK)
		return HOME_NOTHING;
	step = judge(home, lineage, wire->check.epoch, wire->check.id, packet);
	return step == HOME_COMMIT ? answer_check(home, &wire->check, clock, packet) : step;
}

enum home_step home_stored(const struct home *home, uint64_t asker,
			   const struct wire_store *store, struct buf *packet)
{
	struct home_found found = { .content = false };
	struct wire_stored answer;
	enum home_step step;

	begin(home, asker, packet);
	step = judge(home, home->layout.lineage, store->epoch, store->id, packet);
	if (step != HOME_COMMIT)
		return step == HOME_ANSWER ? HOME_ANSWER : HOME_NOTHING;
	if (home->lookup(home->data, store->path, VERSION_NONE, false, &found) < 0)
		return HOME_NOTHING;
	answer = (struct wire_stored){ .id = store->id, .epoch = store->epoch,
				       .newest = found.record.version, .gate = found.gate };
	wire_pack(packet, WIRE_STORED, &answer);
	return HOME_ANSWER;
}
