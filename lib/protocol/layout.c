/* layout - who keeps what: members, homes, keepers, and the packed form */
#include "layout.h"

#include <sodium.h>

bool layout_is_joint(const struct layout *layout)
{
	return layout_members(layout, LAYOUT_B) > 0;
}

bool layout_is_solo(const struct layout *layout)
{
	return layout->epoch != 0 && layout->count == 1;
}

/* Where the id is, or would be. */
static size_t place_of(const struct layout *layout, uint64_t id)
{
	size_t at = 0;

	while (at < layout->count && layout->members[at].id < id)
		at++;
	return at;
}

const struct layout_member *layout_find(const struct layout *layout, uint64_t id)
{
	size_t at = place_of(layout, id);

	return at < layout->count && layout->members[at].id == id ? &layout->members[at] : NULL;
}

bool layout_has_seat(const struct layout *layout, uint64_t id)
{
	const struct layout_member *member = layout_find(layout, id);

	return member != NULL && member->council;
}

size_t layout_members(const struct layout *layout, enum layout_set set)
{
	size_t count = 0;

	for (size_t i = 0; i < layout->count; i++)
		count += (layout->members[i].sets & set) != 0;
	return count;
}

static const char *region_of(const struct layout *layout, const struct layout_member *member)
{
	return layout->regions[member->region];
}

static bool member_eq(const struct layout *a, const struct layout *b, size_t i)
{
	const struct layout_member *x = &a->members[i], *y = &b->members[i];

	return x->id == y->id && x->sets == y->sets && x->council == y->council &&
	       x->weight == y->weight && strcmp(region_of(a, x), region_of(b, y)) == 0;
}

bool layout_eq(const struct layout *a, const struct layout *b)
{
	if (a->lineage != b->lineage || a->epoch != b->epoch ||
	    a->left_lineage != b->left_lineage || a->left_epoch != b->left_epoch ||
	    a->homes != b->homes ||
	    a->copies != b->copies || a->keep_versions != b->keep_versions ||
	    a->keep_days != b->keep_days || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!member_eq(a, b, i))
			return false;
	return true;
}

/* changes */

/* 0 for the empty name, and when there is no room for one more. */
static uint8_t region_number(struct layout *layout, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i <= layout->region_count; i++)
		if (strcmp(layout->regions[i], name) == 0)
			return (uint8_t)i;
	if (layout->region_count == LAYOUT_REGIONS_MAX || n > MEMBER_REGION_MAX)
		return 0;
	memcpy(layout->regions[++layout->region_count], name, n + 1);
	return (uint8_t)layout->region_count;
}

int layout_put(struct layout *layout, uint64_t id, uint8_t sets, uint8_t weight,
	       const char *region)
{
	size_t at = place_of(layout, id);
	struct layout_member *member = &layout->members[at];

	if (at == layout->count || member->id != id) {
		if (layout->count == LAYOUT_MEMBERS_MAX)
			return -1;
		memmove(member + 1, member, (layout->count - at) * sizeof *member);
		layout->count++;
		*member = (struct layout_member){ .id = id };
	}
	member->sets = sets;
	member->weight = weight;
	member->region = region_number(layout, region);
	return 0;
}

void layout_remove(struct layout *layout, uint64_t id)
{
	size_t at = place_of(layout, id);
	struct layout_member *member = &layout->members[at];

	if (at == layout->count || member->id != id)
		return;
	layout->count--;
	memmove(member, member + 1, (layout->count - at) * sizeof *member);
}

void layout_seat(struct layout *layout)
{
	size_t seats = 0;

	for (size_t i = 0; i < layout->count; i++) {
		struct layout_member *member = &layout->members[i];

		member->council = member->council && member->sets & LAYOUT_A &&
				  seats < LAYOUT_COUNCIL_MAX;
		seats += member->council;
	}
	for (size_t i = 0; i < layout->count && seats < LAYOUT_COUNCIL_MAX; i++) {
		struct layout_member *member = &layout->members[i];

		if (member->council || !(member->sets & LAYOUT_A))
			continue;
		member->council = true;
		seats++;
	}
}

/* Built anew, so that names of regions that nobody has any more are forgotten. */
void layout_single(const struct layout *layout, enum layout_set set, struct layout *ret)
{
	struct layout single = *layout;

	single.epoch++;
	single.count = single.region_count = 0;
	memset(single.members, 0, sizeof single.members);
	memset(single.regions, 0, sizeof single.regions);
	for (size_t i = 0; i < layout->count; i++) {
		const struct layout_member *m = &layout->members[i];

		if (!(m->sets & set))
			continue;
		layout_put(&single, m->id, LAYOUT_A, m->weight, layout->regions[m->region]);
		single.members[single.count - 1].council = m->council;	/* sorted: it is the last */
	}
	layout_seat(&single);
	*ret = single;
}

