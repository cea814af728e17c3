/*
 * record - what is known about one version of a path
 *
 * On disk a record is the extended attribute user.covey of the version's
 * file: 64 bytes in network order, so that it stays inside a 256-byte ext4
 * inode.  Conditional children alone have 16 more.  A pointer (a record
 * whose content is elsewhere) is a dangling symbolic link whose text is the
 * record's text form.
 *
 *	offset size
 *	0      1    format, RECORD_FORMAT
 *	1      1    flags
 *	2      1    form: 0, or 1 with what stands behind byte 64
 *	3      1    0
 *	4      8    time, ns since 1970
 *	12     8    node
 *	20     8    size, bytes
 *	28     32   sha256
 *	60     4    the client's mtime, s since 1970, 0 = not given
 *	64     8    of a child: when it was made, ns since 1970, 0 = unknown
 *	72     8    of a child: n
 *
 * Format 1, which is read and never written, has no form: bytes 2 and 3
 * are n, and nobody noted when a child was made.
 *
 * The modification time of the version's file in tree/ or history/ is
 * record_made().  Readers from outside tell the versions of a path apart by
 * size and that time: whoever makes a child makes it later than its base,
 * at a time that no other version of the path has.
 *
 * Equal (path, version) implies equal records, on every node, for ever.
 * For that each node keeps flags that it does not know as they are.
 */
#ifndef COVEY_RECORD_H
#define COVEY_RECORD_H

#include "buf.h"
#include "version.h"

#include <stdbool.h>

#define RECORD_FORMAT 2
#define RECORD_BYTES 64			/* of a record with n = 0 */
#define RECORD_BYTES_MAX 80		/* of a child's */
#define RECORD_XATTR "user.covey"	/* the record */
#define RECORD_TYPE_XATTR "user.covey.type"	/* an explicit content type */
#define RECORD_TYPE_MAX 255		/* bytes of a content type */
#define SHA256_BYTES 32

/* A later release may give the other three bits a meaning. */
enum record_flag {
	RECORD_DELETED = 1,	/* a tombstone: no content, size 0 */
	RECORD_DIRECTORY = 2,	/* of a directory: no content, size 0 */
	RECORD_BLIND = 4,	/* written without a majority */
	RECORD_ERASED = 8,	/* its content is to be kept by nobody */
	RECORD_EXECUTABLE = 16,	/* a program, for whoever makes a file of it */
};

struct record {
	struct version version;
	uint8_t flags;		/* enum record_flag, and what is not known */
	uint64_t size;		/* bytes of content */
	uint8_t sha256[SHA256_BYTES];	/* of the content; zeros when it has none */
	uint32_t mtime;		/* the client's, s since 1970; 0: not given */
	uint64_t made;		/* of a child: when, ns since 1970; 0: unknown, or no child */
};

/* When the version was made, ns since 1970: its date, which is not its place in the order. */
static inline uint64_t record_made(const struct record *r)
{
	return r->made != 0 ? r->made : r->version.time;
}

/* A record that is there and not a tombstone. */
static inline bool record_is_live(const struct record *r)
{
	return !version_is_none(r->version) && !(r->flags & RECORD_DELETED);
}

/*
 * A name has two registers, the newest record of each kind: its file's and
 * its directory's, the entry.  What stands there: the directory, if the
 * entry is live, whatever the file's time; else the file, if it is live and
 * above the entry's end; else nothing.
 */
enum name_kind { NAME_ABSENT, NAME_FILE, NAME_DIRECTORY };

/* The newer of the two stays in record. */
static inline void record_take_newer(struct record *record, const struct record *other)
{
	if (version_cmp(other->version, record->version) > 0)
		*record = *other;
}

static inline enum name_kind record_name_kind(const struct record *file, const struct record *entry)
{
	if (record_is_live(entry))
		return NAME_DIRECTORY;
	return record_is_live(file) && version_cmp(file->version, entry->version) > 0
		       ? NAME_FILE : NAME_ABSENT;
}

/* The record of what stands; of nothing the newer one, which may be none. */
static inline const struct record *record_current(const struct record *file,
						  const struct record *entry)
{
	enum name_kind kind = record_name_kind(file, entry);

	if (kind == NAME_ABSENT)
		kind = version_cmp(file->version, entry->version) > 0 ? NAME_FILE : NAME_DIRECTORY;
	return kind == NAME_FILE ? file : entry;
}

/* Neither a tombstone nor a directory's, nor none. */
bool record_has_content(const struct record *);

bool record_eq(const struct record *, const struct record *);

/* How many bytes it is; version.n is at most VERSION_N_MAX. */
size_t record_pack(uint8_t to[RECORD_BYTES_MAX], const struct record *);
/* How many bytes the record has that a longer text begins with; 0: it begins with none. */
size_t record_length(struct str);
/* Of either format, in just as many bytes.  Refuses fields that contradict each other. */
int record_unpack(const void *bytes, size_t n, struct record *ret, struct err *err);

/* An explicit content type: printable ASCII without spaces around it, or empty. */
int record_check_type(struct str type, struct err *err);

/*
 * "VERSION FLAGS SIZE SHA256 MTIME[@MADE][ TYPE]", e.g. for a pointer's link
 * text; type may be empty.  FLAGS is "-" or, in this order, the letters x
 * (deleted), d (directory), b (blind), e (erased), p (executable, a program)
 * and 5, 6, 7, the numbers of the bits that are not known; SHA256 is "-"
 * without content; @MADE, in ns, is there if it is not 0.  Record and text
 * map one to one: any other spelling is refused.
 */
void record_format(struct buf *, const struct record *, struct str type);
/* *ret_type points into the text. */
int record_parse(struct str, struct record *ret, struct str *ret_type, struct err *);

#endif
