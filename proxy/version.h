#ifndef WEIR_PROXY_VERSION_H
#define WEIR_PROXY_VERSION_H

#define WEIR_VERSION "0.1.0"

#endif
