/* layout_show - the layout as people read it, from the JSON of /.covey/layout */
#ifndef COVEY_CMD_LAYOUT_SHOW_H
#define COVEY_CMD_LAYOUT_SHOW_H

#include "json.h"

void layout_show(const json_t *layout);

/* What a member is in it: "home, council", "home", "joining", "leaving" or "guest". */
const char *layout_role(const json_t *layout, const json_t *member);

/* "-" for nothing. */
const char *or_dash(const char *text);

#endif
