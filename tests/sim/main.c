/*
 * sim - run many schedules, each from one seed, and judge each history
 *
 *	sim [-o] [-v] [-h | -c | -f | -d] FIRST [COUNT]
 *
 * -o judges by what clients and people were told alone, and stops at the
 * first violation (the mutants' test uses it: a broken protocol has to show
 * there), -v tells what happens.  -h makes all schedules of those that hand
 * over what one node missed, -c of those with a council, -f of neither; -d
 * lets most of what clients do be about one directory, which they remove
 * again and again.  A seed that fails prints itself; `sim -v SEED`, with the
 * same of -h, -c, -f and -d, runs exactly that again.
 */
#include "sim.h"

#include "council.h"
#include "mem.h"

#include <inttypes.h>
#include <stdio.h>

/* One node has missed what two others know, of which one goes and one has lost it. */
static void choose_hand_overs(struct profile *p)
{
	p->hand_overs = true;
	p->machines = 4 + (int)below(2);
	p->members = 3 + (int)below(2);
	p->changes = BY_FIAT;
	p->copies = chance(30);
	p->losses = p->copies ? 0 : 1 + (unsigned)below(2);
	p->loss = 0;
	p->disk = below(3);
	p->disk_far = p->far = 0;
	p->faults = 3000;
	p->length = 7000;
	p->ops = 20 + (unsigned)below(20);
}

/* Nobody is cut off for long from a node and its copy. */
static void choose_clones(struct profile *p)
{
	p->clones = true;
	p->copies = p->cuts = p->udp_cuts = p->stops = p->rivals = p->founders = p->forces = false;
	p->jumps = false;		/* times one above another are not apart by the nanosecond */
}

static void choose_profile(struct profile *p)
{
	*p = (struct profile){ .machines = 1 + (int)below(MACHINES), .length = 1000 + below(3500),
			       .ops = 20 + (unsigned)below(60), .delay = 1 + below(12),
			       .disk = below(8) };
	p->members = 1 + (int)below((uint64_t)p->machines);
	if (p->machines >= 3 && chance(70))
		p->members = 3 + (int)below((uint64_t)p->machines - 2);
	p->loss = chance(60) ? (unsigned)below(25) : 0;
	p->doubles = chance(50) ? (unsigned)below(20) : 0;
	p->far = chance(60) ? below(1500) : 0;
	p->disk_far = chance(60) ? below(700) : 0;
	p->faults = chance(85) ? 60 + (unsigned)below(800) : 0;
	p->cuts = chance(60);
	p->jumps = chance(40);
	p->udp_cuts = chance(25);
	p->stops = chance(40);
	if (chance(30))
		p->losses = p->members >= 3 && chance(50) ? 1 : 2 + (unsigned)below(4);
	p->copies = p->losses == 0 && chance(15) && p->members >= 3;
	if (sim.kind == 'c' && p->machines == 1)
		p->machines = p->members = 3;
	if (sim.kind == 'c')
		p->changes = BY_COUNCIL;
	else if (p->machines > 1)
		p->changes = chance(55) ? BY_FIAT : chance(50) && sim.kind != 'f' ? BY_COUNCIL : FIXED;
	if (p->changes == BY_COUNCIL) {
		p->length = 5000 + below(12000);
		p->ops *= 3;
		p->faults = p->faults * 4;
		p->replays = chance(30);
		p->copies = p->losses == 0 && p->members >= 3 && chance(40);
		p->founders = !p->copies && p->machines >= 3 && chance(25);
		p->forces = !p->copies && p->losses == 0 && p->machines >= 3 && chance(20);
		if (p->forces)
			p->length += 20000;
		p->rivals = chance(40);
	}
	if (sim.kind == 'h' || (sim.kind == 0 && chance(12)))
		choose_hand_overs(p);
	else if (p->changes == BY_COUNCIL && p->losses == 0 && p->machines >= 4 && chance(30))
		choose_clones(p);
}

static void begin(uint64_t seed)
{
	sim = (struct sim){ .seed = seed, .rng = layout_mix(seed), .now = 1000,
			    .verbose = sim.verbose, .outcomes_only = sim.outcomes_only,
			    .kind = sim.kind, .spare = -1 };
	choose_profile(&sim.profile);
	say("%d machines, %d members, loss %u%%, faults %u, changes %d, losses %u",
	    sim.profile.machines, sim.profile.members, sim.profile.loss, sim.profile.faults,
	    sim.profile.changes, sim.profile.losses);
	if (sim.profile.clones)
		sim.spare = sim.profile.machines - 1;
	for (int i = 0; i < sim.profile.machines; i++) {
		sim.machines[i].index = i;
		sim.machines[i].disk.ended_at = -1;
		sim.machines[i].guest = i == sim.spare;
		if (i != sim.spare)
			machine_start(&sim.machines[i]);
	}
	change_begin();
}

