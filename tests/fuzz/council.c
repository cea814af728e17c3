/*
 * Any bytes as a message about layouts: refused, or acceptor, proposer and
 * agent stay in order: no layout but a lawful next one is ever accepted, and
 * none that is older is ever written.
 */
#include "agent.h"
#include "gossip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define SELF 1

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static uint64_t counted(void *data)
{
	static uint64_t n;

	(void)data;
	return ++n % 16;
}

static void no_send(void *data, uint64_t to, enum wire_type type, const struct wire_synod *body)
{
	(void)data;
	expect(to != 0 && (type == WIRE_PREPARE || type == WIRE_ACCEPT));
	expect(type == WIRE_PREPARE || body->value.epoch == 2);
}

static struct layout base(uint64_t lineage)
{
	struct layout layout = { .lineage = lineage, .epoch = 1, .homes = 3, .copies = 2,
				 .keep_versions = 1 };

	layout_put(&layout, SELF, LAYOUT_A, 1, "");
	layout_put(&layout, 2, LAYOUT_A, 1, "");
	layout_seat(&layout);
	return layout;
}

static void to_synod(const struct wire *wire)
{
	struct layout layout = base(wire->synod.lineage), wish = layout;
	struct synod_promise promise = SYNOD_PROMISE_NONE;
	struct synod_proposer proposer = { .send = no_send, .random = counted, .self = SELF };
	struct wire_synod answer;
	enum wire_type type;

	if (layout.lineage == 0)
		return;
	if (wire->type == WIRE_PREPARE || wire->type == WIRE_ACCEPT) {
		synod_hear(&promise, &layout, SELF, wire->type, &wire->synod, &type, &answer);
		expect(promise.value.epoch == 0 || synod_may_follow(&layout, &promise.value));
	}
	wish.epoch++;
	synod_propose(&proposer, &layout, &wish, &promise, 1000);
	for (uint64_t from = 1; from <= 2; from++)
		synod_answer(&proposer, from, wire->type, &wire->synod, 1000);
	synod_tick(&proposer, 1100);
	expect(proposer.phase != SYNOD_DECIDED);	/* two phases need two answers each */
}

/* an agent, whose disk writes at once */

static struct agent agent;
static struct buf packet;
static bool promises, writes;		/* what the disk is asked for */
static struct layout written;

static struct buf *message(void *data, uint64_t to)
{
	(void)data;
	expect(to != 0);
	buf_reset(&packet);
	return &packet;
}

static void send_message(void *data, const struct address *to, bool answer_is_due)
{
	(void)data;
	(void)to;
	(void)answer_is_due;
	expect(packet.len > 0 && packet.len <= WIRE_PLAIN_BYTES);
}

static void write_promise(void *data, const struct synod_promise *promise)
{
	(void)data;
	expect(!promises && promise->lineage == agent_layout(&agent)->lineage);
	expect(promise->value.epoch == 0 ||
	       synod_may_follow(agent_layout(&agent), &promise->value));
	promises = true;
}

static void write_layout(void *data, const struct layout *layout)
{
	(void)data;
	expect(!writes && layout->epoch != 0);
	expect(layout->lineage != agent_layout(&agent)->lineage ||
	       layout->epoch > agent_layout(&agent)->epoch);
	writes = true;
	written = *layout;
}

static void used(void *data)
{
	(void)data;
	expect(layout_eq(agent_layout(&agent), &written));
}

static void say(void *data, bool warning, const char *text)
{
	(void)data;
	(void)warning;
	expect(text[0] != '\0');
}

static void let_disk_write(uint64_t now)
{
	while (promises || writes) {
		bool promised = promises;

		if (promised) {
			promises = false;
			agent_promised(&agent, true, now);
		} else {
			writes = false;
			agent_written(&agent, true, &SYNOD_PROMISE_NONE, now);
		}
	}
}

static void to_agent(const struct wire *wire)
{
	static const struct layout_numbers numbers = { 3, 2, 100, 0 };
	static const struct member self = { .id = SELF, .state = MEMBER_UP, .protocol_min = MEMBER_PROTOCOL,
					    .protocol_max = MEMBER_PROTOCOL };
	struct council_seeds seeds = { .count = 0 };
	struct layout layout = base(7);
	struct view view;

	view_init(&view, &self, 1000);
	view_hear(&view, &wire->sender, true, 1000);
	if (wire->type == WIRE_GOSSIP)
		for (size_t i = 0; i < wire->gossip.count; i++)
			view_hear(&view, &wire->gossip.members[i].member, false, 1000);
	agent = (struct agent){ .view = &view, .message = message, .send = send_message,
				.write_promise = write_promise, .write_layout = write_layout,
				.used = used, .say = say, .random = counted };
	agent_init(&agent, &numbers, &layout, &SYNOD_PROMISE_NONE, 1000);
	for (uint64_t now = 1000; now < 30000; now += 700) {
		agent_hear(&agent, wire, &self.discovery, now);
		let_disk_write(now);
		agent_step(&agent, &seeds, now);
		let_disk_write(now);
	}
	view_clear(&view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str plain = { (const char *)data, n };
	struct wire wire;

	if (n > WIRE_PLAIN_BYTES || wire_unpack(plain, MEMBER_PROTOCOL, &wire) < 0)
		return 0;
	if (wire.type >= WIRE_PREPARE && wire.type <= WIRE_NACK)
		to_synod(&wire);
	to_agent(&wire);
	return 0;
}
