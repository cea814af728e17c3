/* unopened - what claims to be of the group and no key of this node opens, counted by all processes of a node */
#include "unopened.h"

#include "tally.h"

#define KIND 1			/* of struct unopened: another when a count comes to mean something else */

struct unopened *unopened_open(const char *run, struct err *why)
{
	return tally_open_in(run, "covey-unopened", KIND, sizeof(struct unopened), why);
}

void unopened_close(struct unopened *unopened)
{
	tally_close(unopened, sizeof *unopened);
}

void unopened_count(struct unopened *unopened, enum unopened_by by)
{
	atomic_fetch_add_explicit(&unopened->counts[by], 1, memory_order_relaxed);
}

uint64_t unopened_of(const struct unopened *unopened, enum unopened_by by)
{
	return atomic_load_explicit(&unopened->counts[by], memory_order_relaxed);
}