static void end(void)
{
	for (int i = 0; i < sim.profile.machines; i++) {
		if (sim.machines[i].up)
			machine_crash(&sim.machines[i]);
		disk_wipe(&sim.machines[i].disk);
		disk_wipe(&sim.machines[i].copy);
	}
	drop_events();
	drop_captured();
	free(sim.decided);
	sim.decided = NULL;
	history_clear();
	facts_clear();
}

static bool is_settled(void)
{
	for (int i = 0; i < sim.profile.machines; i++)
		if (sim.machines[i].disk.outbox_count > 0 || sim.machines[i].ops != NULL ||
		    sim.machines[i].disk.layout.lineage != sim.newest.lineage ||
		    sim.machines[i].disk.layout.epoch != sim.newest.epoch)
			return false;
	return !layout_is_joint(&sim.newest) &&
	       (sim.profile.changes != BY_COUNCIL || council_is_content());
}

/* One of a council of two has lost its disk: only people can help (covey layout force). */
static bool needs_force(void)
{
	size_t seats = 0, lost = 0;

	for (size_t i = 0; i < sim.newest.count; i++) {
		if (!sim.newest.members[i].council)
			continue;
		seats++;
		lost += machine_of(sim.newest.members[i].id) == NULL;
	}
	return lost * 2 >= seats;
}

/*
 * Half seconds.  Too many lost disks may leave things undone for ever; a change that was given up
 * again and again is tried again within some hour.
 */
static int patience(void)
{
	if (sim.lost > 1 || (sim.lost == 1 && needs_force()))
		return 20;
	return sim.profile.changes == BY_COUNCIL ? 2 * (COUNCIL_DEAD_MS + 400000) / 1000 : 60;
}

/* What was there is to be there again, everywhere. */
static bool is_whole(void)
{
	return sim.lost == 0 || (sim.lost == 1 && sim.profile.losses <= 1 &&
				 sim.profile.changes != FIXED && !needs_force());
}

/* Trouble, then calm until there is nothing left to do. */
static bool run(uint64_t seed, struct totals *totals)
{
	begin(seed);
	run_until(1000 + sim.profile.disk + 1);
	trouble_begin();
	clients_begin();
	run_until(1000 + sim.profile.length);
	trouble_end();
	sim.quiet = true;
	for (int i = 0; i < patience() && sim.failures == 0; i++) {
		run_until(sim.now + 500);
		format_silent();
		if (sim.profile.changes == BY_COUNCIL)
			council_unite();
		if (i > 4 && is_settled())
			break;
	}
	/* sync once more, as every hour */
	for (int i = 0; i < sim.profile.machines; i++)
		change_started(&sim.machines[i]);
	run_until(sim.now + 2000);
	if (sim.failures == 0)
		history_judge();
	if (sim.failures == 0 && sim.lineages <= 1)
		judge_wishes();
	if (sim.failures == 0 && is_whole())
		judge_end();
	history_count(totals);
	totals->layouts += sim.decided_count;
	totals->packets += sim.sent;
	end();
	return sim.failures == 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: sim [-o] [-v] [-h | -c | -f | -d] FIRST [COUNT]\n");
	return 64;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, count = 1, failed = 0;
	struct totals totals = { 0 };

	for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
		sim.outcomes_only = sim.outcomes_only || argv[1][1] == 'o';
		sim.verbose = sim.verbose || argv[1][1] == 'v';
		if (strchr("hcfd", argv[1][1]) != NULL)
			sim.kind = argv[1][1];
	}
	if (argc < 2 || argc > 3 || str_u64(str_of(argv[1]), UINT64_MAX, &first) < 0 ||
	    (argc == 3 && str_u64(str_of(argv[2]), UINT64_MAX, &count) < 0))
		return usage();
	for (uint64_t i = 0; i < count && failed < (sim.outcomes_only ? 1 : 3); i++) {
		failed += !run(first + i, &totals);
	}
	history_free();
	printf("%" PRIu64 " schedules from seed %" PRIu64 ", %" PRIu64 " failed\n"
	       "%" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " histories and absences confirmed, %" PRIu64
	       " not; %" PRIu64 " layouts, %" PRIu64 " packets\n",
	       count, first, failed, totals.reads, totals.writes, totals.lists, totals.unconfirmed,
	       totals.layouts, totals.packets);
	return failed > 0 || totals.reads == 0 || totals.writes == 0;
}
