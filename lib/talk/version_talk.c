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
	pack_u8(buf, (uint8_t)ask->purpose);
}

int newest_ask_unpack(struct str body, struct newest_ask *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct newest_ask ask;
	uint8_t purpose;
	bool one;

	ask.path = unpack_str(&in, PATH_BYTES);
	ask.version = unpack_version(&in);
	purpose = unpack_u8(&in);
	one = purpose >= NEWEST_ONE;
	if (unpack_end(&in) < 0 || purpose < NEWEST_READ || purpose > NEWEST_HOLDERS ||
	    one == version_is_none(ask.version))
		return malformed(err, "NEWEST");
	if (path_check_record(ask.path, err) < 0)
		return -1;
	ask.purpose = (enum newest_purpose)purpose;
	*ret = ask;
	return 0;
}

static void pack_counts(struct buf *buf, const struct counts *counts)
{
	pack_u32(buf, counts->homes_answered);
	pack_u32(buf, counts->homes);
	pack_u32(buf, counts->peers_answered);
	pack_u32(buf, counts->peers);
}

static void unpack_counts(struct unpack *in, struct counts *ret)
{
	ret->homes_answered = unpack_u32(in);
	ret->homes = unpack_u32(in);
	ret->peers_answered = unpack_u32(in);
	ret->peers = unpack_u32(in);
	if (ret->homes_answered > ret->homes || ret->peers_answered > ret->peers)
		in->failed = true;
}

void newest_answer_pack(struct buf *buf, const struct newest_answer *answer)
{
	pack_u8(buf, (uint8_t)answer->standing);
	pack_record(buf, &answer->record);
	pack_str(buf, answer->type);
	pack_record(buf, &answer->entry);
	pack_u8(buf, answer->above);
	pack_u8(buf, (uint8_t)answer->holder_count);
	for (size_t i = 0; i < answer->holder_count; i++)
		pack_u64(buf, answer->holders[i]);
	pack_counts(buf, &answer->counts);
	pack_u64(buf, answer->clock);
	pack_u64(buf, answer->epoch);
}

int newest_answer_unpack(struct str body, struct newest_answer *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct newest_answer answer = { .holder_count = 0 };
	uint8_t standing = unpack_u8(&in);

	unpack_record(&in, &answer.record);
	answer.type = unpack_str(&in, RECORD_TYPE_MAX);
	answer.entry = unpack_entry(&in);
	answer.above = unpack_bool(&in);
	answer.holder_count = unpack_u8(&in);
	if (answer.holder_count > HOLDERS_MAX)
		return malformed(err, "ANSWER");
	for (size_t i = 0; i < answer.holder_count; i++)
		answer.holders[i] = unpack_u64(&in);
	unpack_counts(&in, &answer.counts);
	answer.clock = unpack_u64(&in);
	answer.epoch = unpack_u64(&in);
	if (unpack_end(&in) < 0 || standing < STANDING_CONFIRMED || standing > STANDING_UNCONFIRMED)
		return malformed(err, "ANSWER");
	answer.standing = (enum standing)standing;
	*ret = answer;
	return 0;
}

void store_ask_pack(struct buf *buf, const struct store_ask *ask)
{
	pack_str(buf, ask->path);
	pack_record(buf, &ask->record);
	pack_str(buf, ask->type);
}

int store_ask_unpack(struct str body, struct store_ask *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct store_ask ask;

	ask.path = unpack_str(&in, PATH_BYTES);
	unpack_record(&in, &ask.record);
	ask.type = unpack_str(&in, RECORD_TYPE_MAX);
	if (unpack_end(&in) < 0 || version_is_none(ask.record.version) || ask.path.n == 0)
		return malformed(err, "STORE");
	if (path_check_record(ask.path, err) < 0 || record_check_type(ask.type, err) < 0)
		return -1;
	*ret = ask;
	return 0;
}

void store_answer_pack(struct buf *buf, const struct store_answer *answer)
{
	pack_u8(buf, answer->settled);
	pack_u8(buf, answer->all);
	pack_u8(buf, answer->last);
	pack_counts(buf, &answer->counts);
	pack_version(buf, answer->newest);
	pack_u64(buf, answer->epoch);
}

int store_answer_unpack(struct str body, struct store_answer *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct store_answer answer;

	answer.settled = unpack_bool(&in);
	answer.all = unpack_bool(&in);
	answer.last = unpack_bool(&in);
	unpack_counts(&in, &answer.counts);
	answer.newest = unpack_version(&in);
	answer.epoch = unpack_u64(&in);
	if (unpack_end(&in) < 0 || !(answer.settled || answer.last))
		return malformed(err, "STORED");
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
	pack_u8(buf, row->roles);
	pack_u8(buf, row->answered);
	pack_record(buf, &row->record);
	pack_str(buf, row->type);
	pack_u8(buf, row->content);
	pack_record(buf, &row->entry);
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
	row.roles = unpack_u8(&in);
	row.answered = unpack_bool(&in);
	unpack_record(&in, &row.record);
	row.type = unpack_str(&in, RECORD_TYPE_MAX);
	row.content = unpack_bool(&in);
	row.entry = unpack_entry(&in);
	row.age_ms = unpack_u64(&in);
	if (unpack_end(&in) < 0 || !member_state_known(state) ||
	    row.roles > (NODE_HOME | NODE_KEEPER | NODE_GUEST))
		return malformed(err, "ROW");
	row.state = (enum member_state)state;
	*ret = row;
	return 0;
}
