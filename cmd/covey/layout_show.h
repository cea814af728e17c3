/* layout_show - the layout as people read it, from the JSON of /.covey/layout */
#ifndef COVEY_CMD_LAYOUT_SHOW_H
#define COVEY_CMD_LAYOUT_SHOW_H

#include "json.h"

void layout_show(const json_t *layout);

#endif
