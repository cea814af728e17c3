/*
 * The plan of a resync, with peers that answer and fail at random: nobody is
 * asked in vain or twice, no partition is with two at once, and it counts as
 * synced exactly when each partition has its majority.
 */
#include "unit.h"
#include "chance.h"

#include "resync.h"

#include <stdlib.h>
#include <time.h>

static struct resync resync;
static uint8_t counted[PARTITIONS][64];	/* by id: answered for it */

static bool is_home(const struct layout *layout, enum layout_set set, unsigned partition, uint64_t id)
{
	struct layout_order homes;

	layout_homes(layout, set, partition, &homes);
	for (size_t i = 0; i < homes.count; i++)
		if (homes.ids[i] == id)
			return true;
	return false;
}

static struct layout layout_of(unsigned a_from, unsigned a_to, unsigned b_from, unsigned b_to)
{
	struct layout layout = { .lineage = 1, .epoch = 7, .homes = 3, .copies = 2,
				 .keep_versions = 100 };

	for (unsigned id = 1; id < 64; id++) {
		uint8_t sets = (uint8_t)((id >= a_from && id <= a_to ? LAYOUT_A : 0) |
					 (id >= b_from && id <= b_to ? LAYOUT_B : 0));

		if (sets != 0)
			CHECK(layout_put(&layout, id, sets, 1, "") == 0);
	}
	layout_seat(&layout);
	return layout;
}

/* The definition, counted anew. */
static bool should_be_synced(const struct layout *layout, uint64_t self)
{
	for (unsigned partition = 0; partition < PARTITIONS; partition++) {
		struct layout_order a;
		size_t answered = 0;

		if (!is_home(layout, LAYOUT_B, partition, self))
			continue;
		layout_homes(layout, LAYOUT_A, partition, &a);
		for (size_t i = 0; i < a.count; i++)
			answered += a.ids[i] == self || counted[partition][a.ids[i]];
		if (answered <= a.count / 2)
			return false;
	}
	return true;
}

/* Somebody is yet to be asked, now or when it is back. */
static bool is_open(void)
{
	for (size_t i = 0; i < resync.count; i++)
		if (resync.peers[i].open > 0)
			return true;
	return false;
}

/* One batch: asked of a source, of partitions that are ours and not with another. */
struct batch {
	uint64_t peer;
	uint16_t partitions[64];
	size_t count;
};

static bool next(const struct layout *layout, uint64_t self, struct batch *batch)
{
	enum layout_set mine = resync.joint ? LAYOUT_B : LAYOUT_A;
	bool right = true;

	batch->count = resync_next(&resync, &batch->peer, batch->partitions, 64);
	for (size_t i = 0; i < batch->count; i++)
		right = right && batch->peer != self && !counted[batch->partitions[i]][batch->peer] &&
			is_home(layout, LAYOUT_A, batch->partitions[i], batch->peer) &&
			is_home(layout, mine, batch->partitions[i], self);
	CHECK(right);
	return batch->count > 0;
}

static bool overlap(const struct batch *a, const struct batch *b)
{
	for (size_t i = 0; i < a->count; i++)
		for (size_t k = 0; k < b->count; k++)
			if (a->partitions[i] == b->partitions[k])
				return true;
	return false;
}

static void answer(const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		counted[batch->partitions[i]][batch->peer] = 1;
		resync_done(&resync, batch->peer, batch->partitions[i]);
		resync_done(&resync, batch->peer, batch->partitions[i]);	/* counts once */
	}
}

/* dead: never answers; all others do, some after failures. */
static void run(const struct layout *layout, uint64_t self, uint64_t dead)
{
	struct batch one, two;

	memset(counted, 0, sizeof counted);
	resync_begin(&resync, layout, self);
	while (next(layout, self, &one)) {
		bool both = next(layout, self, &two);

		CHECK(!both || !overlap(&one, &two));
		if (one.peer == dead || below(4) == 0)
			resync_failed(&resync, one.peer, one.partitions, one.count);
		else
			answer(&one);
		if (both && two.peer == dead)
			resync_failed(&resync, two.peer, two.partitions, two.count);
		else if (both)
			answer(&two);
		if (resync.joint && below(16) == 0)
			CHECK((resync_synced(&resync) != 0) == should_be_synced(layout, self));
		for (size_t i = 0; i < resync.count; i++)
			if (resync.peers[i].id != dead && below(4) == 0)
				resync_back(&resync, resync.peers[i].id);
	}
}

