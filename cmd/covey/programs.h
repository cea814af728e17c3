/* programs - where the other programs of covey are */
#ifndef COVEY_CMD_PROGRAMS_H
#define COVEY_CMD_PROGRAMS_H

#include "err.h"

/* Beside this one, in its ../libexec/covey, or in PATH.  *ret is the caller's to free. */
int program_find(const char *name, char **ret, struct err *);

#endif
