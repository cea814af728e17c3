/* version_talk - the conversation on version.sock: who has which version */
#include "version_talk.h"

static int malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, "read %s: malformed", what);
}

static bool unpack_bool(struct unpack *in)
{
	uint8_t value = unpack_u8(in);

	if (value > 1)
		in->failed = true;
	return value == 1;
}

void newest_ask_pack(struct buf *buf, const struct newest_ask *ask)
{
	pack_str(buf, ask->path);
	pack_version(buf, ask->version);
}

int newest_ask_unpack(struct str body, struct newest_ask *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct newest_ask ask;

	ask.path = unpack_str(&in, PATH_BYTES);
	ask.version = unpack_version(&in);
	if (unpack_end(&in) < 0)
		return malformed(err, "NEWEST");
	if (path_check(ask.path, err) < 0)
		return -1;
	*ret = ask;
	return 0;
}

void newest_answer_pack(struct buf *buf, const struct newest_answer *answer)
{
	pack_record(buf, &answer->record);
	pack_str(buf, answer->type);
	pack_u8(buf, answer->directory);
	pack_u8(buf, (uint8_t)answer->holder_count);
	for (size_t i = 0; i < answer->holder_count; i++)
		pack_u64(buf, answer->holders[i]);
	pack_u32(buf, answer->asked);
	pack_u32(buf, answer->answered);
	pack_u8(buf, answer->confirmed);
}

int newest_answer_unpack(struct str body, struct newest_answer *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct newest_answer answer = { .holder_count = 0 };

	unpack_record(&in, &answer.record);
	answer.type = unpack_str(&in, RECORD_TYPE_MAX);
	answer.directory = unpack_bool(&in);
	answer.holder_count = unpack_u8(&in);
	if (answer.holder_count > HOLDERS_MAX)
		return malformed(err, "ANSWER");
	for (size_t i = 0; i < answer.holder_count; i++)
		answer.holders[i] = unpack_u64(&in);
	answer.asked = unpack_u32(&in);
	answer.answered = unpack_u32(&in);
	answer.confirmed = unpack_bool(&in);
	if (unpack_end(&in) < 0 || answer.answered > answer.asked)
		return malformed(err, "ANSWER");
	*ret = answer;
	return 0;
}

void nodes_ask_pack(struct buf *buf, const struct nodes_ask *ask)
{
	pack_str(buf, ask->path);
}

int nodes_ask_unpack(struct str body, struct nodes_ask *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct str path = unpack_str(&in, PATH_BYTES);

	if (unpack_end(&in) < 0)
		return malformed(err, "NODES");
	if (path_check(path, err) < 0)
		return -1;
	ret->path = path;
	return 0;
}

void nodes_row_pack(struct buf *buf, const struct nodes_row *row)
{
	pack_u64(buf, row->id);
	pack_str(buf, row->name);
	pack_address(buf, &row->http);
	pack_u8(buf, (uint8_t)row->state);
	pack_u8(buf, row->answered);
	pack_record(buf, &row->record);
	pack_str(buf, row->type);
	pack_u8(buf, row->content);
	pack_u64(buf, row->age_ms);
}

int nodes_row_unpack(struct str body, struct nodes_row *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct nodes_row row;
	uint8_t state;

	row.id = unpack_u64(&in);
	row.name = unpack_str(&in, MEMBER_NAME_MAX);
	unpack_address(&in, &row.http);
	state = unpack_u8(&in);
	row.answered = unpack_bool(&in);
	unpack_record(&in, &row.record);
	row.type = unpack_str(&in, RECORD_TYPE_MAX);
	row.content = unpack_bool(&in);
	row.age_ms = unpack_u64(&in);
	if (unpack_end(&in) < 0 || state < MEMBER_UP || state > MEMBER_INCOMPATIBLE)
		return malformed(err, "ROW");
	row.state = (enum member_state)state;
	*ret = row;
	return 0;
}
