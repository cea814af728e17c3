/* wire - what nodes say to each other by UDP, before it is sealed */
#include "wire.h"

#include "message_table.h"

#include <endian.h>

/* the messages */

ROW_TABLE(told, struct wire_told, "TOLD", NULL,
	  MEMBER(struct wire_told, member), U32(struct wire_told, silent_s));

ROW_TABLE(gossip, struct wire_gossip, "GOSSIP", NULL,
	  BOOL(struct wire_gossip, answer), U64(struct wire_gossip, id),
	  U64(struct wire_gossip, clock),
	  LIST(1, struct wire_gossip, members, count, WIRE_MEMBERS_MAX, told));

static bool check_is_sound(const void *from)
{
	const struct wire_check *check = from;

	return !check->below || !version_is_none(check->version);
}

ROW_TABLE(check, struct wire_check, "CHECK", check_is_sound,
	  U64(struct wire_check, id), U64(struct wire_check, epoch), U64(struct wire_check, clock),
	  BOOL(struct wire_check, below), VERSION(struct wire_check, version),
	  RECORD_PATH(struct wire_check, path, 0));

ROW_TABLE(record, struct wire_record, "RECORD", NULL,
	  U64(struct wire_record, id), U64(struct wire_record, epoch), U64(struct wire_record, clock),
	  BOOL(struct wire_record, content), RECORD(struct wire_record, record, ANY_RECORD),
	  TYPE(struct wire_record, type), RECORD(struct wire_record, entry, ANY_ENTRY),
	  VERSION(struct wire_record, gate));

static bool store_is_sound(const void *from)
{
	const struct wire_store *store = from;

	return store->type.n == 0 || record_has_content(&store->record);
}

ROW_TABLE(store, struct wire_store, "STORE", store_is_sound,
	  U64(struct wire_store, id), U64(struct wire_store, epoch),
	  RECORD(struct wire_store, record, SOME_RECORD), TYPE(struct wire_store, type),
	  RECORD_PATH(struct wire_store, path, 1));

ROW_TABLE(stored, struct wire_stored, "STORED", NULL,
	  U64(struct wire_stored, id), U64(struct wire_stored, epoch),
	  VERSION(struct wire_stored, newest), VERSION(struct wire_stored, gate));

ROW_TABLE(stale, struct wire_stale, "STALE", NULL,
	  U64(struct wire_stale, id), U64(struct wire_stale, epoch));

ROW_TABLE(want, struct wire_want, "WANT", NULL,
	  U64(struct wire_want, id), U64(struct wire_want, lineage), U64(struct wire_want, epoch));

ROW_TABLE(layout, struct wire_layout, "LAYOUT", NULL,
	  U64(struct wire_layout, id), LAYOUT(struct wire_layout, value));

static bool synod_is_sound(const void *from)
{
	const struct wire_synod *synod = from;

	return synod->value.epoch == 0 || (synod->value.epoch == synod->instance &&
					   synod->value.lineage == synod->lineage);
}

ROW_TABLE(synod, struct wire_synod, "PREPARE to NACK", synod_is_sound,
	  U64(struct wire_synod, id), U64(struct wire_synod, lineage),
	  U64(struct wire_synod, instance),
	  U32(struct wire_synod, ballot.round), U64(struct wire_synod, ballot.node),
	  U32(struct wire_synod, accepted.round), U64(struct wire_synod, accepted.node),
	  LAYOUT(struct wire_synod, value));

ROW_TABLE(change, struct wire_change, "CHANGE", NULL,
	  U64(struct wire_change, lineage), U64(struct wire_change, epoch),
	  NUMBER(1, struct wire_change, numbers.homes, 0, LAYOUT_HOMES_MAX),
	  NUMBER(1, struct wire_change, numbers.copies, 0, LAYOUT_COPIES_MAX),
	  U32(struct wire_change, numbers.keep_versions), U32(struct wire_change, numbers.keep_days));