#define FORCED_EPOCHS 1000		/* that a forced layout jumps */

void layout_force(struct layout *layout)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];
	struct buf left = BUF_INIT;
	struct unpack in;

	layout->left_lineage = layout->lineage;
	layout->left_epoch = layout->epoch;
	layout->epoch += FORCED_EPOCHS;
	pack_u64(&left, layout->left_lineage);
	pack_u64(&left, layout->left_epoch);
	for (size_t i = 0; i < layout->count; i++) {
		layout->members[i].sets = LAYOUT_A;
		pack_u64(&left, layout->members[i].id);
	}
	layout_seat(layout);
	crypto_generichash(hash, sizeof hash, (const unsigned char *)left.data, left.len, NULL, 0);
	buf_clear(&left);
	in = unpack_of((struct str){ (const char *)hash, sizeof hash });
	layout->lineage = unpack_u64(&in) | 1;	/* never 0 */
}

/* rendezvous */

uint64_t layout_mix(uint64_t z)
{
	z += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

struct candidate {
	uint64_t id, score;
	uint8_t region;
	bool taken;
};

static uint64_t home_score(uint64_t key, const struct layout_member *member)
{
	return layout_mix(layout_mix(key) ^ member->id);
}

static uint64_t keeper_score(uint64_t key, const struct layout_member *member)
{
	uint64_t best = 0;

	for (uint64_t i = 0; i < member->weight; i++) {
		uint64_t score = layout_mix(layout_mix(key) ^ layout_mix(member->id + i));

		if (score > best)
			best = score;
	}
	return best;
}

/* The best that is left and whose region was used fewer than `limit` times; NULL: none. */
static struct candidate *best_of(struct candidate *list, size_t count, const uint8_t *used,
				 unsigned limit)
{
	struct candidate *best = NULL;

	for (size_t i = 0; i < count; i++) {
		struct candidate *c = &list[i];

		if (c->taken || used[c->region] >= limit)
			continue;
		if (best == NULL || c->score > best->score ||
		    (c->score == best->score && c->id < best->id))
			best = c;
	}
	return best;
}

/* In order of score, but no region twice before each that is left has been once. */
static void put_in_order(struct candidate *list, size_t count, size_t want,
			 struct layout_order *ret)
{
	uint8_t used[LAYOUT_REGIONS_MAX + 1] = { 0 };
	unsigned limit = 1;

	ret->count = 0;
	while (ret->count < want) {
		struct candidate *best = best_of(list, count, used, limit);

		if (best == NULL) {
			limit++;
			continue;
		}
		best->taken = true;
		used[best->region]++;
		ret->ids[ret->count++] = best->id;
	}
}

void layout_homes(const struct layout *layout, enum layout_set set, unsigned partition,
		  struct layout_order *ret)
{
	struct candidate list[LAYOUT_MEMBERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < layout->count; i++) {
		const struct layout_member *m = &layout->members[i];

		if (m->sets & set)
			list[count++] = (struct candidate){ m->id, home_score(partition, m),
							    m->region, false };
	}
	put_in_order(list, count, count < layout->homes ? count : layout->homes, ret);
}

static enum layout_set keeping_set(const struct layout *layout)
{
	return layout_is_joint(layout) ? LAYOUT_B : LAYOUT_A;
}

void layout_keepers(const struct layout *layout, struct str path, struct layout_order *ret)
{
	enum layout_set set = keeping_set(layout);
	struct candidate list[LAYOUT_MEMBERS_MAX];
	uint64_t key = path_hash(path);
	size_t count = 0;

	for (size_t i = 0; i < layout->count; i++) {
		const struct layout_member *m = &layout->members[i];

		if (m->sets & set)
			list[count++] = (struct candidate){ m->id, keeper_score(key, m), m->region,
							    false };
	}
	put_in_order(list, count, count, ret);
}

bool layout_may_keep(const struct layout *layout, uint64_t id)
{
	const struct layout_member *m = layout_find(layout, id);

	return m != NULL && m->sets & keeping_set(layout);
}

size_t layout_copies(const struct layout *layout)
{
	size_t members = layout_members(layout, keeping_set(layout));

	return layout->copies < members ? layout->copies : members;
}

size_t layout_copies_beside(const struct layout *layout, uint64_t id)
{
	size_t others = layout_members(layout, keeping_set(layout)) - layout_may_keep(layout, id);
	size_t wanted = layout->copies > 0 ? layout->copies - 1u : 0;

	return others < wanted ? others : wanted;
}

bool layout_keeps(const struct layout *layout, struct str path, uint64_t id)
{
	size_t copies = layout_copies(layout);
	struct layout_order order;

	layout_keepers(layout, path, &order);
	for (size_t i = 0; i < copies; i++)
		if (order.ids[i] == id)
			return true;
	return false;
}

/* the packed form */

void layout_pack(struct buf *buf, const struct layout *layout)
{
	pack_u64(buf, layout->lineage);
	pack_u64(buf, layout->epoch);
	pack_u8(buf, layout->homes);
	pack_u8(buf, layout->copies);
	pack_u32(buf, layout->keep_versions);
	pack_u32(buf, layout->keep_days);
	pack_u8(buf, (uint8_t)layout->region_count);
	for (size_t i = 1; i <= layout->region_count; i++)
		pack_str(buf, str_of(layout->regions[i]));
	pack_u8(buf, (uint8_t)layout->count);
	for (size_t i = 0; i < layout->count; i++) {
		const struct layout_member *m = &layout->members[i];

		pack_u64(buf, m->id);
		pack_u8(buf, (uint8_t)(m->sets | (m->council ? 4 : 0)));
		pack_u8(buf, m->weight);
		pack_u8(buf, m->region);
	}
	pack_u64(buf, layout->left_lineage);
	pack_u64(buf, layout->left_epoch);
}

static void unpack_regions(struct unpack *in, struct layout *ret)
{
	struct member probe;

	ret->region_count = unpack_u8(in);
	if (ret->region_count > LAYOUT_REGIONS_MAX)
		in->failed = true;
	for (size_t i = 1; i <= ret->region_count && !in->failed; i++) {
		struct str name = unpack_str(in, MEMBER_REGION_MAX);

		if (in->failed || name.n == 0 || member_set_region(&probe, name) < 0)
			in->failed = true;
		else
			memcpy(ret->regions[i], name.s, name.n);
	}
}

static void unpack_members(struct unpack *in, struct layout *ret)
{
	size_t seats = 0;

	ret->count = unpack_u8(in);
	if (ret->count > LAYOUT_MEMBERS_MAX)
		in->failed = true;
	for (size_t i = 0; i < ret->count && !in->failed; i++) {
		struct layout_member *m = &ret->members[i];
		uint8_t bits;

		m->id = unpack_u64(in);
		bits = unpack_u8(in);
		m->sets = bits & (LAYOUT_A | LAYOUT_B);
		m->council = bits & 4;
		m->weight = unpack_u8(in);
		m->region = unpack_u8(in);
		seats += m->council;
		if (bits > 7 || m->sets == 0 || (m->council && !(m->sets & LAYOUT_A)) ||
		    m->weight < 1 || m->weight > MEMBER_WEIGHT_MAX ||
		    m->region > ret->region_count || (i > 0 && m->id <= ret->members[i - 1].id))
			in->failed = true;
	}
	if (seats > LAYOUT_COUNCIL_MAX)
		in->failed = true;
}

static bool is_none(const struct layout *layout)
{
	return layout->lineage == 0 && layout->count == 0 && layout->left_lineage == 0 &&
	       layout->left_epoch == 0;
}

/* Numbers that some group could have agreed on. */
static bool is_sound(const struct layout *layout)
{
	size_t seats = 0;

	for (size_t i = 0; i < layout->count; i++)
		seats += layout->members[i].council;
	return layout->lineage != 0 && layout->epoch != 0 && layout->homes >= 1 &&
	       layout->homes <= LAYOUT_HOMES_MAX && layout->copies >= 1 &&
	       layout->copies <= LAYOUT_COPIES_MAX && layout->keep_versions >= 1 && seats > 0 &&
	       (layout->left_lineage == 0) == (layout->left_epoch == 0) &&
	       layout->left_lineage != layout->lineage;
}

void layout_unpack(struct unpack *in, struct layout *ret)
{
	struct layout layout = LAYOUT_NONE;

	layout.lineage = unpack_u64(in);
	layout.epoch = unpack_u64(in);
	layout.homes = unpack_u8(in);
	layout.copies = unpack_u8(in);
	layout.keep_versions = unpack_u32(in);
	layout.keep_days = unpack_u32(in);
	unpack_regions(in, &layout);
	unpack_members(in, &layout);
	layout.left_lineage = unpack_u64(in);
	layout.left_epoch = unpack_u64(in);
	if (!in->failed && !is_none(&layout) && !is_sound(&layout))
		in->failed = true;
	*ret = in->failed || is_none(&layout) ? LAYOUT_NONE : layout;
}
