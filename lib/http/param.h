/*
 * param - the parameters behind a field value: `form-data; name="f"; x=y`
 */
#ifndef COVEY_HTTP_PARAM_H
#define COVEY_HTTP_PARAM_H

#include "str.h"

enum param_quoting {
	PARAM_QUOTED,		/* RFC 9110, section 5.6.4: a backslash quotes any byte */
	PARAM_FORM,		/* as browsers write forms: only a quote and a backslash; else it is plain */
};

/* What stands before the parameters, trimmed; *rest is left at the first ';' or at the end. */
struct str param_essence(struct str *rest);

/*
 * One `; name=value` off the front of *rest.  1, 0 at the end, -1 when
 * malformed.  A quoted value keeps its quotes and backslashes.
 */
int param_next(struct str *rest, enum param_quoting, struct str *ret_name, struct str *ret_value);

#endif
