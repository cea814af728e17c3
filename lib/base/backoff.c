/* backoff - how long to rest after a failure: doubled each time, within bounds */
#include "backoff.h"

uint64_t backoff_ms(uint64_t first_ms, uint64_t max_ms, unsigned failures)
{
	uint64_t ms = first_ms;

	while (failures-- > 0 && ms < max_ms)
		ms = ms > max_ms / 2 ? max_ms : 2 * ms;
	return ms < max_ms ? ms : max_ms;
}
