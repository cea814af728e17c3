/* programs - where the other programs of covey are */
#include "programs.h"

#include "buf.h"
#include "file.h"

#include <limits.h>
#include <unistd.h>

/* directory/name if it can be run, else NULL. */
static char *look_in(struct str directory, const char *below, const char *name)
{
	struct buf path = BUF_INIT;

	buf_addf(&path, "%.*s%s/%s", STR_ARG(directory), below, name);
	if (directory.n > 0 && access(path.data, X_OK) == 0)
		return buf_take(&path);
	buf_clear(&path);
	return NULL;
}

static char *look_beside(const char *name)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *directory, *found;

	if (n < 0)
		return NULL;
	self[n] = '\0';
	directory = file_directory(self);
	found = look_in(str_of(directory), "", name);
	if (found == NULL)
		found = look_in(str_of(directory), "/../libexec/covey", name);
	free(directory);
	return found;
}

int program_find(const char *name, char **ret, struct err *err)
{
	char *found = look_beside(name);
	struct str rest = str_of(getenv("PATH")), directory;

	while (found == NULL && str_cut(&rest, ':', &directory))
		found = look_in(directory, "", name);
	if (found == NULL)
		return err_set(err, ERR_ABSENT, "find %s: neither beside covey nor in PATH", name);
	*ret = found;
	return 0;
}
