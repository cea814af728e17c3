/* wire - what nodes say to each other by UDP, before it is sealed */
#include "wire.h"

#include <endian.h>

enum record_bit { RECORD_HAS_CONTENT = 1 };

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

void pack_version(struct buf *buf, struct version version)
{
	pack_u64(buf, version.time);
	pack_u64(buf, version.node);
	pack_u64(buf, version.n);
}

struct version unpack_version(struct unpack *in)
{
	struct version version;

	version.time = unpack_u64(in);
	version.node = unpack_u64(in);
	version.n = unpack_u64(in);
	if (version.n > VERSION_N_MAX)
		in->failed = true;
	return version;
}

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

void wire_pack_check(struct buf *buf, const struct wire_check *check)
{
	pack_u8(buf, WIRE_CHECK);
	pack_u64(buf, check->id);
	pack_u64(buf, check->epoch);
	pack_u64(buf, check->clock);
	pack_u8(buf, check->below);
	pack_version(buf, check->version);
	pack_str(buf, check->path);
}

void wire_pack_record(struct buf *buf, const struct wire_record *record)
{
	pack_u8(buf, WIRE_RECORD);
	pack_u64(buf, record->id);
	pack_u64(buf, record->epoch);
	pack_u64(buf, record->clock);
	pack_u8(buf, record->content ? RECORD_HAS_CONTENT : 0);
	pack_record(buf, &record->record);
	pack_str(buf, record->type);
	pack_record(buf, &record->entry);
	pack_version(buf, record->gate);
}

void wire_pack_store(struct buf *buf, const struct wire_store *store)
{
	pack_u8(buf, WIRE_STORE);
	pack_u64(buf, store->id);
	pack_u64(buf, store->epoch);
	pack_record(buf, &store->record);
	pack_str(buf, store->type);
	pack_str(buf, store->path);
}

void wire_pack_stored(struct buf *buf, const struct wire_stored *stored)
{
	pack_u8(buf, WIRE_STORED);
	pack_u64(buf, stored->id);
	pack_u64(buf, stored->epoch);
	pack_version(buf, stored->newest);
	pack_version(buf, stored->gate);
}

void wire_pack_stale(struct buf *buf, const struct wire_stale *stale)
{
	pack_u8(buf, WIRE_STALE);
	pack_u64(buf, stale->id);
	pack_u64(buf, stale->epoch);
}

void wire_pack_want(struct buf *buf, const struct wire_want *want)
{
	pack_u8(buf, WIRE_WANT);
	pack_u64(buf, want->id);
	pack_u64(buf, want->lineage);
	pack_u64(buf, want->epoch);
}

void wire_pack_layout(struct buf *buf, uint64_t id, const struct layout *layout)
{
	pack_u8(buf, WIRE_LAYOUT);
	pack_u64(buf, id);
	layout_pack(buf, layout);
}

int ballot_cmp(struct ballot a, struct ballot b)
{
	if (a.round != b.round)
		return a.round < b.round ? -1 : 1;
	if (a.node != b.node)
		return a.node < b.node ? -1 : 1;
	return 0;
}

static void pack_ballot(struct buf *buf, struct ballot ballot)
{
	pack_u32(buf, ballot.round);
	pack_u64(buf, ballot.node);
}

static struct ballot unpack_ballot(struct unpack *in)
{
	struct ballot ballot;

	ballot.round = unpack_u32(in);
	ballot.node = unpack_u64(in);
	return ballot;
}

void wire_pack_synod(struct buf *buf, enum wire_type type, const struct wire_synod *synod)
{
	pack_u8(buf, (uint8_t)type);
	pack_u64(buf, synod->id);
	pack_u64(buf, synod->lineage);
	pack_u64(buf, synod->instance);
	pack_ballot(buf, synod->ballot);
	pack_ballot(buf, synod->accepted);
	layout_pack(buf, &synod->value);
}

void wire_pack_change(struct buf *buf, const struct wire_change *change)
{
	pack_u8(buf, WIRE_CHANGE);
	pack_u64(buf, change->lineage);
	pack_u64(buf, change->epoch);
	pack_u8(buf, change->numbers.homes);
	pack_u8(buf, change->numbers.copies);
	pack_u32(buf, change->numbers.keep_versions);
	pack_u32(buf, change->numbers.keep_days);
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
	size_t packed = 0, count_at;

	pack_u8(buf, WIRE_GOSSIP);
	pack_u8(buf, answer);
	pack_u64(buf, id);
	pack_u64(buf, clock);
	count_at = buf->len;
	pack_u8(buf, 0);
	while (packed < *count && packed < WIRE_MEMBERS_MAX) {
		size_t was = buf->len;

		member_pack(buf, members[packed]);
		pack_u32(buf, silent_s(members[packed], clock));
		if (buf->len > WIRE_PLAIN_BYTES) {
			buf->len = was;
			break;
		}
		packed++;
	}
	buf->data[count_at] = (char)packed;
	*count = packed;
}

static void unpack_gossip(struct unpack *in, struct wire_gossip *ret)
{
	uint8_t answer = unpack_u8(in);

	ret->answer = answer == 1;
	ret->id = unpack_u64(in);
	ret->clock = unpack_u64(in);
	ret->count = unpack_u8(in);
	if (answer > 1 || ret->count > WIRE_MEMBERS_MAX)
		in->failed = true;
	for (size_t i = 0; i < ret->count && !in->failed; i++) {
		member_unpack(in, &ret->members[i].member);
		ret->members[i].silent_s = unpack_u32(in);
	}
}

