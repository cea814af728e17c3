/* drain - reading the outbox, for whoever finishes what writers left */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct position {
	uint64_t segment;
	uint32_t offset;	/* all before it was told, or done */
	bool there;		/* met in this round */
};

struct outbox_reader {
	struct store *store;
	struct position *positions;	/* owned */
	size_t count;
	/* of one round */
	int (*each)(void *data, const struct outbox_entry *);
	void *data;
	struct err *err;
};

struct outbox_reader *outbox_reader_new(struct store *store)
{
	struct outbox_reader *reader = mem_new(1, sizeof *reader);

	reader->store = store;
	return reader;
}

void outbox_reader_free(struct outbox_reader *reader)
{
	if (reader != NULL)
		free(reader->positions);
	free(reader);
}

static int read_segment(int fd, struct buf *to, struct err *err)
{
	ssize_t n = pread(fd, buf_reserve(to, SEGMENT_BYTES), SEGMENT_BYTES, 0);

	if (n < 0)
		return err_sys(err, "read a segment of the outbox");
	to->len = (size_t)n;
	return 0;
}

static struct position *position_of(struct outbox_reader *reader, uint64_t segment)
{
	for (size_t i = 0; i < reader->count; i++)
		if (reader->positions[i].segment == segment)
			return &reader->positions[i];
	reader->positions = mem_resize(reader->positions, reader->count + 1,
				       sizeof *reader->positions);
	reader->positions[reader->count] = (struct position){ .segment = segment };
	return &reader->positions[reader->count++];
}

static int tell(struct outbox_reader *reader, struct position *position, struct str segment)
{
	struct outbox_entry entry;
	uint32_t behind = position->offset;
	bool done;

	while (outbox_parse(segment, &behind, &entry, &done)) {
		if (!done && reader->each(reader->data, &entry) < 0)
			return -1;
		position->offset = behind;
	}
	return 0;
}

static int read_named(void *data, const char *name)
{
	struct outbox_reader *reader = data;
	struct buf bytes = BUF_INIT;
	struct position *position;
	uint64_t id, inside;
	int fd, status;

	if (segment_of_name(name, &id) < 0)
		return 0;
	fd = segment_open(reader->store, id);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(reader->err, "open a segment of the outbox");
	status = read_segment(fd, &bytes, reader->err);
	close(fd);
	position = position_of(reader, id);
	position->there = true;
	if (status == 0 && segment_parse_head(buf_str(&bytes), &inside) && inside == id)
		status = tell(reader, position, buf_str(&bytes));
	buf_clear(&bytes);
	return status;
}

int outbox_read(struct outbox_reader *reader, int (*each)(void *data, const struct outbox_entry *),
		void *data, struct err *err)
{
	size_t kept = 0;
	int status;

	reader->each = each;
	reader->data = data;
	reader->err = err;
	for (size_t i = 0; i < reader->count; i++)
		reader->positions[i].there = false;
	status = look_names(reader->store->outbox, ".", read_named, reader, err);
	for (size_t i = 0; i < reader->count; i++)
		if (reader->positions[i].there || status < 0)
			reader->positions[kept++] = reader->positions[i];
	reader->count = kept;
	return status;
}

bool outbox_was_told(const struct outbox_reader *reader, struct outbox_mark mark)
{
	for (size_t i = 0; i < reader->count; i++)
		if (reader->positions[i].segment == mark.segment)
			return mark.offset < reader->positions[i].offset;
	return false;
}

static bool all_done(struct str segment)
{
	struct outbox_entry entry;
	uint32_t offset = 0;
	bool done;

	while (outbox_parse(segment, &offset, &entry, &done))
		if (!done)
			return false;
	return true;
}

static int sweep_named(void *data, const char *name)
{
	struct store *store = data;
	struct flock all = segment_lock(F_WRLCK);
	struct buf bytes = BUF_INIT;
	uint64_t id;
	int fd;

	if (segment_of_name(name, &id) < 0)
		return 0;
	fd = segment_open(store, id);
	if (fd < 0)
		return 0;
	if (fcntl(fd, F_OFD_SETLK, &all) == 0 && read_segment(fd, &bytes, NULL) == 0 &&
	    all_done(buf_str(&bytes)))
		unlinkat(store->outbox, name, 0);
	close(fd);
	buf_clear(&bytes);
	return 0;
}

int outbox_sweep(struct store *store, struct err *err)
{
	return look_names(store->outbox, ".", sweep_named, store, err);
}
