/* sync_talk - the conversation on sync.sock: what the network has to give */
#include "sync_talk.h"

#include "message_table.h"

MESSAGE_TABLE(sync_pull, struct sync_pull, "PULL", NULL,
	      PATH(struct sync_pull, path, 0), RECORD(struct sync_pull, record, FILE_RECORD),
	      TEXT(struct sync_pull, type, 0, RECORD_TYPE_MAX),
	      NODES(struct sync_pull, holders, holder_count, HOLDERS_MAX));

MESSAGE_TABLE(sync_progress, uint64_t, "PROGRESS", NULL,
	      VALUE(FIELD_NUMBER, 8, uint64_t, 0, UINT64_MAX));

/* As a query takes it for ?after=. */
static bool is_no_name(struct str text)
{
	return text.n > 0 && (memchr(text.s, '\0', text.n) != NULL || memchr(text.s, '/', text.n) != NULL);
}

static bool list_is_sound(const void *from)
{
	const struct sync_list *list = from;

	return (list->epoch != 0 || list->node_count == 0) && !is_no_name(list->window.after);
}

MESSAGE_TABLE(sync_list, struct sync_list, "LIST or HISTORY", list_is_sound,
	      PATH(struct sync_list, path, 0), U64(struct sync_list, epoch),
	      NODES(struct sync_list, nodes, node_count, HOLDERS_MAX),
	      TEXT(struct sync_list, window.after, 0, PATH_COMPONENT_BYTES), U32(struct sync_list, window.limit),
	      BOOL(struct sync_list, window.directories), U64(struct sync_list, window.age));

static bool part_is_sound(const void *from)
{
	const struct sync_part *part = from;

	return !is_no_name(part->upto);
}

MESSAGE_TABLE(sync_part, struct sync_part, "PART", part_is_sound,
	      U64(struct sync_part, node), U64(struct sync_part, epoch),
	      VERSION(struct sync_part, gate), TEXT(struct sync_part, upto, 0, PATH_COMPONENT_BYTES));

static bool end_is_sound(const void *from)
{
	const struct sync_end *end = from;

	return end->answered <= end->asked;
}

MESSAGE_TABLE(sync_end, struct sync_end, "END", end_is_sound,
	      U32(struct sync_end, asked), U32(struct sync_end, answered),
	      BOOL(struct sync_end, stale));

static bool name_has_no_nul(const void *from)
{
	const struct str *name = from;

	return memchr(name->s, '\0', name->n) == NULL;
}

MESSAGE_TABLE(sync_resolve, struct str, "RESOLVE", name_has_no_nul,
	      VALUE(FIELD_TEXT, 0, struct str, 1, RESOLVE_NAME_MAX));

ROW_TABLE(address, struct address, "address", NULL, VALUE(FIELD_ADDRESS, 0, struct address, 0, 0));

MESSAGE_TABLE(sync_addresses, struct sync_addresses, "ADDRESSES", NULL,
	      LIST(1, struct sync_addresses, list, count, RESOLVE_ADDRESSES_MAX, address));

MESSAGE_TABLE(sync_push, struct sync_push, "PUSH", NULL,
	      PATH(struct sync_push, path, 1),
	      RECORD(struct sync_push, record, NO_RECORD | FILE_RECORD), TYPE(struct sync_push, type),
	      NODES(struct sync_push, keepers, keeper_count, HOLDERS_MAX),
	      NUMBER(1, struct sync_push, wanted, 1, UINT8_MAX));

MESSAGE_TABLE(sync_token, uint64_t, "TOKEN", NULL,
	      VALUE(FIELD_NUMBER, 8, uint64_t, 0, UINT64_MAX));

MESSAGE_TABLE(sync_more, struct sync_more, "PUSH_MORE", NULL,
	      U64(struct sync_more, token), U64(struct sync_more, bytes));

MESSAGE_TABLE(sync_name, struct sync_name, "PUSH_NAME", NULL,
	      U64(struct sync_name, token), RECORD(struct sync_name, record, FILE_RECORD),
	      TYPE(struct sync_name, type));

MESSAGE_TABLE(sync_have, struct sync_have, "HAVE", NULL,
	      NODES(struct sync_have, nodes, count, HOLDERS_MAX));

static bool carry_is_sound(const void *from)
{
	const struct sync_carry *carry = from;

	return carry->http.len != 0;
}

MESSAGE_TABLE(sync_carry, struct sync_carry, "CARRY", carry_is_sound,
	      ADDRESS(struct sync_carry, http),
	      NUMBER(1, struct sync_carry, to, SYNC_TO_VERSIONS, SYNC_TO_DISCOVERY),
	      TEXT(struct sync_carry, packet, 0, WIRE_LONG_BYTES));

MESSAGE_TABLE(sync_compare, unsigned, "COMPARE", NULL,
	      VALUE(FIELD_NUMBER, 2, unsigned, 0, PARTITIONS - 1));

const struct message *const sync_messages[] = {
	&sync_pull_message, &sync_progress_message, &sync_list_message, &sync_part_message,
	&sync_end_message, &sync_resolve_message, &sync_addresses_message, &sync_push_message,
	&sync_token_message, &sync_more_message, &sync_name_message, &sync_have_message,
	&sync_carry_message, &sync_compare_message, NULL,
};