const struct message *const wire_messages[WIRE_TYPES] = {
	[WIRE_GOSSIP] = &gossip_message,
	[WIRE_CHECK] = &check_message,
	[WIRE_RECORD] = &record_message,
	[WIRE_STORE] = &store_message,
	[WIRE_STORED] = &stored_message,
	[WIRE_STALE] = &stale_message,
	[WIRE_WANT] = &want_message,
	[WIRE_LAYOUT] = &layout_message,
	[WIRE_PREPARE] = &synod_message,
	[WIRE_PROMISE] = &synod_message,
	[WIRE_ACCEPT] = &synod_message,
	[WIRE_ACCEPTED] = &synod_message,
	[WIRE_NACK] = &synod_message,
	[WIRE_CHANGE] = &change_message,
};

/* packing */

void wire_pack_sender(struct buf *buf, uint64_t group, const struct member *sender)
{
	pack_u64(buf, group);
	member_pack(buf, sender);
}

void wire_pack_to(struct buf *buf, uint64_t receiver, enum wire_role role)
{
	pack_u64(buf, receiver);
	pack_u8(buf, (uint8_t)role);
}

void wire_set_receiver(struct buf *buf, size_t sender_bytes, uint64_t receiver)
{
	uint64_t big = htobe64(receiver);

	memcpy(buf->data + sender_bytes, &big, sizeof big);
}

void wire_pack(struct buf *buf, enum wire_type type, const void *body)
{
	pack_u8(buf, (uint8_t)type);
	message_pack(buf, wire_messages[type], body);
}

static uint32_t silent_s(const struct member *member, uint64_t clock)
{
	uint64_t now = clock / 1000000000;

	if (now <= member->seen)
		return 0;
	return now - member->seen < UINT32_MAX ? (uint32_t)(now - member->seen) : UINT32_MAX;
}

void wire_pack_gossip(struct buf *buf, bool answer, uint64_t id, uint64_t clock,
		      const struct member *const *members, size_t *count)
{
	struct wire_gossip nobody = { .answer = answer, .id = id, .clock = clock, .count = 0 };
	size_t packed = 0, count_at;

	wire_pack(buf, WIRE_GOSSIP, &nobody);
	count_at = buf->len - 1;
	for (; packed < *count && packed < WIRE_MEMBERS_MAX; packed++) {
		const struct wire_told member = { *members[packed], silent_s(members[packed], clock) };
		size_t was = buf->len;

		message_pack(buf, &told_message, &member);
		if (buf->len > WIRE_PLAIN_BYTES) {
			buf->len = was;
			break;
		}
	}
	buf->data[count_at] = (char)packed;
	*count = packed;
}

int ballot_cmp(struct ballot a, struct ballot b)
{
	if (a.round != b.round)
		return a.round < b.round ? -1 : 1;
	if (a.node != b.node)
		return a.node < b.node ? -1 : 1;
	return 0;
}

/* unpacking */

static enum wire_role role_of(enum wire_type type)
{
	return type >= WIRE_CHECK && type <= WIRE_STALE ? WIRE_VERSIONS : WIRE_DISCOVERY;
}

bool wire_is_for(const struct wire *wire, uint64_t self, enum wire_role role)
{
	if (wire->type == WIRE_OTHER)
		return true;		/* nothing but its sender is known */
	return wire->role == role && (wire->receiver == self || wire->receiver == 0);
}

int wire_unpack(struct str plain, uint8_t protocol, struct wire *ret)
{
	struct unpack in = unpack_of(plain);
	uint8_t type;

	unpack_u64(&in);	/* the key opened it: it is of the group, whichever of its keys that was */
	member_unpack(&in, &ret->sender);
	if (in.failed)
		return -1;
	if (protocol != MEMBER_PROTOCOL) {
		ret->type = WIRE_OTHER;
		return 0;
	}
	ret->receiver = unpack_u64(&in);
	ret->role = (enum wire_role)unpack_u8(&in);
	type = unpack_u8(&in);
	if (type == WIRE_OTHER || type >= WIRE_TYPES)
		return -1;
	ret->type = (enum wire_type)type;
	if (ret->role != role_of(ret->type) || (ret->receiver == 0 && ret->type != WIRE_GOSSIP))
		return -1;
	message_read(&in, wire_messages[type], &ret->gossip);	/* wherever in the union, it begins there */
	return unpack_end(&in);
}