static struct str unpack_path(struct unpack *in)
{
	struct str path = unpack_str(in, PATH_BYTES);

	if (!in->failed && path_check_record(path, NULL) < 0)
		in->failed = true;
	return path;
}

static void unpack_check(struct unpack *in, struct wire_check *ret)
{
	uint8_t below;

	ret->id = unpack_u64(in);
	ret->epoch = unpack_u64(in);
	ret->clock = unpack_u64(in);
	below = unpack_u8(in);
	ret->below = below == 1;
	ret->version = unpack_version(in);
	ret->path = unpack_path(in);
	if (below > 1 || (ret->below && version_is_none(ret->version)))
		in->failed = true;
}

struct record unpack_entry(struct unpack *in)
{
	struct record entry = { .version = VERSION_NONE };

	unpack_record(in, &entry);
	if (!version_is_none(entry.version) && !(entry.flags & RECORD_DIRECTORY))
		in->failed = true;
	return entry;
}

static void unpack_answer(struct unpack *in, struct wire_record *ret)
{
	uint8_t flags;

	ret->id = unpack_u64(in);
	ret->epoch = unpack_u64(in);
	ret->clock = unpack_u64(in);
	flags = unpack_u8(in);
	ret->content = flags & RECORD_HAS_CONTENT;
	unpack_record(in, &ret->record);
	ret->type = unpack_str(in, RECORD_TYPE_MAX);
	ret->entry = unpack_entry(in);
	ret->gate = unpack_version(in);
	if (flags > RECORD_HAS_CONTENT || record_check_type(ret->type, NULL) < 0)
		in->failed = true;
}

static void unpack_store(struct unpack *in, struct wire_store *ret)
{
	ret->id = unpack_u64(in);
	ret->epoch = unpack_u64(in);
	unpack_record(in, &ret->record);
	ret->type = unpack_str(in, RECORD_TYPE_MAX);
	ret->path = unpack_path(in);
	if (version_is_none(ret->record.version) || ret->path.n == 0 ||
	    record_check_type(ret->type, NULL) < 0 ||
	    (ret->type.n > 0 && !record_has_content(&ret->record)))
		in->failed = true;
}

static void unpack_stored(struct unpack *in, struct wire_stored *ret)
{
	ret->id = unpack_u64(in);
	ret->epoch = unpack_u64(in);
	ret->newest = unpack_version(in);
	ret->gate = unpack_version(in);
}

static void unpack_stale(struct unpack *in, struct wire_stale *ret)
{
	ret->id = unpack_u64(in);
	ret->epoch = unpack_u64(in);
}

static void unpack_want(struct unpack *in, struct wire_want *ret)
{
	ret->id = unpack_u64(in);
	ret->lineage = unpack_u64(in);
	ret->epoch = unpack_u64(in);
}

static void unpack_synod(struct unpack *in, struct wire_synod *ret)
{
	ret->id = unpack_u64(in);
	ret->lineage = unpack_u64(in);
	ret->instance = unpack_u64(in);
	ret->ballot = unpack_ballot(in);
	ret->accepted = unpack_ballot(in);
	layout_unpack(in, &ret->value);
	if (ret->value.epoch != 0 &&
	    (ret->value.epoch != ret->instance || ret->value.lineage != ret->lineage))
		in->failed = true;
}

static void unpack_change(struct unpack *in, struct wire_change *ret)
{
	ret->lineage = unpack_u64(in);
	ret->epoch = unpack_u64(in);
	ret->numbers.homes = unpack_u8(in);
	ret->numbers.copies = unpack_u8(in);
	ret->numbers.keep_versions = unpack_u32(in);
	ret->numbers.keep_days = unpack_u32(in);
	if (ret->numbers.homes > LAYOUT_HOMES_MAX || ret->numbers.copies > LAYOUT_COPIES_MAX)
		in->failed = true;
}

static void unpack_message(struct unpack *in, enum wire_type type, struct wire *ret)
{
	switch (type) {
	case WIRE_GOSSIP:
		unpack_gossip(in, &ret->gossip);
		break;
	case WIRE_CHECK:
		unpack_check(in, &ret->check);
		break;
	case WIRE_RECORD:
		unpack_answer(in, &ret->record);
		break;
	case WIRE_STORE:
		unpack_store(in, &ret->store);
		break;
	case WIRE_STORED:
		unpack_stored(in, &ret->stored);
		break;
	case WIRE_STALE:
		unpack_stale(in, &ret->stale);
		break;
	case WIRE_WANT:
		unpack_want(in, &ret->want);
		break;
	case WIRE_LAYOUT:
		ret->layout_id = unpack_u64(in);
		layout_unpack(in, &ret->layout);
		break;
	case WIRE_PREPARE:
	case WIRE_PROMISE:
	case WIRE_ACCEPT:
	case WIRE_ACCEPTED:
	case WIRE_NACK:
		unpack_synod(in, &ret->synod);
		break;
	case WIRE_CHANGE:
		unpack_change(in, &ret->change);
		break;
	case WIRE_OTHER:
		in->failed = true;
		break;
	}
}

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

int wire_unpack(struct str plain, uint8_t protocol, uint64_t group, struct wire *ret)
{
	struct unpack in = unpack_of(plain);
	uint64_t of = unpack_u64(&in);
	uint8_t type;

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
	if (of != group || type >= WIRE_TYPES)
		return -1;
	ret->type = (enum wire_type)type;
	if (ret->role != role_of(ret->type) || (ret->receiver == 0 && ret->type != WIRE_GOSSIP))
		return -1;
	unpack_message(&in, ret->type, ret);
	return unpack_end(&in);
}
