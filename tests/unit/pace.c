/* pace - who is slow is known by what was sent, and in doubt nobody is */
#include "pace.h"

#include "unit.h"

#define MIB (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000)	/* us */

/* One transfer proves nothing. */
static void twice(struct pace *p, uint64_t node, uint64_t rate, uint64_t now)
{
	pace_note(p, node, rate, now);
	pace_note(p, node, rate, now);
}

static void nothing_known(void)
{
	struct pace p = PACE_INIT;

	CHECK(!pace_pays(&p, 1, 50 * MIB, 0));
	CHECK(pace_us(&p, 1, 50 * MIB, 0) == 0);
	pace_note(&p, 1, 1000, 0);			/* one transfer alone */
	CHECK(!pace_pays(&p, 1, 50 * MIB, 0));
}

/* Mid-sized contents tell, and pay, as large ones do. */
static void slow_and_fast(void)
{
	struct pace p = PACE_INIT;

	twice(&p, 1, MIB, 0);
	twice(&p, 2, 800 * MIB, 0);
	twice(&p, 3, 110 * MIB, 0);			/* 1 Gbit/s, nearly */
	CHECK(pace_us(&p, 1, MIB, 0) == SECOND);
	CHECK(pace_pays(&p, 1, 50 * MIB, 0) && pace_pays(&p, 1, 64 << 10, 0));
	CHECK(!pace_pays(&p, 1, 1000, 0));
	CHECK(!pace_pays(&p, 2, 50 * MIB, 0) && !pace_pays(&p, 2, 64 << 10, 0));
	CHECK(!pace_pays(&p, 3, 50 * MIB, 0));
	CHECK(!pace_pays(&p, 4, 50 * MIB, 0));
}

/* A quick coder pays where a slow one does not. */
static void coder(void)
{
	struct pace p = PACE_INIT;

	twice(&p, 1, 100 * MIB, 0);
	CHECK(!pace_pays(&p, 1, 50 * MIB, 0));
	pace_note_coder(&p, 1000 * MIB, SECOND, 0);
	CHECK(pace_pays(&p, 1, 50 * MIB, 0));
	for (int i = 0; i < 20; i++)
		pace_note_coder(&p, 10 * MIB, SECOND, 7);
	CHECK(!pace_pays(&p, 1, 50 * MIB, 7));
	twice(&p, 2, 8 * MIB, 7);
	CHECK(!pace_pays(&p, 2, 50 * MIB, 7));
	/* It may have been busy then: that is not remembered for ever. */
	twice(&p, 2, 8 * MIB, 7 + PACE_FRESH_MS);
	CHECK(pace_pays(&p, 2, 50 * MIB, 7 + PACE_FRESH_MS));
	pace_note_coder(&p, 1000 * MIB, SECOND, 7 + PACE_FRESH_MS);
	twice(&p, 1, 100 * MIB, 7 + PACE_FRESH_MS);
	CHECK(pace_pays(&p, 1, 50 * MIB, 7 + PACE_FRESH_MS));
}

static void shared(void)
{
	struct pace p = PACE_INIT;

	twice(&p, 1, 1000 * MIB, 0);
	pace_note(&p, 1, MIB, 0);			/* one that had to share */
	CHECK(!pace_pays(&p, 1, 50 * MIB, 0));
	pace_note(&p, 1, MIB, 0);
	CHECK(pace_pays(&p, 1, 50 * MIB, 0));
	pace_note(&p, 1, 1000 * MIB, 0);		/* one that had not */
	CHECK(!pace_pays(&p, 1, 50 * MIB, 0));
	pace_note(&p, 1, MIB, 0);
	CHECK(!pace_pays(&p, 1, 50 * MIB, 0));
}

/* After an hour it is measured again: the next ones go as they are. */
static void age(void)
{
	struct pace p = PACE_INIT;

	twice(&p, 1, MIB, 5);
	CHECK(pace_pays(&p, 1, MIB, 5 + PACE_FRESH_MS - 1));
	CHECK(!pace_pays(&p, 1, MIB, 5 + PACE_FRESH_MS));
	pace_note(&p, 1, MIB, 5 + PACE_FRESH_MS);
	CHECK(!pace_pays(&p, 1, MIB, 5 + PACE_FRESH_MS));
	twice(&p, 1, 1000 * MIB, 6);
	twice(&p, 1, MIB, 6 + PACE_FRESH_MS);		/* what was is no more */
	CHECK(pace_us(&p, 1, MIB, 6 + PACE_FRESH_MS) == SECOND);
}

/* Contents that become hardly smaller: after each that did not, fewer are tried. */
static void in_vain(void)
{
	struct pace p = PACE_INIT;
	int tried = 0;

	twice(&p, 1, MIB, 0);
	for (int i = 0; i < 1000; i++)
		if (pace_pays(&p, 1, MIB, 0)) {
			pace_note_result(&p, false);
			tried++;
		}
	CHECK(tried >= 10 && tried < 30);
	while (!pace_pays(&p, 1, MIB, 0))
		;
	pace_note_result(&p, true);
	CHECK(pace_pays(&p, 1, MIB, 0) && pace_pays(&p, 1, MIB, 0));
}

static void many_peers(void)
{
	struct pace p = PACE_INIT;

	for (uint64_t node = 1; node <= PACE_PEERS_MAX + 1; node++)
		twice(&p, node, MIB, 0);
	CHECK(pace_us(&p, 1, MIB, 0) == 0);
	CHECK(pace_us(&p, 2, MIB, 0) == SECOND && pace_us(&p, PACE_PEERS_MAX + 1, MIB, 0) == SECOND);
	twice(&p, 1, 0, 0);				/* nothing at all is no division */
	CHECK(pace_us(&p, 1, MIB, 0) > SECOND);
}

int main(void)
{
	nothing_known();
	slow_and_fast();
	coder();
	shared();
	age();
	in_vain();
	many_peers();
	return UNIT_RESULT();
}
