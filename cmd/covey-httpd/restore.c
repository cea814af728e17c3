/* restore - a new version with the content of an older one */
#include "answer.h"
#include "conn.h"
#include "handlers.h"

void restore_start(struct conn *c)
{
	answer_error(c, 501, "not yet");
}
