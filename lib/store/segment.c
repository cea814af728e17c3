/*
 * segment - the files of the outbox
 *
 * In network order:
 *
 *	offset size
 *	0      16   "covey outbox 1\n\0"
 *	16     8    the segment's id, which is its name, too
 *	24     40   zeros
 *	64          entries, each at a multiple of 8; zeros follow the last
 *
 * and an entry:
 *
 *	0      2    bytes of the path, at least 1
 *	2      1    1; 2 with n behind byte 32
 *	3      1    0, or 1 when it is done: the only byte that ever changes
 *	4      4    zeros
 *	8      8    time
 *	16     8    node
 *	24     8    checksum: FNV-1a 64 of the id, the offset (8 bytes each),
 *		    this entry's first 24 bytes with state 0, and what follows
 *		    this up to the end of the path
 *	32     8    n of the version, unless it is 0
 *	32, 40      the path, and zeros up to a multiple of 8
 *
 * A segment gets its name when its zeros are on disk and its writer has
 * locked it, so that no sync of an entry has to write metadata, and whoever
 * can lock it knows that the writer has ended.  An entry is on disk only if
 * all before it are: what is behind a torn one was never relied on.
 */
#include "inside.h"

#include "fs.h"
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define MAGIC "covey outbox 1\n"	/* with its NUL: 16 bytes */
#define STATE_AT 3

enum { PLAIN = 1, CHILD };	/* what byte 2 says */

const char *segment_name(char to[SEGMENT_NAME], uint64_t id)
{
	snprintf(to, SEGMENT_NAME, "%016" PRIx64 ".seg", id);
	return to;
}

int segment_of_name(const char *name, uint64_t *ret)
{
	struct str text = str_of(name);
	char again[SEGMENT_NAME];

	if (text.n != 20 || str_hex64((struct str){ text.s, 16 }, ret) < 0 || *ret == 0)
		return -1;
	return strcmp(name, segment_name(again, *ret)) == 0 ? 0 : -1;
}

struct flock segment_lock(short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET };
}

size_t segment_entry_bytes(struct str path, struct version v)
{
	return (SEGMENT_ENTRY + (v.n > 0 ? 8 : 0) + path.n + 7) & ~(size_t)7;
}

void segment_format_head(struct buf *buf, uint64_t id)
{
	pack_bytes(buf, MAGIC, sizeof MAGIC);
	pack_u64(buf, id);
}

void segment_format(struct buf *buf, uint64_t segment, uint32_t offset, struct str path,
		    struct version v)
{
	struct buf sum = BUF_INIT, rest = BUF_INIT;
	size_t start = buf->len;

	pack_u16(buf, (uint16_t)path.n);
	pack_u8(buf, v.n > 0 ? CHILD : PLAIN);
	pack_u8(buf, 0);
	pack_u32(buf, 0);
	pack_u64(buf, v.time);
	pack_u64(buf, v.node);
	pack_u64(&sum, segment);
	pack_u64(&sum, offset);
	pack_bytes(&sum, buf->data + start, buf->len - start);
	if (v.n > 0)
		pack_u64(&rest, v.n);
	pack_bytes(&rest, path.s, path.n);
	buf_addstr(&sum, buf_str(&rest));
	pack_u64(buf, path_hash(buf_str(&sum)));
	buf_addstr(buf, buf_str(&rest));
	while ((buf->len - start) % 8 != 0)
		pack_u8(buf, 0);
	buf_clear(&sum);
	buf_clear(&rest);
}

bool segment_parse_head(struct str segment, uint64_t *ret)
{
	struct unpack in = unpack_of(segment);
	char magic[sizeof MAGIC];

	unpack_bytes(&in, magic, sizeof magic);
	*ret = unpack_u64(&in);
	return segment.n >= SEGMENT_HEAD && memcmp(magic, MAGIC, sizeof magic) == 0 && *ret != 0;
}

bool outbox_parse(struct str segment, uint32_t *offset, struct outbox_entry *ret, bool *ret_done)
{
	uint32_t at = *offset > SEGMENT_HEAD ? *offset : SEGMENT_HEAD;
	struct buf again = BUF_INIT;
	struct outbox_entry entry;
	struct unpack in;
	uint8_t state, kind;
	bool whole;

	if (!segment_parse_head(segment, &entry.mark.segment) || at % 8 != 0 || at > segment.n)
		return false;
	in = unpack_of((struct str){ segment.s + at, segment.n - at });
	entry.mark.offset = at;
	entry.path.n = unpack_u16(&in);
	kind = unpack_u8(&in);
	state = unpack_u8(&in);
	unpack_u32(&in);
	entry.version.time = unpack_u64(&in);
	entry.version.node = unpack_u64(&in);
	unpack_u64(&in);
	entry.version.n = kind == CHILD ? unpack_u64(&in) : 0;
	if (in.failed || entry.path.n == 0 || state > 1 || version_is_none(entry.version) ||
	    entry.version.n > VERSION_N_MAX ||
	    kind != (entry.version.n > 0 ? CHILD : PLAIN) ||
	    segment.n - at < segment_entry_bytes(entry.path, entry.version))
		return false;
	entry.path.s = in.rest.s;
	segment_format(&again, entry.mark.segment, at, entry.path, entry.version);
	again.data[STATE_AT] = (char)state;
	whole = memcmp(again.data, segment.s + at, again.len) == 0 &&
		path_check(entry.path, NULL) == 0;
	if (whole) {
		*offset = at + (uint32_t)again.len;
		*ret = entry;
		*ret_done = state != 0;
	}
	buf_clear(&again);
	return whole;
}

int segment_open(struct store *store, uint64_t id)
{
	char name[SEGMENT_NAME];

	return id == 0 ? -1 : fs_open(store->outbox, segment_name(name, id), O_RDWR, 0);
}

void outbox_done(struct store *store, struct outbox_mark mark)
{
	int fd = segment_open(store, mark.segment);

	if (fd < 0)
		return;
	if (mark.offset < SEGMENT_BYTES - SEGMENT_ENTRY)
		fs_write(fd, "\1", 1, mark.offset + STATE_AT);
	close(fd);
}

bool outbox_is_done(struct store *store, struct outbox_mark mark)
{
	int fd = segment_open(store, mark.segment);
	char state = 1;
	bool done;

	if (fd < 0)
		return mark.segment == 0 || errno == ENOENT;
	done = pread(fd, &state, 1, mark.offset + STATE_AT) != 1 || state != 0;
	close(fd);
	return done;
}

bool outbox_writer_lives(struct store *store, uint64_t segment)
{
	struct flock all = segment_lock(F_WRLCK);
	int fd = segment_open(store, segment);
	bool lives;

	if (fd < 0)
		return false;
	lives = fcntl(fd, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK;
	close(fd);
	return lives;
}

