/* holdings - what a node holds outside its partitions: is it still the newest? */
#include "holdings.h"

#include "mem.h"
#include "message_table.h"

#define QUESTION_BYTES (56u << 10)
#define ANSWER_BYTES (60u * 1024 - 256)	/* it fits a sealed message, and a frame */
#define STATE_BYTES_MAX (1 + RECORD_BYTES_MAX + 2 + RECORD_TYPE_MAX)	/* of the answer, for an item */
#define PART_ITEMS (ANSWER_BYTES / STATE_BYTES_MAX)	/* the answer to a part always fits */
#define PART_BYTES (16u << 10)		/* before the last item */

enum state { NOT_NEWER, NEWER, UNKNOWN };

struct holdings_part {
	unsigned partition;
	size_t at, bytes, count;	/* of the items */
	struct quorum told, tried;	/* homes that told of all of it; that it was asked of */
};

void holdings_clear(struct holdings *h)
{
	buf_clear(&h->items);
	free(h->parts);
	*h = (struct holdings)HOLDINGS_INIT;
}

void holdings_begin(struct holdings *h, const struct layout *layout)
{
	holdings_clear(h);
	h->layout = *layout;
	for (size_t i = 0; i < layout->count; i++)
		h->peers[h->peer_count++].id = layout->members[i].id;
}

/* items */

struct item {
	struct version version;
	struct str path;
};

static bool item_is_sound(const void *from)
{
	const struct item *item = from;

	return !version_is_none(item->version);
}

ROW_TABLE(version, struct item, "version of an item", NULL, VERSION(struct item, version));

ROW_TABLE(item, struct item, "item of NEWEST", item_is_sound,
	  VERSION(struct item, version), PATH(struct item, path, 1));

static bool newer_is_sound(const void *from)
{
	const struct holdings_newer *newer = from;

	return newer->type.n == 0 || record_has_content(&newer->record);
}

/* Its path is the item's. */
ROW_TABLE(newer, struct holdings_newer, "item of NEWEST_ARE", newer_is_sound,
	  RECORD(struct holdings_newer, record, FILE_RECORD | FILE_END),
	  TYPE(struct holdings_newer, type));

static struct holdings_part *add_part(struct holdings *h, unsigned partition)
{
	struct holdings_part *part;

	/* A power of two has been filled. */
	if ((h->part_count & (h->part_count - 1)) == 0)
		h->parts = mem_resize(h->parts, h->part_count > 0 ? 2 * h->part_count : 1,
				      sizeof *h->parts);
	part = &h->parts[h->part_count++];
	*part = (struct holdings_part){ .partition = partition, .at = h->items.len };
	quorum_begin(&part->told);
	quorum_add(&part->told, &h->layout, partition);
	part->tried = part->told;
	return part;
}

void holdings_add(struct holdings *h, struct str path, struct version newest)
{
	unsigned partition = path_partition(path);
	struct holdings_part *part = h->part_count > 0 ? &h->parts[h->part_count - 1] : NULL;

	if (part == NULL || part->partition != partition || part->count == PART_ITEMS ||
	    part->bytes >= PART_BYTES)
		part = add_part(h, partition);
	message_pack(&h->items, &item_message, &(struct item){ newest, path });
	part->bytes = h->items.len - part->at;
	part->count++;
	h->item_count++;
}

/* asking */

static struct holdings_peer *peer_of(struct holdings *h, uint64_t id)
{
	for (size_t i = 0; i < h->peer_count; i++)
		if (h->peers[i].id == id)
			return &h->peers[i];
	return NULL;
}

void holdings_late(struct holdings *h, uint64_t id)
{
	struct holdings_peer *peer = peer_of(h, id);

	if (peer != NULL)
		peer->late = true;
}

/* It could say something about the part that is not known yet. */
static bool may_tell(const struct holdings_part *part, const struct holdings_peer *peer)
{
	return !peer->failed && !quorum_reached(&part->told) && quorum_has(&part->tried, peer->id) &&
	       !quorum_is_answered(&part->tried, peer->id);
}

/* Who is to be asked about it next: in the order of its homes, whoever is late last; NULL: nobody. */
static struct holdings_peer *best_for(struct holdings *h, const struct holdings_part *part)
{
	uint64_t homes[QUORUM_HOMES_MAX];
	size_t count = quorum_homes(&part->told, homes);
	struct holdings_peer *late = NULL;

	for (size_t i = 0; i < count; i++) {
		struct holdings_peer *peer = peer_of(h, homes[i]);

		if (peer == NULL || !may_tell(part, peer))
			continue;
		if (!peer->late)
			return peer;
		late = late != NULL ? late : peer;
	}
	return late;
}

