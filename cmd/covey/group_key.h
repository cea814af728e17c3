/* group_key - a fresh key for a group: what `covey key new` prints and `covey up` keeps */
#ifndef COVEY_CMD_GROUP_KEY_H
#define COVEY_CMD_GROUP_KEY_H

#define GROUP_KEY_BYTES 32
#define GROUP_KEY_TEXT (2 * GROUP_KEY_BYTES + 2)

/* 64 hexadecimal digits and a newline. */
void group_key_new(char to[GROUP_KEY_TEXT]);

#endif
