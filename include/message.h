/*
 * message - a message is one struct and one table of its fields
 *
 * All that nodes and roles say to each other is packed and unpacked here, by
 * the tables of wire.c, bulk.c, exchange.c, holdings.c (between nodes) and of
 * version_talk.c, sync_talk.c, discover_talk.c (between the roles of a node).
 * A table names the fields in their order, what each may be, and, as a
 * function, what they may be together:
 *
 *	struct sync_end { uint32_t asked, answered; bool stale; };
 *
 *	static bool end_is_sound(const void *from) { ... answered <= asked }
 *
 *	MESSAGE_TABLE(sync_end, struct sync_end, "END", end_is_sound,
 *		      U32(struct sync_end, asked), U32(struct sync_end, answered),
 *		      BOOL(struct sync_end, stale));
 *
 *	MESSAGE(sync_end, struct sync_end);	in the header: sync_end_pack(), sync_end_unpack()
 *
 * The macros of tables are in message_table.h.  A new message is a table, that
 * line, and a place in the list of its conversation, by which the fuzzer finds
 * it.  Numbers are in network order.
 */
#ifndef COVEY_MESSAGE_H
#define COVEY_MESSAGE_H

#include "err.h"
#include "layout.h"
#include "pack.h"
#include "record.h"

#include <stddef.h>

enum message_field_kind {
	FIELD_END,			/* of the table */
	FIELD_NUMBER,			/* `bytes` wide; in the struct any unsigned type, enum or bool */
	FIELD_TEXT,			/* a struct str, which points into what is unpacked */
	FIELD_PATH,			/* the same: a path (path_check()), */
	FIELD_RECORD_PATH,		/* or a path or a gate (path_check_record()), */
	FIELD_TYPE,			/* or an explicit content type, which may be empty */
	FIELD_REST,			/* the same: all that follows */
	FIELD_BYTES,			/* an array of bytes */
	FIELD_RECORD,			/* in its bytes, which tell how many they are; zeros for none */
	FIELD_ADDRESS,
	FIELD_MEMBER,
	FIELD_LAYOUT,
	FIELD_LIST,			/* a count of `bytes`, then rows of another table */
};

/* What a record field may be: bits of it are its max. */
enum record_kind {
	NO_RECORD = 1,
	FILE_RECORD = 2,		/* with content */
	FILE_END = 4,			/* a deletion */
	DIRECTORY_RECORD = 8,
	DIRECTORY_END = 16,
	SOME_RECORD = FILE_RECORD | FILE_END | DIRECTORY_RECORD | DIRECTORY_END,
	ANY_RECORD = NO_RECORD | SOME_RECORD,
	ANY_ENTRY = NO_RECORD | DIRECTORY_RECORD | DIRECTORY_END,
};

struct message_field {
	enum message_field_kind kind;
	uint8_t bytes;			/* NUMBER, LIST: of the number, packed */
	size_t at, size;		/* in the struct; size 0: not there, a NUMBER that is always min */
	uint64_t min, max;		/* of the number, the text's bytes, the rows; or record_kind bits */
	const struct message *row;	/* LIST */
	size_t count_at;		/* LIST: of the size_t that counts the rows */
};

struct message {
	const char *name;		/* for people */
	size_t size;			/* of the struct */
	const struct message_field *fields;
	bool (*is_sound)(const void *);	/* of all fields together; NULL: they always are */
};

#define MESSAGE_SIZE_MAX 4096		/* of a struct that message_unpack() fills */

/* Appends. */
void message_pack(struct buf *, const struct message *, const void *from);
/* The body is judged whole.  0, or -1 with ERR_INVALID, and *ret untouched. */
int message_unpack(struct str body, const struct message *, void *ret, struct err *);
/* As a part of what is read; *ret is undefined when that fails. */
void message_read(struct unpack *, const struct message *, void *ret);
/* Takes a row off the front of rows: 1, 0 at their end, -1 malformed, rows are then untouched. */
int message_next(struct str *rows, const struct message *, void *ret);

void pack_record(struct buf *, const struct record *);
void unpack_record(struct unpack *, struct record *ret);

/* The functions of a message, in its header; of one that is a single value they take that. */
#define MESSAGE(message_name, type) \
	extern const struct message message_name##_message; \
	static inline void message_name##_pack(struct buf *to, const type *from) \
	{ \
		message_pack(to, &message_name##_message, from); \
	} \
	MESSAGE_UNPACK(message_name, type)
#define MESSAGE_VALUE(message_name, type) \
	extern const struct message message_name##_message; \
	static inline void message_name##_pack(struct buf *to, type value) \
	{ \
		message_pack(to, &message_name##_message, &value); \
	} \
	MESSAGE_UNPACK(message_name, type)
#define MESSAGE_UNPACK(message_name, type) \
	static inline int message_name##_unpack(struct str body, type *ret, struct err *err) \
	{ \
		return message_unpack(body, &message_name##_message, ret, err); \
	} \
	_Static_assert(sizeof(type) <= MESSAGE_SIZE_MAX, #message_name)

#endif
