/*
 * clones - the disk of a node is copied, and both are started: one id at two addresses
 *
 * Of a node that runs, and goes on; or of one that is off, and comes back
 * before its copy has spoken, or long after.  Each runs what every start runs
 * (waking.h), and of the two at most one may answer as a home.
 *
 * What README says cannot be found out does not happen here: the two are not
 * cut off from each other, and a node whose disk is copied while it runs does
 * not die before its copy is known to be one.
 */
#include "sim.h"

/* Where the copy is to run, or runs. */
static struct machine *its_machine(void)
{
	return &sim.machines[sim.profile.machines - 1];
}

static bool may_be_copied(const struct machine *machine)
{
	const struct layout *layout = &machine->disk.layout;

	return machine->up && !machine->silent && layout->count >= 3 &&
	       layout_find(layout, machine->disk.id) != NULL;
}

static struct machine *choose_original(void)
{
	uint64_t first = rnd();

	for (int i = 0; i < sim.profile.machines; i++) {
		struct machine *machine =
			&sim.machines[(first + (uint64_t)i) % (uint64_t)sim.profile.machines];

		if (may_be_copied(machine))
			return machine;
	}
	return NULL;
}

static void read_again(struct event *event)
{
	(void)event;
	clients_read();
}

static void start_copy(struct event *event)
{
	(void)event;
	if (sim.spare < 0)
		return;
	machine_start(its_machine());
	sim.spare = -1;
	for (int i = 0; i < 4; i++)
		schedule(new_event(sizeof(struct event)), (uint64_t)i * 200, -1, read_again);
}

/* One of the others misses what is written until the copy starts, and may ask that one then. */
static void cut_another(const struct machine *original, uint64_t ms)
{
	int other = (int)below((uint64_t)sim.profile.machines);

	if (other != original->index)
		world_divide(~(1u << other), ms);
}

static void copy_one(struct event *event)
{
	struct machine *original = choose_original(), *copy = its_machine();
	uint64_t starts_in = below(1000);

	(void)event;
	if (sim.calm)
		return;
	if (original == NULL) {
		clones_begin();
		return;
	}
	if (chance(50))
		sim.copied = original;
	else
		world_crash(original, below(chance(40) ? 3000 : 9000));
	say("the disk of %d is copied to %d", original->index, copy->index);
	sim.lost++;
	disk_copy(&original->disk, &copy->disk);
	copy->guest = original->guest;
	cut_another(original, starts_in);
	schedule(new_event(sizeof(struct event)), starts_in, -1, start_copy);
}

void clones_begin(void)
{
	schedule(new_event(sizeof(struct event)), 300 + below(3000), -1, copy_one);
}

bool clones_need(const struct machine *machine)
{
	const struct disk *copy = &its_machine()->disk;

	return machine == sim.copied && copy->id == machine->disk.id && !copy->forgot;
}

void clones_judge(const struct machine *machine)
{
	for (int i = 0; i < sim.profile.machines; i++) {
		const struct machine *other = &sim.machines[i];

		if (other != machine && other->up && !machine->silent && !other->silent)
			MUST("3 (one process of an id answers)", other->disk.id != machine->disk.id);
	}
}