/* It is asked about all that it could tell; but if it is late, only about what nobody else can. */
static bool is_asked(struct holdings *h, const struct holdings_part *part,
		     const struct holdings_peer *peer)
{
	return may_tell(part, peer) && (!peer->late || best_for(h, part)->late);
}

bool holdings_next(struct holdings *h, uint64_t *ret_peer, struct buf *question)
{
	for (size_t i = 0; i < h->part_count; i++) {
		const struct holdings_part *part = &h->parts[i];

		if (h->asked == NULL)
			h->asked = best_for(h, part);
		if (h->asked != NULL && is_asked(h, part, h->asked) &&
		    (question->len == 0 || question->len + part->bytes <= QUESTION_BYTES))
			buf_add(question, h->items.data + part->at, part->bytes);
	}
	if (h->asked == NULL)
		return false;
	*ret_peer = h->asked->id;
	return true;
}

size_t holdings_open(const struct holdings *h)
{
	size_t open = 0;

	for (size_t i = 0; i < h->part_count; i++)
		open += quorum_reached(&h->parts[i].told) ? 0 : h->parts[i].count;
	return open;
}

/* judging */

void holdings_failed(struct holdings *h)
{
	h->asked->failed = true;
	h->asked = NULL;
}

/* What an answer says of one item: 1, or -1 malformed. */
static int next_state(struct str *answer, const struct item *item, enum state *ret,
		      struct holdings_newer *newer)
{
	struct unpack in = unpack_of(*answer);
	uint8_t state = unpack_u8(&in);

	if (state == NEWER) {
		newer->path = item->path;
		message_read(&in, &newer_message, newer);
		if (in.failed || version_cmp(newer->record.version, item->version) <= 0)
			return -1;
	}
	if (in.failed || state > UNKNOWN)
		return -1;
	*ret = (enum state)state;
	*answer = in.rest;
	return 1;
}

/* The others need not tell the same again. */
static void set_version(struct holdings *h, size_t at, struct version version)
{
	struct buf packed = BUF_INIT;

	message_pack(&packed, &version_message, &(struct item){ .version = version });
	memcpy(h->items.data + at, packed.data, packed.len);
	buf_clear(&packed);
}

/* One part of the answer: 1 when all of it was told, 0 when some cannot be, -1 malformed or cut off. */
static int judge_part(struct holdings *h, const struct holdings_part *part, struct str *answer,
		      void (*newer)(void *data, const struct holdings_newer *), void *data)
{
	struct str items = { h->items.data + part->at, part->bytes };
	bool all = true;
	struct item item;
	enum state state = UNKNOWN;

	for (size_t at = part->at; message_next(&items, &item_message, &item) == 1;
	     at = part->at + part->bytes - items.n) {
		struct holdings_newer told;

		if (next_state(answer, &item, &state, &told) < 0)
			return -1;
		all = all && state != UNKNOWN;
		if (state == NEWER) {
			newer(data, &told);
			set_version(h, at, told.record.version);
		}
	}
	return all;
}

void holdings_answered(struct holdings *h, struct str answer,
		       void (*newer)(void *data, const struct holdings_newer *), void *data)
{
	struct holdings_peer *peer = h->asked;
	size_t question = 0, told = 0;

	for (size_t i = 0; i < h->part_count && answer.n > 0; i++) {
		struct holdings_part *part = &h->parts[i];
		int status;

		if (!is_asked(h, part, peer) ||
		    (question > 0 && question + part->bytes > QUESTION_BYTES))
			continue;
		question += part->bytes;
		status = judge_part(h, part, &answer, newer, data);
		if (status < 0)
			break;
		quorum_answered(&part->tried, peer->id);
		if (status > 0)
			quorum_answered(&part->told, peer->id);
		told++;
	}
	h->asked = NULL;
	if (told == 0)
		peer->failed = true;
}

/* answering */

static void add_state(struct buf *answer, const struct item *item, int known,
		      const struct record *record, const char *type)
{
	const struct holdings_newer newer = { .record = *record, .type = str_of(type) };

	if (known < 0) {
		pack_u8(answer, UNKNOWN);
	} else if (version_cmp(record->version, item->version) <= 0) {
		pack_u8(answer, NOT_NEWER);
	} else {
		pack_u8(answer, NEWER);
		message_pack(answer, &newer_message, &newer);
	}
}

int holdings_answer(struct str question, holdings_newest *newest, void *data, struct buf *answer)
{
	struct item item;
	int status;

	while ((status = message_next(&question, &item_message, &item)) == 1 &&
	       answer->len + STATE_BYTES_MAX <= ANSWER_BYTES) {
		struct record record = { .version = VERSION_NONE };
		char type[RECORD_TYPE_MAX + 1] = "";
		int known = newest(data, item.path, &record, type);

		add_state(answer, &item, known, &record, type);
	}
	return status < 0 ? -1 : 0;
}
