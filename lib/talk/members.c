/* members - members.ini, the view that outlives the programs */
#include "members.h"

#include "file.h"
#include "inifile.h"

#define FILE_BYTES (1u << 20)		/* MEMBERS_MAX sections have a third of it */

static int parse_protocol(struct str text, struct member *member)
{
	struct str low;
	uint64_t min, max;

	if (!str_cut(&text, '-', &low) || str_u64(low, UINT8_MAX, &min) < 0 ||
	    str_u64(text, UINT8_MAX, &max) < 0 || min > max)
		return -1;
	member->protocol_min = (uint8_t)min;
	member->protocol_max = (uint8_t)max;
	return 0;
}

static int parse_start(struct str text, struct start *ret)
{
	struct str count;

	if (!str_cut(&text, ' ', &count) || str_u64(count, UINT64_MAX, &ret->count) < 0)
		return -1;
	return str_hex64(text, &ret->nonce);
}

static int parse_key(struct member *member, struct str key, struct str value)
{
	if (str_eq(key, STR("name"))) {
		member_set_name(member, value);
		return 0;
	}
	if (str_eq(key, STR("state")))
		return member_state_parse(value, &member->state);
	if (str_eq(key, STR("start")))
		return str_u64(value, UINT64_MAX, &member->start);
	if (str_eq(key, STR("heartbeat")))
		return str_u64(value, UINT64_MAX, &member->heartbeat);
	if (str_eq(key, STR("seen")))
		return str_u64(value, UINT64_MAX, &member->seen);
	if (str_eq(key, STR("lineage")))
		return str_hex64(value, &member->lineage);
	if (str_eq(key, STR("epoch")))
		return str_u32(value, &member->epoch);
	if (str_eq(key, STR("sequence")))
		return str_u32(value, &member->sequence);
	if (str_eq(key, STR("nonce")))
		return str_hex64(value, &member->nonce);
	if (str_eq(key, STR("spoke")))
		return parse_start(value, &member->spoke);
	if (str_eq(key, STR("before")))
		return parse_start(value, &member->before);
	if (str_eq(key, STR("protocol")))
		return parse_protocol(value, member);
	if (str_eq(key, STR("http")))
		return address_parse(value, &member->http, NULL);
	if (str_eq(key, STR("discovery")))
		return address_parse(value, &member->discovery, NULL);
	if (str_eq(key, STR("versions")))
		return address_parse(value, &member->versions, NULL);
	return 0;	/* of a later release */
}

static int members_key(void *data, struct str section, struct str key, struct str value, struct err *err)
{
	struct members *members = data;
	struct member *member;
	uint64_t id;

	if (str_eq(section, STR("covey"))) {
		if (str_eq(key, STR("self")) && str_hex64(value, &members->self) < 0)
			return inifile_bad(STR("node id"), value, err);
		return 0;
	}
	if (str_hex64(section, &id) < 0 || id == 0)
		return inifile_bad(STR("node id"), section, err);
	if (members->count == 0 || members->list[members->count - 1].id != id) {
		struct member fresh = { .id = id, .state = MEMBER_DOWN };

		if (members->count == MEMBERS_MAX)
			return err_set(err, ERR_CORRUPT, "more than %d members", MEMBERS_MAX);
		members_add(members, &fresh);
	}
	member = &members->list[members->count - 1];
	if (parse_key(member, key, value) < 0)
		return inifile_bad(key, value, err);
	return 0;
}

int members_parse(struct str text, const char *file, struct members *ret, struct err *err)
{
	struct members members = MEMBERS_INIT;

	if (inifile_read_text(text, file, members_key, &members, err) < 0) {
		members_clear(&members);
		return -1;
	}
	members_clear(ret);
	*ret = members;
	return 0;
}

int members_remembered(const char *directory, struct members *ret, struct err *err)
{
	struct buf file = BUF_INIT, text = BUF_INIT;
	bool there;
	int rc;

	buf_addf(&file, "%s/members.ini", directory);
	rc = file_read_any(file.data, FILE_BYTES, &text, &there, err);
	if (rc == 0 && there)
		rc = members_parse(buf_str(&text), file.data, ret, err);
	else if (rc == 0)
		members_clear(ret);
	buf_clear(&file);
	buf_clear(&text);
	return rc;
}

int members_load(const char *directory, struct members *ret, struct err *err)
{
	if (members_remembered(directory, ret, err) < 0)
		return -1;
	for (size_t i = ret->count; i-- > 0;)
		if (ret->list[i].state == MEMBER_FORGOTTEN)
			memmove(&ret->list[i], &ret->list[i + 1],
				(--ret->count - i) * sizeof ret->list[0]);
	return 0;
}

static void put_address(struct inifile *ini, const char *key, const struct address *address)
{
	char text[ADDRESS_TEXT];

	if (address->len != 0)
		inifile_put(ini, key, str_of(address_format(text, address)));
}

static void members_put_member(struct inifile *ini, const struct member *member)
{
	char id[17];

	snprintf(id, sizeof id, "%016llx", (unsigned long long)member->id);
	inifile_section(ini, id);
	inifile_put(ini, "name", str_of(member->name));
	inifile_put(ini, "state", str_of(member_state_name(member->state)));
	inifile_putf(ini, "start", "%llu", (unsigned long long)member->start);
	inifile_putf(ini, "heartbeat", "%llu", (unsigned long long)member->heartbeat);
	inifile_putf(ini, "seen", "%llu", (unsigned long long)member->seen);
	inifile_putf(ini, "lineage", "%016llx", (unsigned long long)member->lineage);
	inifile_putf(ini, "epoch", "%u", member->epoch);
	inifile_putf(ini, "sequence", "%u", member->sequence);
	inifile_putf(ini, "nonce", "%016llx", (unsigned long long)member->nonce);
	inifile_putf(ini, "spoke", "%llu %016llx", (unsigned long long)member->spoke.count,
		     (unsigned long long)member->spoke.nonce);
	inifile_putf(ini, "before", "%llu %016llx", (unsigned long long)member->before.count,
		     (unsigned long long)member->before.nonce);
	inifile_putf(ini, "protocol", "%u-%u", member->protocol_min, member->protocol_max);
	put_address(ini, "http", &member->http);
	put_address(ini, "discovery", &member->discovery);
	put_address(ini, "versions", &member->versions);
}

int members_save(const char *directory, const struct members *members, struct err *err)
{
	struct inifile ini = INIFILE_INIT;

	inifile_section(&ini, "covey");
	inifile_putf(&ini, "self", "%016llx", (unsigned long long)members->self);
	for (size_t i = 0; i < members->count; i++)
		members_put_member(&ini, &members->list[i]);
	return inifile_store(&ini, directory, "members.ini", err);
}
