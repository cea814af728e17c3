/*
 * layout_file - layout.ini, the layout that this node uses
 *
 * covey-discoverd writes it, whole, atomically and synced, before it tells
 * anybody; the other roles read it when discoverd is away.
 *
 *	[layout]
 *	lineage = 5e1d3c9b7a201f44
 *	epoch = 3
 *	left_lineage = 99ad1c0b7a2044e1	of a forced one: what it left, and when
 *	left_epoch = 12
 *	homes = 3
 *	copies = 2
 *	keep_versions = 100
 *	keep_days = 0
 *
 *	[7f3a9c2b11d0e4f5]
 *	sets = A			A, B or AB
 *	council = yes
 *	weight = 1
 *	region = berlin			absent: none
 *
 * What cannot have been written by covey is ERR_CORRUPT.
 */
#ifndef COVEY_LAYOUT_FILE_H
#define COVEY_LAYOUT_FILE_H

#include "inifile.h"
#include "layout.h"

#define LAYOUT_FILE_BYTES (1u << 16)	/* LAYOUT_MEMBERS_MAX sections have a tenth of it */

/* Reads DIRECTORY/layout.ini (DIRECTORY: STORE/state).  No file is success with LAYOUT_NONE. */
int layout_load(const char *directory, struct layout *ret, struct err *);
/* The same from its text; file is only named in errors. */
int layout_parse(struct str text, const char *file, struct layout *ret, struct err *);
int layout_save(const char *directory, const struct layout *, struct err *);

/* For other files that hold a layout: its sections, and reading them key by key. */
void layout_put_ini(struct inifile *, const struct layout *);
/* To *ret, which begins as LAYOUT_NONE; unknown keys are of a later release. */
int layout_take_ini(struct layout *ret, struct str section, struct str key, struct str value,
		    struct err *);
/* Judge it as if it had come from the network. */
int layout_judge(const struct layout *, const char *file, struct err *);

#endif
