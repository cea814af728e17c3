/* message - a message is one struct and one table of its fields */
#include "message_table.h"

MESSAGE_TABLE(node_id, uint64_t, "node id", NULL, VALUE(FIELD_NUMBER, 8, uint64_t, 0, UINT64_MAX));

/* records */

void pack_record(struct buf *buf, const struct record *record)
{
	uint8_t bytes[RECORD_BYTES_MAX] = { 0 };
	size_t n = RECORD_BYTES;

	if (!version_is_none(record->version))
		n = record_pack(bytes, record);
	pack_bytes(buf, bytes, n);
}

void unpack_record(struct unpack *in, struct record *ret)
{
	static const uint8_t none[RECORD_BYTES];
	struct record record = { .version = VERSION_NONE };
	uint8_t bytes[RECORD_BYTES_MAX];
	size_t n = record_length(in->rest);

	unpack_bytes(in, bytes, n > 0 ? n : RECORD_BYTES);
	/* Equal records have equal bytes: those of format 1 are never sent. */
	if (n > 0 ? bytes[0] != RECORD_FORMAT || record_unpack(bytes, n, &record, NULL) < 0
		  : memcmp(bytes, none, sizeof none) != 0)
		in->failed = true;
	*ret = record;
}

static enum record_kind record_kind_of(const struct record *record)
{
	if (version_is_none(record->version))
		return NO_RECORD;
	if (record->flags & RECORD_DIRECTORY)
		return record->flags & RECORD_DELETED ? DIRECTORY_END : DIRECTORY_RECORD;
	return record->flags & RECORD_DELETED ? FILE_END : FILE_RECORD;
}

/* numbers: of one width in the struct, of another when packed */

static uint64_t number_of(const void *at, size_t size)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)at;
	case 2:
		return *(const uint16_t *)at;
	case 4:
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static void set_number(void *at, size_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*(uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)at = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)at = (uint32_t)value;
		break;
	case 8:
		*(uint64_t *)at = value;
		break;
	default:
		break;			/* it is not in the struct */
	}
}

static uint64_t unpack_number(struct unpack *in, const struct message_field *field)
{
	uint64_t value = unpack_uint(in, field->bytes);

	if (value < field->min || value > field->max)
		in->failed = true;
	return in->failed ? 0 : value;
}

/* packing */

static void pack_list(struct buf *buf, const struct message_field *field, const char *from)
{
	size_t count = *(const size_t *)(const void *)(from + field->count_at);

	pack_uint(buf, field->bytes, count);
	for (size_t i = 0; i < count; i++)
		message_pack(buf, field->row, from + field->at + i * field->row->size);
}

static void pack_field(struct buf *buf, const struct message_field *field, const char *from)
{
	const void *at = from + field->at;
	const struct str *text = at;

	switch (field->kind) {
	case FIELD_NUMBER:
		pack_uint(buf, field->bytes, field->size > 0 ? number_of(at, field->size) : field->min);
		break;
	case FIELD_TEXT:
	case FIELD_PATH:
	case FIELD_RECORD_PATH:
	case FIELD_TYPE:
		pack_str(buf, *text);
		break;
	case FIELD_REST:
		buf_addstr(buf, *text);
		break;
	case FIELD_BYTES:
		pack_bytes(buf, at, field->size);
		break;
	case FIELD_RECORD:
		pack_record(buf, at);
		break;
	case FIELD_ADDRESS:
		pack_address(buf, at);
		break;
	case FIELD_MEMBER:
		member_pack(buf, at);
		break;
	case FIELD_LAYOUT:
		layout_pack(buf, at);
		break;
	case FIELD_LIST:
		pack_list(buf, field, from);
		break;
	case FIELD_END:
		break;
	}
}

void message_pack(struct buf *buf, const struct message *message, const void *from)
{
	for (const struct message_field *field = message->fields; field->kind != FIELD_END; field++)
		pack_field(buf, field, from);
}

/* unpacking */

static void unpack_fields(struct unpack *, const struct message *, char *to);

static void unpack_list(struct unpack *in, const struct message_field *field, char *to)
{
	uint64_t count = unpack_number(in, field);

	for (size_t i = 0; i < count && !in->failed; i++)
		unpack_fields(in, field->row, to + field->at + i * field->row->size);
	set_number(to + field->count_at, sizeof(size_t), count);
}

static void unpack_field(struct unpack *in, const struct message_field *field, char *to)
{
	void *at = to + field->at;
	struct str *text = at;

	switch (field->kind) {
	case FIELD_NUMBER:
		set_number(at, field->size, unpack_number(in, field));
		break;
	case FIELD_TEXT:
	case FIELD_PATH:
	case FIELD_RECORD_PATH:
	case FIELD_TYPE:
		*text = unpack_str(in, field->max);
		if (text->n < field->min)
			in->failed = true;
		break;
	case FIELD_REST:
		*text = in->rest;
		in->rest.s += in->rest.n;
		in->rest.n = 0;
		break;
	case FIELD_BYTES:
		unpack_bytes(in, at, field->size);
		break;
	case FIELD_RECORD:
		unpack_record(in, at);
		if (!(record_kind_of(at) & field->max))
			in->failed = true;
		break;
	case FIELD_ADDRESS:
		unpack_address(in, at);
		break;
	case FIELD_MEMBER:
		member_unpack(in, at);
		break;
	case FIELD_LAYOUT:
		layout_unpack(in, at);
		break;
	case FIELD_LIST:
		unpack_list(in, field, to);
		break;
	case FIELD_END:
		break;
	}
}

static void unpack_fields(struct unpack *in, const struct message *message, char *to)
{
	for (const struct message_field *field = message->fields; field->kind != FIELD_END; field++)
		unpack_field(in, field, to);
	if (!in->failed && message->is_sound != NULL && !message->is_sound(to))
		in->failed = true;
}

/* What is no matter of form has its own words. */
static int check_texts(const struct message *message, const char *from, struct err *err)
{
	for (const struct message_field *field = message->fields; field->kind != FIELD_END; field++) {
		const struct str *text = (const void *)(from + field->at);

		if ((field->kind == FIELD_PATH && path_check(*text, err) < 0) ||
		    (field->kind == FIELD_RECORD_PATH && path_check_record(*text, err) < 0) ||
		    (field->kind == FIELD_TYPE && record_check_type(*text, err) < 0))
			return -1;
	}
	return 0;
}

int message_unpack(struct str body, const struct message *message, void *ret, struct err *err)
{
	_Alignas(max_align_t) char room[MESSAGE_SIZE_MAX];
	struct unpack in = unpack_of(body);

	if (message->size > sizeof room)
		abort();
	memset(room, 0, message->size);
	unpack_fields(&in, message, room);
	if (unpack_end(&in) < 0)
		return err_set(err, ERR_INVALID, "read %s: malformed", message->name);
	if (check_texts(message, room, err) < 0)
		return -1;
	memcpy(ret, room, message->size);
	return 0;
}

void message_read(struct unpack *in, const struct message *message, void *ret)
{
	unpack_fields(in, message, ret);
	if (!in->failed && check_texts(message, ret, NULL) < 0)
		in->failed = true;
}

int message_next(struct str *rows, const struct message *message, void *ret)
{
	struct unpack in = unpack_of(*rows);

	if (rows->n == 0)
		return 0;
	message_read(&in, message, ret);
	if (in.failed)
		return -1;
	*rows = in.rest;
	return 1;
}
