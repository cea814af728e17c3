/* identity - who this node is to the others of its group */
#include "identity.h"

#include "file.h"

#include <sys/stat.h>

static int reached_at(const struct conf *conf, const struct conf_listen *listen,
		      struct address *ret, struct err *err)
{
	struct address address;
	struct buf text = BUF_INIT;
	int rc;

	if (!listen->given) {
		*ret = (struct address){ .len = 0 };
		return 0;
	}
	buf_addf(&text, strchr(conf->node.address, ':') ? "[%s]:%u" : "%s:%u", conf->node.address,
		 address_port(&listen->address));
	rc = address_parse(buf_str(&text), &address, err);
	buf_clear(&text);
	if (rc == 0)
		*ret = address;
	return rc;
}

int identity_member(const struct conf *conf, uint64_t id, struct member *ret, struct err *err)
{
	struct member member;

	memset(&member, 0, sizeof member);
	member.id = id;
	member.state = MEMBER_UP;
	member.protocol_min = member.protocol_max = MEMBER_PROTOCOL;
	member_set_name(&member, str_of(conf->node.name));
	member_set_region(&member, str_of(conf->node.region));
	member.weight = (uint8_t)conf->node.weight;
	member.flags = conf->node.home ? 0 : MEMBER_GUEST;
	if (reached_at(conf, &conf->listen.http[0], &member.http, err) < 0 ||
	    reached_at(conf, &conf->listen.discovery, &member.discovery, err) < 0 ||
	    reached_at(conf, &conf->listen.versions, &member.versions, err) < 0)
		return -1;
	*ret = member;
	return 0;
}

void identity_roles(const struct conf *conf, struct buf *to)
{
	char text[ADDRESS_TEXT];

	buf_addf(to, "http %s, run directory %s", address_format(text, &conf->listen.http[0].address),
		 conf->node.run);
}

int identity_keys(const struct conf *conf, struct seal_keys *ret, struct err *err)
{
	struct seal_keys keys = SEAL_KEYS_INIT;
	struct buf text = BUF_INIT;
	int rc = 0;

	if (conf->group.key_file != NULL) {
		rc = file_read(conf->group.key_file, IDENTITY_KEY_FILE_BYTES, &text, err);
		if (rc == 0 && seal_keys_parse(buf_str(&text), &keys, err) < 0)
			rc = err_context(err, "%s", conf->group.key_file);
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	buf_clear(&text);
	if (rc == 0)
		*ret = keys;
	return rc;
}

static char *key_exposed(const char *file, const char *which)
{
	struct buf text = BUF_INIT;
	struct stat st;

	if (file == NULL || stat(file, &st) < 0 || (st.st_mode & (S_IROTH | S_IWOTH)) == 0)
		return NULL;
	buf_addf(&text, "whoever has a login here may %s the %s key: say chmod o= %s",
		 st.st_mode & S_IROTH ? "read" : "write", which, file);
	return buf_take(&text);
}

char *identity_key_exposed(const struct conf *conf)
{
	return key_exposed(conf->group.key_file, "group's");
}

char *identity_tls_exposed(const struct conf *conf)
{
	char *why = NULL;

	for (size_t i = 0; why == NULL && i < conf->tls.keys.count; i++)
		why = key_exposed(conf->tls.keys.texts[i], "certificate's");
	return why;
}
