/*
 * way-back - a joint layout that is given up: A, then {A, B}, then A alone,
 * which waits for no sync.  Proves the same as homes.pml, whose options it has;
 * NO_FENCE and NO_SYNC are no mutants here: each quorum holds a majority of A.
 */
#define WAY_BACK
#include "homes.pml"
