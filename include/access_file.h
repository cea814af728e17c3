/*
 * access_file - who may do what: a configuration, with the files that it names
 *
 *	struct access_file access = ACCESS_FILE_INIT;
 *
 *	if (access_file_load(&access, "/etc/covey/covey.yaml", &err) < 0)
 *		"FILE:LINE: ...", or "read FILE: ..."
 *	access_rights(&access.conf.access.rules, &asker, path)
 *	access_file_clear(&access);
 *
 * Users and groups of this machine that rules name are looked up, which may ask
 * other machines.
 */
#ifndef COVEY_ACCESS_FILE_H
#define COVEY_ACCESS_FILE_H

#include "access.h"
#include "conf.h"

struct access_file {
	struct conf conf;		/* of which access and trust_proxy count */
	struct access_users users;	/* none where the configuration names no file */
	struct access_tokens tokens;
	struct access_deny deny;
};
#define ACCESS_FILE_INIT { .conf = CONF_INIT, .users = ACCESS_USERS_INIT }

/* *ret is untouched on failure. */
int access_file_load(struct access_file *ret, const char *conf_file, struct err *);
void access_file_clear(struct access_file *);

#endif
