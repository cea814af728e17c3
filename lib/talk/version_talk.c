/* version_talk - the conversation on version.sock: who has which version */
#include "version_talk.h"

#include "message_table.h"

static bool ask_is_sound(const void *from)
{
	const struct newest_ask *ask = from;

	return (ask->purpose >= NEWEST_ONE) != version_is_none(ask->version);
}

MESSAGE_TABLE(newest_ask, struct newest_ask, "NEWEST", ask_is_sound,
	      RECORD_PATH(struct newest_ask, path, 0), VERSION(struct newest_ask, version),
	      NUMBER(1, struct newest_ask, purpose, NEWEST_READ, NEWEST_HOLDERS));

#define COUNTS(type, member) \
	U32(type, member.homes_answered), U32(type, member.homes), \
	U32(type, member.peers_answered), U32(type, member.peers)

static bool counts_are_sound(const struct counts *counts)
{
	return counts->homes_answered <= counts->homes && counts->peers_answered <= counts->peers;
}

static bool answer_is_sound(const void *from)
{
	const struct newest_answer *answer = from;

	return counts_are_sound(&answer->counts);
}

MESSAGE_TABLE(newest_answer, struct newest_answer, "ANSWER", answer_is_sound,
	      NUMBER(1, struct newest_answer, certainty, CERTAINTY_CONFIRMED,
		     CERTAINTY_UNCONFIRMED),
	      RECORD(struct newest_answer, record, ANY_RECORD),
	      TEXT(struct newest_answer, type, 0, RECORD_TYPE_MAX),
	      RECORD(struct newest_answer, entry, ANY_ENTRY), BOOL(struct newest_answer, parent_known),
	      NODES(struct newest_answer, holders, holder_count, HOLDERS_MAX),
	      COUNTS(struct newest_answer, counts), U64(struct newest_answer, clock),
	      U64(struct newest_answer, epoch));

MESSAGE_TABLE(store_ask, struct store_ask, "STORE", NULL,
	      RECORD_PATH(struct store_ask, path, 1), RECORD(struct store_ask, record, SOME_RECORD),
	      TYPE(struct store_ask, type), BOOL(struct store_ask, anew));

static bool stored_is_sound(const void *from)
{
	const struct store_answer *answer = from;

	return counts_are_sound(&answer->counts) && (answer->confirmed || answer->last);
}

MESSAGE_TABLE(store_answer, struct store_answer, "STORED", stored_is_sound,
	      BOOL(struct store_answer, confirmed), BOOL(struct store_answer, all),
	      BOOL(struct store_answer, last), COUNTS(struct store_answer, counts),
	      VERSION(struct store_answer, newest), U64(struct store_answer, epoch));

MESSAGE_TABLE(nodes_ask, struct nodes_ask, "NODES", NULL, PATH(struct nodes_ask, path, 0));

MESSAGE_TABLE(nodes_row, struct nodes_row, "ROW", NULL,
	      U64(struct nodes_row, id), TEXT(struct nodes_row, name, 0, MEMBER_NAME_MAX),
	      ADDRESS(struct nodes_row, http),
	      NUMBER(1, struct nodes_row, state, MEMBER_UP, MEMBER_FORGOTTEN),
	      NUMBER(1, struct nodes_row, roles, 0, NODE_HOME | NODE_KEEPER | NODE_GUEST),
	      BOOL(struct nodes_row, answered), RECORD(struct nodes_row, record, ANY_RECORD),
	      TEXT(struct nodes_row, type, 0, RECORD_TYPE_MAX), BOOL(struct nodes_row, content),
	      RECORD(struct nodes_row, entry, ANY_ENTRY), U64(struct nodes_row, age_ms));

const struct message *const version_messages[] = {
	&newest_ask_message, &newest_answer_message, &store_ask_message, &store_answer_message,
	&nodes_ask_message, &nodes_row_message, NULL,
};
