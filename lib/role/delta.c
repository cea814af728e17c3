/* delta - what coding contents has saved */
#include "delta.h"

#include "buf.h"
#include "tally.h"

#define KIND 1			/* of struct delta_counts: another when a field comes to mean something else */

struct delta_counts *delta_open(const char *run, struct err *why)
{
	struct delta_counts *counts;
	struct buf path = BUF_INIT;

	buf_addf(&path, "%s/covey-delta.tally", run);
	counts = tally_open(path.data, KIND, sizeof *counts, why);
	buf_clear(&path);
	return counts;
}

void delta_close(struct delta_counts *counts)
{
	tally_close(counts, sizeof *counts);
}

void delta_count(struct delta_counts *counts, enum delta_way way, uint64_t size, uint64_t coded)
{
	atomic_fetch_add_explicit(&counts->ways[way].contents, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&counts->ways[way].saved, size > coded ? size - coded : 0, memory_order_relaxed);
}
