/*
 * message_table - how the tables of message.h are written
 *
 * Room: lib/protocol
 *
 * For the files that have tables; message.h tells what a table is.
 */
#ifndef COVEY_MESSAGE_TABLE_H
#define COVEY_MESSAGE_TABLE_H

#include "message.h"
#include "path.h"

/* The table of a message.  What is for one file alone is a ROW_TABLE. */
#define MESSAGE_TABLE(message_name, type, what, sound, ...) \
	const struct message message_name##_message = { \
		.name = (what), .size = sizeof(type), .is_sound = (sound), \
		.fields = (const struct message_field[]){ __VA_ARGS__, { .kind = FIELD_END } } }
#define ROW_TABLE(message_name, type, what, sound, ...) \
	static MESSAGE_TABLE(message_name, type, what, sound, __VA_ARGS__)

/* A member of the struct `type`, and what its number or its length may be. */
#define FIELD(field_kind, width, type, member, low, high) \
	{ .kind = (field_kind), .bytes = (width), .at = offsetof(type, member), \
	  .size = sizeof(((type *)NULL)->member), .min = (low), .max = (high) }
/* A message that is one value of `type` and no struct. */
#define VALUE(field_kind, width, type, low, high) \
	{ .kind = (field_kind), .bytes = (width), .size = sizeof(type), .min = (low), .max = (high) }
/* A number that is in no struct. */
#define CONSTANT(width, number) \
	{ .kind = FIELD_NUMBER, .bytes = (width), .min = (number), .max = (number) }

#define NUMBER(width, type, member, low, high) FIELD(FIELD_NUMBER, width, type, member, low, high)
#define U8(type, member) NUMBER(1, type, member, 0, UINT8_MAX)
#define U16(type, member) NUMBER(2, type, member, 0, UINT16_MAX)
#define U32(type, member) NUMBER(4, type, member, 0, UINT32_MAX)
#define U64(type, member) NUMBER(8, type, member, 0, UINT64_MAX)
#define BOOL(type, member) NUMBER(1, type, member, 0, 1)
#define VERSION(type, member) \
	U64(type, member.time), U64(type, member.node), NUMBER(8, type, member.n, 0, VERSION_N_MAX)
#define TEXT(type, member, least, most) FIELD(FIELD_TEXT, 0, type, member, least, most)
#define PATH(type, member, least) FIELD(FIELD_PATH, 0, type, member, least, PATH_BYTES)
#define RECORD_PATH(type, member, least) FIELD(FIELD_RECORD_PATH, 0, type, member, least, PATH_BYTES)
#define TYPE(type, member) FIELD(FIELD_TYPE, 0, type, member, 0, RECORD_TYPE_MAX)
#define REST(type, member) FIELD(FIELD_REST, 0, type, member, 0, 0)
#define BYTES(type, member) FIELD(FIELD_BYTES, 0, type, member, 0, 0)
#define RECORD(type, member, kinds) FIELD(FIELD_RECORD, 0, type, member, 0, kinds)
#define ADDRESS(type, member) FIELD(FIELD_ADDRESS, 0, type, member, 0, 0)
#define MEMBER(type, member) FIELD(FIELD_MEMBER, 0, type, member, 0, 0)
#define LAYOUT(type, member) FIELD(FIELD_LAYOUT, 0, type, member, 0, 0)
/* An array of at most `most` rows, as many as the size_t `count` says. */
#define LIST(width, type, member, count, most, row_name) \
	{ .kind = FIELD_LIST, .bytes = (width), .at = offsetof(type, member), \
	  .size = sizeof(((type *)NULL)->member), .max = (most), \
	  .row = &row_name##_message, .count_at = offsetof(type, count) }
/* An array of node ids. */
#define NODES(type, member, count, most) LIST(1, type, member, count, most, node_id)
extern const struct message node_id_message;

#endif
