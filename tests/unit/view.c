/* The view where the simulator of the gossip does not look: memory, identity, clocks. */
#include "unit.h"

#include "view.h"

static struct member member_of(uint64_t id, const char *discovery)
{
	struct member m = { .id = id, .start = 1, .heartbeat = 1, .state = MEMBER_UP,
			    .protocol_min = MEMBER_PROTOCOL, .protocol_max = MEMBER_PROTOCOL };

	CHECK(address_parse(str_of(discovery), &m.discovery, NULL) == 0);
	return m;
}

static void test_sequence_only_grows(void)
{
	struct member self = member_of(1, "127.0.0.1:1"), other = member_of(2, "127.0.0.1:2");
	struct view view;

	view_init(&view, &self, 1000);
	other.sequence = 20;
	view_hear(&view, &other, true, 1000);
	other.start = 2;		/* its disk went back, but for the count of starts */
	other.sequence = 3;
	CHECK(view_hear(&view, &other, true, 1100));
	CHECK(view.entries[0].member.start == 2 && view.entries[0].member.sequence == 20);
	view_clear(&view);
}

static void test_what_others_remember(void)
{
	struct member self = member_of(1, "127.0.0.1:1"), word = self;
	struct view view;

	view_init(&view, &self, 1000);
	word.start = 0;			/* an old word is one too */
	word.sequence = 7;
	CHECK(!view_hear(&view, &word, false, 1000));
	CHECK(view.recalled == 7 && view.outdone == 0);
	word.start = 4;
	view_hear(&view, &word, false, 1000);
	CHECK(view.outdone == 4);
	view_clear(&view);
}

/* Others know a start that spoke, and this disk does not. */
static void test_forgotten(void)
{
	struct member self = member_of(1, "127.0.0.1:1"), word;
	struct view view;

	self.start = 4;
	self.nonce = 44;
	self.spoke = (struct start){ 2, 22 };
	view_init(&view, &self, 1000);
	word = self;
	word.start = 3;
	word.nonce = 33;
	view_hear(&view, &word, false, 1000);
	word.spoke = (struct start){ 1, 99 };	/* who tells has missed the last */
	view_hear(&view, &word, false, 1000);
	CHECK(!view.forgotten);
	word.spoke = (struct start){ 3, 33 };
	view_hear(&view, &word, false, 1000);
	CHECK(view.forgotten);
	view_clear(&view);
}

/* A later start of ours whose word gets newer is another process. */
static void test_may_live_twice(void)
{
	struct member self = member_of(1, "127.0.0.1:1"), word = member_of(1, "127.0.0.1:9");
	struct view view;

	self.nonce = 11;
	view_init(&view, &self, 1000);
	word.start = 2;
	word.nonce = 22;
	view_hear(&view, &word, false, 1000);
	CHECK(view.outdone == 2 && view_may_live_twice(&view, 1000));
	word.heartbeat++;
	view_hear(&view, &word, false, 1500);
	CHECK(view_may_live_twice(&view, 1500 + VIEW_DOWN_MS - 1));
	view_hear(&view, &word, false, 2000);	/* what is remembered of it */
	CHECK(!view_may_live_twice(&view, 1500 + VIEW_DOWN_MS));
	view_clear(&view);
}

/* What a member's start did stays known, whatever it says later and whoever tells of it. */
static void test_spoke_is_kept(void)
{
	struct member self = member_of(1, "127.0.0.1:1"), other = member_of(2, "127.0.0.1:2");
	struct view view;

	view_init(&view, &self, 1000);
	other.nonce = 10;
	other.spoke = (struct start){ 1, 10 };
	view_hear(&view, &other, true, 1000);
	other.start = 2;
	other.nonce = 20;		/* it does not speak yet */
	CHECK(view_hear(&view, &other, true, 1100));
	CHECK(start_eq(view.entries[0].member.spoke, (struct start){ 1, 10 }));
	other.start = 1;
	other.before = (struct start){ 1, 10 };
	other.spoke = (struct start){ 2, 66 };	/* an older word, of one who knows more */
	CHECK(!view_hear(&view, &other, false, 1200));
	CHECK(start_eq(view.entries[0].member.spoke, (struct start){ 2, 66 }));
	other.start = 3;
	other.spoke = other.before = (struct start){ 0, 0 };	/* its disk was put back */
	CHECK(view_hear(&view, &other, true, 1300));
	CHECK(start_eq(view.entries[0].member.spoke, (struct start){ 2, 66 }));
	view_clear(&view);
}

static void test_returns(void)
{
	struct member self = member_of(1, "127.0.0.1:1"), other = member_of(2, "127.0.0.1:2");
	struct view view;

	view_init(&view, &self, 1000);
	view_hear(&view, &other, true, 1000);
	CHECK(view.returns == 1);
	other.heartbeat++;
	view_hear(&view, &other, true, 1500);
	CHECK(view.returns == 1);
	for (uint64_t now = 2000; now < 9000; now += 500)
		view_tick(&view, now);
	CHECK(view.entries[0].member.state == MEMBER_DOWN);
	other.heartbeat++;
	view_hear(&view, &other, true, 9000);
	CHECK(view.returns == 2);
	view_clear(&view);
}

/* Words that waited while this node slept were not heard an hour later than now. */
static void test_slept(void)
{
	struct member self = member_of(1, "127.0.0.1:1"), other = member_of(2, "127.0.0.1:2");
	uint64_t now = 3600000;
	struct view view;

	view_init(&view, &self, 1000);
	view_hear(&view, &other, true, 1000);
	view_tick(&view, 1000);
	other.heartbeat++;
	view_hear(&view, &other, true, now);
	view_tick(&view, now);
	CHECK(view.entries[0].member.state == MEMBER_UP);
	for (uint64_t end = now + VIEW_DOWN_MS; now < end; now += 500)
		view_tick(&view, now);
	view_tick(&view, now);
	CHECK(view.entries[0].member.state == MEMBER_DOWN);
	view_clear(&view);
}

/* The lower median: one clock that is hours off moves nobody. */
static void test_offset(void)
{
	static const int64_t ahead[] = { 5000, INT64_C(3600000000000), -20 };
	struct member self = member_of(1, "127.0.0.1:1");
	struct view view;

	view_init(&view, &self, 1000);
	CHECK(view_offset(&view, 77) == 77);	/* alone: as it was */
	for (uint64_t i = 0; i < 3; i++) {
		struct member other = self;

		other.id = 2 + i;
		view_hear(&view, &other, true, 1000);
		CHECK(view_offset(&view, 77) == (i == 0 ? 77 : i == 1 ? 0 : 5000));
		view_clock(&view, other.id, ahead[i]);
	}
	CHECK(view_offset(&view, 77) == 0);	/* -20 0 5000 an hour */
	view_clock(&view, 2, -30);
	view_clock(&view, 99, -1000);		/* nobody knows it */
	CHECK(view_offset(&view, 77) == -20);
	for (uint64_t now = 1500; now < 9000; now += 500)
		view_tick(&view, now);
	CHECK(view_offset(&view, 77) == 77);	/* who is down says no time */
	view_clear(&view);
}

int main(void)
{
	test_sequence_only_grows();
	test_what_others_remember();
	test_forgotten();
	test_may_live_twice();
	test_spoke_is_kept();
	test_returns();
	test_slept();
	test_offset();
	return UNIT_RESULT();
}
