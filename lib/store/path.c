/* path - names in the store, checked once at the border */
#include "path.h"

#include "pct.h"

static int component_check(struct str name, bool first, struct err *err)
{
	if (name.n == 0)
		return err_set(err, ERR_INVALID, "read path: an empty component");
	if (name.n > PATH_COMPONENT_BYTES)
		return err_set(err, ERR_TOO_LARGE, "read path: a component over %d bytes",
			       PATH_COMPONENT_BYTES);
	if (memchr(name.s, '\0', name.n) != NULL || memchr(name.s, '/', name.n) != NULL)
		return err_set(err, ERR_INVALID, "read path: NUL or slash inside a component");
	if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
		return err_set(err, ERR_INVALID, "read path: a component that is . or ..");
	if (first && str_eq(name, STR(PATH_RESERVED)))
		return err_set(err, ERR_DENIED, "read path: /" PATH_RESERVED "/ is reserved");
	return 0;
}

int path_check(struct str path, struct err *err)
{
	struct str rest = path, name;
	bool first = true;

	if (path.n > PATH_BYTES)
		return err_set(err, ERR_TOO_LARGE, "read path: over %d bytes", PATH_BYTES);
	if (path.n == 0)
		return 0;
	for (; str_cut(&rest, '/', &name); first = false)
		if (component_check(name, first, err) < 0)
			return -1;
	return 0;
}

bool path_is_gate(struct str path)
{
	return path.n > 1 && str_ends(path, STR("/"));
}

int path_check_record(struct str path, struct err *err)
{
	if (path.n > PATH_BYTES || !path_is_gate(path))
		return path_check(path, err);
	return path_check(path_parent(path), err);
}

void path_to_gate(struct buf *buf, struct str directory)
{
	buf_addstr(buf, directory);
	buf_addc(buf, '/');
}

/* Append one component, decoded: an encoded slash is none, an encoded dot no "." of the client's. */
static int decode(struct buf *path, struct str part, struct err *err)
{
	bool first = path->len == 0;
	size_t start;

	if (!first)
		buf_addc(path, '/');
	start = path->len;
	if (pct_decode(path, part) < 0)
		return err_set(err, ERR_INVALID, "read path: a bad percent escape");
	if (component_check((struct str){ path->data + start, path->len - start }, first, err) < 0)
		return -1;
	if (path->len > PATH_BYTES)
		return err_set(err, ERR_TOO_LARGE, "read path: over %d bytes", PATH_BYTES);
	return 0;
}

int path_from_target(struct buf *ret, bool *ret_slash, struct str target, struct err *err)
{
	struct buf path = BUF_INIT;
	struct str part;
	bool slash = false;
	int status = 0;

	if (!str_starts(target, STR("/")))
		return err_set(err, ERR_INVALID, "read path: no slash at its start");
	buf_adds(&path, "");
	while (status == 0 && str_cut(&target, '/', &part)) {
		slash = part.n == 0 || str_eq(part, STR("."));
		if (!slash)
			status = decode(&path, part, err);
	}
	if (status == 0) {
		buf_add(ret, path.data, path.len);
		*ret_slash = slash;
	}
	buf_clear(&path);
	return status;
}

void path_to_target(struct buf *buf, struct str path, bool slash)
{
	buf_addc(buf, '/');
	pct_encode(buf, path);
	if (slash && path.n > 0)
		buf_addc(buf, '/');
}

/* Where the last component begins. */
static size_t name_at(struct str path)
{
	const char *slash = path.n > 0 ? memrchr(path.s, '/', path.n) : NULL;

	return slash != NULL ? (size_t)(slash - path.s) + 1 : 0;
}

struct str path_parent(struct str path)
{
	size_t at = name_at(path);

	return (struct str){ path.s, at > 0 ? at - 1 : 0 };
}

struct str path_name(struct str path)
{
	size_t at = name_at(path);

	return path.n > 0 ? (struct str){ path.s + at, path.n - at } : path;
}

void path_join(struct buf *buf, struct str parent, struct str name)
{
	buf_addstr(buf, parent);
	if (parent.n > 0)
		buf_addc(buf, '/');
	buf_addstr(buf, name);
}

void path_to_history(struct buf *buf, struct str path)
{
	struct str rest = path, name;

	if (path.n == 0)
		return;
	while (str_cut(&rest, '/', &name)) {
		if (str_starts(name, STR(",")))
			buf_addc(buf, ',');
		buf_addstr(buf, name);
		if (rest.s != NULL)
			buf_addc(buf, '/');
	}
}

bool path_name_from_history(struct str *name)
{
	if (!str_starts(*name, STR(",")))
		return true;
	if (!str_starts(*name, STR(",,")))
		return false;
	*name = (struct str){ name->s + 1, name->n - 1 };
	return true;
}

uint64_t path_hash(struct str path)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < path.n; i++)
		hash = (hash ^ (unsigned char)path.s[i]) * UINT64_C(0x100000001b3);
	return hash;
}

unsigned path_partition_of_directory(struct str directory)
{
	uint64_t z = path_hash(directory);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return (unsigned)(z >> (64 - PARTITION_BITS));
}

unsigned path_partition(struct str path)
{
	return path_partition_of_directory(path_parent(path));
}
