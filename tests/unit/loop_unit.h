/* loop_unit - for unit tests whose other side answers on a loop of their own */
#ifndef COVEY_LOOP_UNIT_H
#define COVEY_LOOP_UNIT_H

#include "loop.h"
#include "unit.h"

static struct loop *loop;

static void stop_later(struct timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void run_for(uint64_t ms)
{
	struct timer timer = { .fire = stop_later };

	timer_start(loop, &timer, ms);
	CHECK(loop_run(loop, NULL) == 0);
	timer_stop(&timer);
}

#endif
