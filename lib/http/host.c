/* host - what a Host field names */
#include "host.h"

struct str host_name(struct str host)
{
	const char *colon = host.n ? memrchr(host.s, ':', host.n) : NULL;

	/* Those in brackets are the address's. */
	if (colon != NULL && memchr(colon, ']', (size_t)(host.s + host.n - colon)) == NULL)
		host.n = (size_t)(colon - host.s);
	if (host.n > 1 && host.s[host.n - 1] == '.')
		host.n--;
	return host;
}

bool host_is_address(struct str name)
{
	size_t digits = 0;

	if (name.n > 0 && name.s[0] == '[')
		return true;
	while (digits < name.n && name.s[name.n - digits - 1] >= '0' && name.s[name.n - digits - 1] <= '9')
		digits++;
	return digits > 0 && (digits == name.n || name.s[name.n - digits - 1] == '.');
}
