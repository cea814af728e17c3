/* layout_page - /.covey/layout: who keeps what, as JSON */
#include "layout_page.h"

#include "httpd.h"

#include "escape.h"

#include <inttypes.h>

static const char *boolean(bool value)
{
	return value ? "true" : "false";
}

static void add_person(struct buf *json, const struct member *m)
{
	char address[ADDRESS_TEXT];

	if (m == NULL) {
		buf_adds(json, "\"name\":null,\"address\":null,\"state\":null");
		return;
	}
	buf_adds(json, "\"name\":");
	escape_json(json, str_of(m->name));
	buf_addf(json, ",\"address\":\"%s\",\"state\":\"%s\"", address_format(address, &m->http),
		 member_state_name(m->state));
}

/* m or place is NULL: not met, or in no layout. */
static void add_member(struct buf *json, const struct layout *layout, const struct member *m,
		       const struct layout_member *place, bool self)
{
	bool in_a = place != NULL && place->sets & LAYOUT_A;
	bool in_b = place != NULL && place->sets & LAYOUT_B;

	buf_addf(json, "{\"node\":\"%016" PRIx64 "\",", m ? m->id : place->id);
	add_person(json, m);
	buf_addf(json, ",\"region\":\"%s\",\"weight\":%u,\"epoch\":%" PRIu32 ",\"self\":%s",
		 place ? layout->regions[place->region] : m->region,
		 (unsigned)(place ? place->weight : m->weight), m ? m->epoch : 0, boolean(self));
	if (m != NULL && m->lineage != 0)
		buf_addf(json, ",\"lineage\":\"%016" PRIx64 "\"", m->lineage);
	buf_addf(json, ",\"silent\":%s", boolean(m != NULL && m->flags & MEMBER_SILENT));
	buf_addf(json, ",\"home\":%s,\"in_a\":%s,\"in_b\":%s,\"council\":%s}",
		 boolean(place != NULL), boolean(in_a), boolean(in_b),
		 boolean(place != NULL && place->council));
}

static void add_members(struct buf *json, const struct members *members,
			const struct layout *layout)
{
	const char *comma = "";

	for (size_t i = 0; i < members->count; i++, comma = ",") {
		const struct member *m = &members->list[i];

		buf_adds(json, comma);
		add_member(json, layout, m, layout_find(layout, m->id), m->id == members->self);
	}
	for (size_t i = 0; i < layout->count; i++) {
		const struct layout_member *place = &layout->members[i];

		if (members_find(members, place->id) != NULL)
			continue;
		buf_adds(json, comma);
		add_member(json, layout, NULL, place, place->id == members->self);
		comma = ",";
	}
}

static void add_left(struct buf *json, const struct layout *layout)
{
	if (layout->left_lineage == 0)
		buf_adds(json, ",\"left\":null");
	else
		buf_addf(json, ",\"left\":{\"lineage\":\"%016" PRIx64 "\",\"epoch\":%" PRIu64 "}",
			 layout->left_lineage, layout->left_epoch);
}

void layout_page_json(struct buf *json, const struct httpd *h, const struct members *members,
		      const struct layout *layout)
{
	const struct conf *conf = h->conf;
	bool is = layout->epoch != 0;

	buf_adds(json, "{\"lineage\":");
	if (is)
		buf_addf(json, "\"%016" PRIx64 "\"", layout->lineage);
	else
		buf_adds(json, "null");
	add_left(json, layout);
	buf_addf(json, ",\"epoch\":%" PRIu64 ",\"joint\":%s,\"homes\":%" PRIu64 ",\"copies\":%" PRIu64,
		 layout->epoch, boolean(layout_is_joint(layout)),
		 is ? layout->homes : conf->replication.homes,
		 is ? layout->copies : conf->replication.copies);
	buf_addf(json, ",\"keep\":{\"versions\":%" PRIu64 ",\"days\":%" PRIu64 "},\"members\":[",
		 is ? layout->keep_versions : conf->keep.versions,
		 is ? layout->keep_days : conf->keep.days);
	add_members(json, members, layout);
	buf_adds(json, "]}\n");
}
