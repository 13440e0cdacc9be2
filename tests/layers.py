#!/usr/bin/python3
"""layers.py TREE [BUILD]   Do the includes of TREE go one way (DESIGN.md, 10)?
                         Does any object in BUILD keep mutable global state?
layers.py --prove        plants each violation in a tree, and sees it found."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

LIBC = "assert ctype errno inttypes limits math stdarg stdatomic stdbool stddef stdint stdio stdlib string strings"
SYSTEM = LIBC + " fcntl netdb pthread signal time unistd sys/[a-z_]+ netinet/[a-z_]+ arpa/[a-z_]+"
LOOP = SYSTEM + " getopt malloc poll sched ev xxhash"

# Lowest first: the files of a layer, and what they may include that is not
# weir's. Of weir's own a file sees its layer and those above it in this list,
# but for the two that know nothing of proxy/.
LAYERS = {
    "log": (r"proxy/log\.[ch]", SYSTEM),
    "protocol": (r"protocol/[a-z_0-9]+\.\w+", LIBC),
    "topology": (r"topology/[a-z_0-9]+\.\w+", SYSTEM + " ev hiredis/[a-z_]+ xxhash"),
    "common": (r"proxy/(clock|list|mailbox|slab|version)\.[ch]", LOOP),
    "config": (r"proxy/config/\w+\.\w+", LOOP + " ini"),
    "data path": (r"proxy/(client|dispatch|local|backend|worker|measures)/\w+\.\w+", LOOP),
    "control": (r"proxy/control/\w+\.\w+", LOOP),
    "admin": (r"proxy/admin/\w+\.\w+", LOOP + " jansson microhttpd"),
    "process": (r"proxy/(main|control|last_resort)\.[ch]", LOOP + " jansson microhttpd"),
}
SEES = {"protocol": ["protocol"], "topology": ["topology", "log"]}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<(?P<system>[^>]+)\.h>|"(?P<own>[^"]+)"|(?P<other>.+))')

# Writable, and as long-lived as the process. (.data.rel.ro holds constants with
# addresses in them; sanitizers' own variables begin with two underscores.)
WRITABLE = re.compile(r" O? *\.(?:data|bss|tdata|tbss|data\.rel|data\.rel\.local)(?:\.(?!ro)\w+)?\t")


def layer_of(file):
    return next((name for name, (files, _) in LAYERS.items() if re.fullmatch(files, file)), None)


def seen_from(layer):
    return SEES.get(layer) or list(LAYERS)[:list(LAYERS).index(layer) + 1]


def may_include(file, include):
    layer = layer_of(file)
    if layer is None or include["other"]:
        return False
    if include["system"]:
        return any(re.fullmatch(header, include["system"]) for header in LAYERS[layer][1].split())
    return layer_of(os.path.normpath(os.path.join(os.path.dirname(file), include["own"]))) in seen_from(layer)


def wrong_includes(tree):
    for folder in ("protocol", "topology", "proxy"):
        for path in sorted((tree / folder).rglob("*.*")):
            file = str(path.relative_to(tree))
            if path.suffix not in (".c", ".h", ".def"):
                continue
            if layer_of(file) is None:
                yield f"{file}: belongs to no layer"
            for line in path.read_text().splitlines():
                include = INCLUDE.match(line)
                if include and not may_include(file, include):
                    yield f"{file}: {line.strip()}   <- runs against the layers"


def global_state(build):
    """The log level, and each thread's name in the log, are the only ones."""
    for folder in ("protocol", "topology", "proxy"):
        for path in sorted((build / folder).rglob("*.o")):
            if path.name == "log.o":
                continue
            for line in subprocess.run(["objdump", "-t", path], capture_output=True, text=True, check=True).stdout.splitlines():
                name = line.split()[-1] if line else ""
                if " O " in line and WRITABLE.search(line) and not re.match(r"__|_?\.L", name):
                    yield f"{path}: {name}   <- mutable global state"


VIOLATIONS = """
protocol/a.c <ev.h>
protocol/a.c <sys/socket.h>
protocol/a.h <hiredis/hiredis.h>
protocol/a.c "../proxy/log.h"
topology/a.c <microhttpd.h>
topology/a.c "../proxy/list.h"
topology/a.h "../protocol/b.h"
proxy/log.c "list.h"
proxy/list.h "config/b.h"
proxy/config/a.c "../backend/b.h"
proxy/config/a.c <jansson.h>
proxy/backend/a.c <hiredis/hiredis.h>
proxy/client/a.c <async.h>
proxy/worker/a.c "../control/b.h"
proxy/dispatch/a.h "../admin/b.h"
proxy/control/a.c "../admin/b.h"
proxy/admin/a.c "../control.h"
proxy/admin/a.h "../../tests/unit/b.h"
proxy/elsewhere.c <string.h>
proxy/other/a.c <string.h>
""".strip().splitlines()


def prove():
    """What is allowed is not found, each violation is."""
    folders = ["protocol", "topology"] + [f"proxy/{name}" for name in
               "config client dispatch local backend worker measures control admin".split()]
    with tempfile.TemporaryDirectory() as name:
        tree = pathlib.Path(name)
        for folder in folders:
            (tree / folder).mkdir(parents=True)
            (tree / folder / "b.c").write_text('#include <string.h>\n#include "b.h"\n')
        (tree / "proxy/control.c").write_text('#include "admin/b.h"\n#include "../topology/b.h"\n#include <ev.h>\n')
        assert not list(wrong_includes(tree)), "refuses what is allowed"
        for violation in VIOLATIONS:
            file, include = violation.split(maxsplit=1)
            path = tree / file
            path.parent.mkdir(exist_ok=True)
            before = path.read_text() if path.exists() else None
            path.write_text(f"#include {include}\n")
            assert list(wrong_includes(tree)), f"does not see {include} in {file}"
            path.unlink() if before is None else path.write_text(before)
        source = tree / "proxy/backend/c.c"
        source.write_text("static int counter;\nint next(void);\nint next(void) { return ++counter; }\n")
        subprocess.run([os.environ.get("CC", "gcc"), "-c", "-o", source.with_suffix(".o"), source], check=True)
        assert list(global_state(tree)), "does not see mutable global state"


def check(tree, build=None):
    found = list(wrong_includes(tree)) + (list(global_state(build)) if build else [])
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    if sys.argv[1:] == ["--prove"]:
        prove()
    else:
        sys.exit(check(*map(pathlib.Path, sys.argv[1:])))