/* Everybody that does not answer is away; bring the others back until they are through. */
static void finish(const struct layout *layout, uint64_t self, uint64_t dead)
{
	for (int round = 0; round < 2; round++) {
		struct batch batch;

		for (size_t i = 0; i < resync.count; i++)
			if (resync.peers[i].id != dead)
				resync_back(&resync, resync.peers[i].id);
		while (next(layout, self, &batch))
			if (batch.peer == dead)
				resync_failed(&resync, batch.peer, batch.partitions, batch.count);
			else
				answer(&batch);
	}
}

static void test_joint(void)
{
	struct layout layout = layout_of(1, 5, 1, 6);

	run(&layout, 6, 0);
	finish(&layout, 6, 0);
	CHECK(!is_open() && resync_synced(&resync) == 7);
	run(&layout, 6, 2);		/* a minority of some is dead */
	finish(&layout, 6, 2);
	CHECK(is_open() && resync_synced(&resync) == 7);
	run(&layout, 3, 0);		/* in both sets: counts as one of A */
	finish(&layout, 3, 0);
	CHECK(resync_synced(&resync) == 7);
}

static void test_joint_without_majority(void)
{
	struct layout layout = layout_of(1, 2, 1, 3);

	run(&layout, 3, 2);		/* both of two are a majority */
	finish(&layout, 3, 2);
	CHECK(resync_synced(&resync) == 0 && !should_be_synced(&layout, 3));
	resync_back(&resync, 2);
	finish(&layout, 3, 0);
	CHECK(resync_synced(&resync) == 7);
}

static void test_alone(void)
{
	struct layout founder = layout_of(1, 1, 1, 2), single = layout_of(1, 1, 0, 0);

	run(&founder, 1, 0);		/* was alone: has all there is */
	CHECK(resync_synced(&resync) == 7 && !is_open());
	run(&single, 1, 0);
	CHECK(resync_synced(&resync) == 0 && !is_open());
	run(&single, 2, 0);		/* a guest */
	CHECK(resync_synced(&resync) == 0 && !is_open());
	run(&LAYOUT_NONE, 1, 0);
	CHECK(resync_synced(&resync) == 0 && !is_open());
}

/* Of a layout that only takes 1 away, 1 has nothing to fetch and nothing to report. */
static void test_leaver(void)
{
	struct layout layout = layout_of(1, 4, 2, 4);

	run(&layout, 1, 0);
	CHECK(resync_synced(&resync) == 0 && !is_open());
}

static void test_single(void)
{
	struct layout layout = layout_of(1, 5, 0, 0);

	run(&layout, 4, 0);
	finish(&layout, 4, 0);
	CHECK(!is_open());
	for (unsigned partition = 0; partition < PARTITIONS; partition += 97)
		for (uint64_t id = 1; id <= 5; id++)
			if (id != 4 && is_home(&layout, LAYOUT_A, partition, 4))
				CHECK(counted[partition][id] ==
				      is_home(&layout, LAYOUT_A, partition, id));
	resync_begin(&resync, &resync.layout, 4);	/* once more, of the same */
	CHECK(is_open() && resync.layout.epoch == 7);
}

/* Of one partition all others are asked again; twice is once. */
static void test_again(void)
{
	struct layout layout = layout_of(1, 3, 0, 0), joint = layout_of(1, 3, 2, 4);
	uint16_t partitions[64];
	uint64_t first, second;

	run(&layout, 3, 0);
	finish(&layout, 3, 0);
	CHECK(!is_open());
	resync_again(&resync, 5);
	resync_again(&resync, 5);
	CHECK(resync_next(&resync, &first, partitions, 64) == 1 && partitions[0] == 5);
	resync_done(&resync, first, 5);
	CHECK(resync_next(&resync, &second, partitions, 64) == 1 && second != first);
	resync_done(&resync, second, 5);
	CHECK(!is_open());

	/* While it counts who was asked, nobody is asked twice. */
	memset(counted, 0, sizeof counted);
	resync_begin(&resync, &joint, 4);
	CHECK(resync_next(&resync, &first, partitions, 1) == 1);
	resync_done(&resync, first, partitions[0]);
	counted[partitions[0]][first] = 1;
	resync_again(&resync, partitions[0]);
	finish(&joint, 4, 0);
	CHECK(resync_synced(&resync) == 7);
	resync_again(&resync, 0);
	CHECK(resync_synced(&resync) == 7);
	resync_begin(&resync, &LAYOUT_NONE, 1);
	resync_again(&resync, 0);
	CHECK(!is_open());
}

int main(int argc, char **argv)
{
	if (!chance_begin(argc, argv, (uint64_t)time(NULL), NULL))
		return 64;
	test_joint();
	test_joint_without_majority();
	test_alone();
	test_leaver();
	test_single();
	test_again();
	return UNIT_RESULT();
}
