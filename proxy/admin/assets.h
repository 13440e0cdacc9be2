#ifndef WEIR_PROXY_ASSETS_H
#define WEIR_PROXY_ASSETS_H

#include <microhttpd.h>

/* The page at / and what it is made of: files that were put together at build
 * time (page/, Makefile) and stand in the binary, plain and gzipped. */

enum asset_id {
	ASSET_NONE,
#define ASSET(id, path, type, file, help) ASSET_##id,
#include "assets.def"
#undef ASSET
};

/* Queues the answer to a GET or HEAD: the file, gzipped for who takes that, or
 * 304 where the browser has it already. */
enum MHD_Result asset_answer(struct MHD_Connection *connection, enum asset_id id);

#endif
