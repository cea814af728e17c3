/* budget - the memory of bodies on their way in */
#include "budget.h"

#include "buf.h"
#include "file.h"
#include "str.h"

#include <sys/resource.h>

#define PART 8				/* of all memory that this process may have */
#define FILE_BYTES 4096

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t limit_of(int resource)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX :
										     limit.rlim_cur;
}

/* The number in a file; UINT64_MAX: it has none ("max"), or is not there. */
static uint64_t limit_in(const char *file)
{
	struct buf text = BUF_INIT;
	uint64_t limit = UINT64_MAX;

	if (file_read(file, FILE_BYTES, &text, NULL) == 0)
		str_u64(str_trim(buf_str(&text)), UINT64_MAX - 1, &limit);
	buf_clear(&text);
	return limit;
}

/* Of the control group at the path, and of those around it. */
static uint64_t limit_of_groups(struct str path)
{
	uint64_t limit = UINT64_MAX;
	struct buf file = BUF_INIT;

	for (;;) {
		buf_reset(&file);
		buf_addf(&file, "/sys/fs/cgroup%.*s/memory.max", STR_ARG(path));
		limit = least(limit, limit_in(file.data));
		if (path.n == 0)
			break;
		do
			path.n--;
		while (path.n > 0 && path.s[path.n] != '/');
	}
	buf_clear(&file);
	return limit;
}

/* "0::/system.slice/covey-httpd.service" */
static uint64_t limit_of_cgroup(void)
{
	struct buf text = BUF_INIT;
	uint64_t limit = UINT64_MAX;
	struct str rest, line;

	if (file_read("/proc/self/cgroup", FILE_BYTES, &text, NULL) == 0)
		for (rest = buf_str(&text); str_cut(&rest, '\n', &line); )
			if (str_starts(line, STR("0::/")))
				limit = limit_of_groups((struct str){ line.s + 3, line.n - 3 });
	buf_clear(&text);
	return limit;
}

void budget_init(struct budget *budget, uint64_t most)
{
	uint64_t memory = least(limit_of_cgroup(), least(limit_of(RLIMIT_AS), limit_of(RLIMIT_DATA)));

	budget->most = least(most, memory / PART);
	atomic_init(&budget->used, 0);
}

static bool take_up_to(struct budget *budget, size_t bytes, uint64_t most)
{
	uint64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);

	do
		if (used + bytes > most)
			return false;
	while (!atomic_compare_exchange_weak(&budget->used, &used, used + bytes));
	return true;
}

bool budget_take(struct budget *budget, size_t bytes)
{
	return take_up_to(budget, bytes, budget->most);
}

bool budget_take_first(struct budget *budget, size_t bytes)
{
	return take_up_to(budget, bytes, 2 * budget->most);
}

void budget_give(struct budget *budget, size_t bytes)
{
	atomic_fetch_sub(&budget->used, bytes);
}

bool budget_is_ample(const struct budget *budget)
{
	return atomic_load_explicit(&budget->used, memory_order_relaxed) < budget->most / 2;
}
