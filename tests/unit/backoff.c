/* Unit test of backoff: it doubles, and stays within its bounds however often something fails. */
#include "backoff.h"

#include "unit.h"

#include <limits.h>

int main(void)
{
	static const uint64_t rests[] = { 100, 200, 400, 800, 1600, 3200, 5000, 5000 };

	for (unsigned i = 0; i < sizeof rests / sizeof *rests; i++)
		CHECK(backoff_ms(100, 5000, i) == rests[i]);
	CHECK(backoff_ms(100, 5000, UINT_MAX) == 5000);
	CHECK(backoff_ms(1000, 8000, 3) == 8000);
	CHECK(backoff_ms(1, UINT64_MAX, UINT_MAX) == UINT64_MAX);
	CHECK(backoff_ms(0, 8000, 1000) == 0);
	CHECK(backoff_ms(9000, 8000, 0) == 8000);
	return UNIT_RESULT();
}
