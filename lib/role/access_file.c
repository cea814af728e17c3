/* access_file - who may do what: a configuration, with the files that it names */
#include "access_file.h"

#include "file.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sodium.h>

#define LOOK_UP_BYTES 16384	/* of an entry of passwd or group; a longer one is not found */

static int look_up(bool group, const char *name, uint32_t *ret)
{
	char bytes[LOOK_UP_BYTES];
	struct passwd passwd, *user = NULL;
	struct group entry, *found = NULL;

	if (group) {
		if (getgrnam_r(name, &entry, bytes, sizeof bytes, &found) != 0 || found == NULL)
			return -1;
		*ret = found->gr_gid;
	} else {
		if (getpwnam_r(name, &passwd, bytes, sizeof bytes, &user) != 0 || user == NULL)
			return -1;
		*ret = user->pw_uid;
	}
	return 0;
}

static int load_users(void *to, struct str text, const char *file, struct err *err)
{
	return access_users_parse(to, text, file, err);
}

static int load_tokens(void *to, struct str text, const char *file, struct err *err)
{
	return access_tokens_parse(to, text, file, err);
}

static int load_deny(void *to, struct str text, const char *file, struct err *err)
{
	return access_deny_parse(to, text, file, err);
}

/* file NULL: there is none. */
static int load_lines(const char *file, int (*parse)(void *, struct str, const char *, struct err *), void *to,
		      struct err *err)
{
	struct buf text = BUF_INIT;
	int rc;

	if (file == NULL)
		return 0;
	rc = file_read(file, ACCESS_FILE_BYTES, &text, err);
	if (rc == 0)
		rc = parse(to, buf_str(&text), file, err);
	if (text.data != NULL)
		sodium_memzero(text.data, text.len);
	buf_clear(&text);
	return rc;
}

int access_file_load(struct access_file *ret, const char *conf_file, struct err *err)
{
	struct access_file it = ACCESS_FILE_INIT;

	if (conf_load(&it.conf, conf_file, err) < 0 ||
	    load_lines(it.conf.access.users, load_users, &it.users, err) < 0 ||
	    load_lines(it.conf.access.tokens, load_tokens, &it.tokens, err) < 0 ||
	    load_lines(it.conf.access.deny, load_deny, &it.deny, err) < 0) {
		access_file_clear(&it);
		return -1;
	}
	access_rules_resolve(&it.conf.access.rules, look_up);
	access_file_clear(ret);
	*ret = it;
	return 0;
}

void access_file_clear(struct access_file *access)
{
	conf_clear(&access->conf);
	access_users_clear(&access->users);
	access_tokens_clear(&access->tokens);
	access_deny_clear(&access->deny);
}
