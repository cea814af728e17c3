/* peer_http - what nodes ask of each other by HTTP */
#include "peer_http.h"

enum peer_list peer_list_judge(int status)
{
	switch (status) {
	case 200:
		return PEER_LIST_ROWS;
	case 404:
	case 504:
		return PEER_LIST_NOTHING;
	case 421:
		return PEER_LIST_STALE;
	default:
		return PEER_LIST_SILENT;
	}
}
