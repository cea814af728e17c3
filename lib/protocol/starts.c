/* starts - which start of a node is this, and does its disk know the last one? */
#include "starts.h"

bool start_eq(struct start a, struct start b)
{
	return a.count == b.count && a.nonce == b.nonce;
}

void starts_begin(struct starts *starts, uint64_t nonce)
{
	starts->now.count++;
	starts->now.nonce = nonce;
}

void starts_raise(struct starts *starts, uint64_t count)
{
	if (starts->now.count <= count)
		starts->now.count = count + 1;
}

void starts_speak(struct starts *starts)
{
	if (start_eq(starts->spoke, starts->now))
		return;
	starts->before = starts->spoke;
	starts->spoke = starts->now;
}

bool starts_speaks(const struct starts *starts)
{
	return starts->spoke.nonce == starts->now.nonce;
}

/* Who tells of one from before the last may have missed the last. */
bool starts_forgot(const struct starts *own, struct start others_know)
{
	return others_know.count > own->spoke.count ||
	       (others_know.count == own->spoke.count && others_know.nonce != own->spoke.nonce);
}

/* Whether a start that spoke, and names the one before, may follow what is known. */
static bool follows(struct start known, struct start before)
{
	if (known.count == 0)
		return true;
	return known.nonce != 0 && (before.count > known.count || start_eq(before, known));
}

void starts_learn(struct start *known, struct start spoke, struct start before)
{
	if (spoke.count > known->count) {
		if (!follows(*known, before))
			spoke.nonce = 0;
		*known = spoke;
	} else if (spoke.count == known->count && spoke.nonce != known->nonce) {
		known->nonce = 0;
	}
}
