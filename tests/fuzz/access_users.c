/* Any bytes as a file of users: read whole, or refused with file and line. */
#include "access.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct str text = { (const char *)data, n };
	struct err err = ERR_INIT;
	struct access_users users = ACCESS_USERS_INIT;

	if (access_users_parse(&users, text, "fuzz", &err) < 0) {
		if (users.list != NULL || strncmp(err.text, "fuzz:", 5) != 0)
			abort();
		return 0;
	}
	for (size_t i = 0; i < users.count; i++)
		if (access_users_find(&users, str_of(users.list[i].name)) != &users.list[i] ||
		    strlen(users.list[i].hash) < 43)
			abort();
	access_users_clear(&users);
	return 0;
}
