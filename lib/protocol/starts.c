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
