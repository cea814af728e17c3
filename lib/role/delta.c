/* delta - a stored content coded, and what that has saved */
#include "delta.h"

#include "buf.h"
#include "coding.h"
#include "tally.h"

#include <fcntl.h>
#include <unistd.h>

#define KIND 1			/* of struct delta_counts: another when a field comes to mean something else */

struct delta_counts *delta_open(const char *run, struct err *why)
{
	return tally_open_in(run, "covey-delta", KIND, sizeof(struct delta_counts), why);
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

/* A file without a name, in the store. */
static int new_file(struct store *store, uint64_t size, int *ret_fd, struct err *err)
{
	struct stage *stage;

	if (store_fits(store, size, err) < 0 || stage_begin_passing(store, size, &stage, err) < 0)
		return -1;
	*ret_fd = fcntl(stage_fd(stage), F_DUPFD_CLOEXEC, 0);
	if (*ret_fd < 0)
		err_sys(err, "keep a file to code into");
	stage_free(stage);
	return *ret_fd < 0 ? -1 : 0;
}

int delta_encode(struct store *store, int from, uint64_t size, const struct store_entry *by, int *ret_fd,
		 uint64_t *ret_size, struct err *err)
{
	struct dictionary dictionary = DICTIONARY_INIT;
	int fd = -1, rc = new_file(store, size, &fd, err);

	if (rc == 0 && by->fd >= 0)
		rc = dictionary_read(&dictionary, by->fd, by->record.size, by->record.sha256, err);
	if (rc == 0)
		rc = coding_encode(by->fd >= 0 ? &dictionary : NULL, from, size, fd, ret_size, err);
	dictionary_clear(&dictionary);
	if (rc == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return rc;
}
