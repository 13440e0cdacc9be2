"""Malformed and odd requests: what a server has to refuse, survive, or take.

CASES is a list of (name, bytes, expectation). Each is meant to be sent on a
fresh connection, followed by AFTER, to a bare redis-server and to weir. The
expectation says how the two answers are related:

  SAME     the same replies, and the connection is open in both or in neither
  TEXT     both answer an error and close; weir's text differs from the
           server's, or the server waits for more where weir refuses at once
  STRICT   the server takes it; weir refuses with "-ERR Protocol error" and
           closes (see protocol/resp.h: the places where weir is stricter)
  WAIT     the request is not whole: no reply, the connection stays open

A server that closes with bytes of ours unread resets the connection, so the
error of a long case may be lost to the client, on either side.

The expectations were taken from redis-server 7.0.15. No case changes a key
whose name does not begin with "malformed:".
"""

SAME, TEXT, STRICT, WAIT = "same", "text", "strict", "wait"

# Sent behind a case whose connection is still open: answers show that the
# stream is still in step. Not sent behind WAIT cases.
AFTER = b"*2\r\n$4\r\nECHO\r\n$5\r\nafter\r\n"

PING = b"*1\r\n$4\r\nPING\r\n"


def multibulk(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


CASES = [
    # Empty requests are skipped.
    ("crlf", b"\r\n", SAME),
    ("lf", b"\n", SAME),
    ("many-crlf", b"\r\n" * 100, SAME),
    ("blanks", b" \t  \r\n", SAME),
    ("array-0", b"*0\r\n", SAME),
    ("array-minus-1", b"*-1\r\n", SAME),
    ("array-minus-10", b"*-10\r\n", SAME),
    ("array-int64-min", b"*-9223372036854775808\r\n", SAME),
    ("empty-between-requests", PING + b"*0\r\n" + PING + b"\r\n" + PING, SAME),
    # The number of arguments.
    ("array-int32-max-plus-1", b"*2147483648\r\n", SAME),
    ("array-uint32-max", b"*4294967295\r\n", SAME),
    ("array-2-32", b"*4294967296\r\n", SAME),
    ("array-2-32-plus-1", b"*4294967297\r\n$4\r\nPING\r\n", SAME),
    ("array-int64-max", b"*9223372036854775807\r\n", SAME),
    ("array-int64-max-plus-1", b"*9223372036854775808\r\n", SAME),
    ("array-below-int64-min", b"*-9223372036854775809\r\n", SAME),
    ("array-2-64-plus-1", b"*18446744073709551617\r\n$4\r\nPING\r\n", SAME),
    ("array-long-digits", b"*" + b"1" * 1000 + b"\r\n", SAME),
    ("array-00", b"*00\r\n", SAME),
    ("array-01", b"*01\r\n$4\r\nPING\r\n", SAME),
    ("array-minus-0", b"*-0\r\n", SAME),
    ("array-minus-01", b"*-01\r\n", SAME),
    ("array-plus", b"*+1\r\n$4\r\nPING\r\n", SAME),
    ("array-blank-before", b"* 1\r\n$4\r\nPING\r\n", SAME),
    ("array-blank-behind", b"*1 \r\n$4\r\nPING\r\n", SAME),
    ("array-no-number", b"*\r\n", SAME),
    ("array-minus-alone", b"*-\r\n", SAME),
    ("array-two-minus", b"*--1\r\n", SAME),
    ("array-letters", b"*blabla\r\n", SAME),
    ("array-hex", b"*0x1\r\n$4\r\nPING\r\n", SAME),
    ("array-float", b"*1.0\r\n$4\r\nPING\r\n", SAME),
    ("array-streamed", b"*?\r\n$4\r\nPING\r\n.\r\n", SAME),
    ("array-two-stars", b"**1\r\n$4\r\nPING\r\n", SAME),
    ("array-1-nul", b"*1\0\r\n$4\r\nPING\r\n", TEXT),
    ("array-nul", b"*\0" + b"A" * 1024, TEXT),
    # Where the line ends.
    ("array-lf-alone", b"*1\n$4\nPING\n", TEXT),
    ("array-cr-other", b"*1\rx$4\r\nPING\r\n", STRICT),
    ("array-two-cr", b"*1\r\r\n$4\r\nPING\r\n", TEXT),
    # What stands before an argument.
    ("inline-in-array", b"*1\r\nPING\r\n", SAME),
    ("integer-in-array", b"*1\r\n:4\r\nPING\r\n", SAME),
    ("status-in-array", b"*1\r\n+PING\r\n", SAME),
    ("array-in-array", b"*1\r\n*1\r\n$4\r\nPING\r\n", SAME),
    ("map-in-array", b"*1\r\n%1\r\n", SAME),
    ("crlf-in-array", b"*1\r\n\r\n", SAME),
    ("quote-in-array", b"*1\r\n'\r\n", SAME),
    ("high-byte-in-array", b"*1\r\n\xff\r\n", SAME),
    ("nul-in-array", b"*1\r\n\0\r\n", TEXT),
    ("third-argument-without-header", b"*3\r\n$3\r\nSET\r\n$11\r\nmalformed:a\r\nfooz\r\n", SAME),
    # The length of an argument.
    ("bulk-minus-1", b"*1\r\n$-1\r\n", SAME),
    ("bulk-minus-10", b"*3\r\n$3\r\nSET\r\n$11\r\nmalformed:a\r\n$-10\r\n", SAME),
    ("bulk-minus-0", b"*1\r\n$-0\r\n\r\n", SAME),
    ("bulk-00", b"*1\r\n$00\r\n\r\n", SAME),
    ("bulk-04", b"*1\r\n$04\r\nPING\r\n", SAME),
    ("bulk-plus", b"*1\r\n$+4\r\nPING\r\n", SAME),
    ("bulk-blank", b"*1\r\n$ 4\r\nPING\r\n", SAME),
    ("bulk-no-number", b"*1\r\n$\r\nPING\r\n", SAME),
    ("bulk-letters", b"*1\r\n$blabla\r\n", SAME),
    ("bulk-streamed", b"*1\r\n$?\r\n", SAME),
    ("bulk-512mb-plus-1", b"*1\r\n$536870913\r\n", SAME),
    ("bulk-2000000000", b"*3\r\n$3\r\nSET\r\n$11\r\nmalformed:a\r\n$2000000000\r\n", SAME),
    ("bulk-int32-max-plus-1", b"*1\r\n$2147483648\r\n", SAME),
    ("bulk-2-32-plus-4", b"*1\r\n$4294967300\r\nPING\r\n", SAME),
    ("bulk-int64-max", b"*1\r\n$9223372036854775807\r\n", SAME),
    ("bulk-int64-max-plus-1", b"*1\r\n$9223372036854775808\r\n", SAME),
    ("bulk-2-64-plus-4", b"*1\r\n$18446744073709551620\r\nPING\r\n", SAME),
    ("bulk-lf-alone", b"*1\r\n$4\nPING\r\n", SAME),  # up to the CR it is "4\nPING"
    ("bulk-cr-other", b"*1\r\n$4\rxPING\r\n", STRICT),
    ("bulk-nul", b"*1\r\n$\0" + b"A" * 1024, TEXT),
    # What stands behind an argument.
    ("bulk-end-xx", b"*1\r\n$4\r\nPINGxx", STRICT),
    ("bulk-end-lf-lf", b"*1\r\n$4\r\nPING\n\n", STRICT),
    ("bulk-end-cr-cr", b"*1\r\n$4\r\nPING\r\r", STRICT),
    ("bulk-end-lf-cr", b"*1\r\n$4\r\nPING\n\r", STRICT),
    ("bulk-too-short", b"*1\r\n$3\r\nPING\r\n", STRICT),
    # Odd, but right.
    ("empty-name", b"*1\r\n$0\r\n\r\n", SAME),
    ("name-of-crlf", b"*1\r\n$2\r\n\r\n\r\n", SAME),
    ("name-with-nul", multibulk(b"PI\0NG"), SAME),
    ("name-of-high-bytes", multibulk(b"\xff\xfe"), SAME),
    ("name-with-quotes", multibulk(b"'\"\\"), SAME),
    ("long-name", multibulk(b"x" * 10000), SAME),
    ("name-with-bar", multibulk(b"config|get", b"maxmemory"), SAME),
    ("name-with-blank", multibulk(b"PING "), SAME),
    ("binary-argument", multibulk(b"ECHO", bytes(range(256))), SAME),
    ("argument-of-resp", multibulk(b"ECHO", b"*1\r\n$4\r\nPING\r\n"), SAME),
    ("thousand-arguments", multibulk(b"EXISTS", *[b"malformed:%d" % i for i in range(1000)]), SAME),
    ("unknown-with-arguments", multibulk(b"nosuch", *[b"a" * 100] * 20), SAME),
    ("unknown-subcommand", multibulk(b"CONFIG", b"nosuch"), SAME),
    ("container-alone", multibulk(b"CONFIG"), SAME),
    ("wrong-number-of-arguments", multibulk(b"GET"), SAME),
    ("mixed-case", multibulk(b"eChO", b"x"), SAME),
    ("inline-and-multibulk", b"PING\r\n" + PING + b"PING\n" + PING, SAME),
    ("good-then-bad", PING + PING + b"*x\r\n" + PING, SAME),
    # Inline requests.
    ("inline", b"PING\r\n", SAME),
    ("inline-lf", b"PING\n", SAME),
    ("inline-two-cr", b"PING\r\r\n", SAME),
    ("inline-cr-is-blank", b"PING\r x\r\n", SAME),
    ("inline-blanks", b" \t PING \t \r\n", SAME),
    ("inline-vt-in-front", b"\vPING\r\n", SAME),
    ("inline-ff-behind", b"PING\f\r\n", SAME),
    ("inline-double-quotes", b"ECHO \"a b\\x41\\n\\r\\t\\b\\a\\\"\\q\"\r\n", SAME),
    ("inline-single-quotes", b"ECHO 'a\\'b\\n\"'\r\n", SAME),
    ("inline-empty-quotes", b"ECHO \"\"\r\n", SAME),
    ("inline-empty-name", b"\"\"\r\n", SAME),
    ("inline-quoted-name", b"\"PING\"\r\n", SAME),
    ("inline-half-hex", b"ECHO \"x\\x4\"\r\n", SAME),
    ("inline-no-hex", b"ECHO \"\\xzz\"\r\n", SAME),
    ("inline-quote-within", b"ECHO a\"b c\"\r\n", SAME),
    ("inline-high-bytes", b"ECHO \xff\xfe\r\n", SAME),
    ("inline-unclosed-double", b"ECHO \"a\r\n", SAME),
    ("inline-unclosed-single", b"ECHO 'a\r\n", SAME),
    ("inline-escaped-end", b"ECHO \"a\\\"\r\n", SAME),
    ("inline-backslash-end", b"ECHO \"a\\\r\n", SAME),
    ("inline-quote-then-byte", b"ECHO \"a\"b\r\n", SAME),
    ("inline-quote-then-quote", b"ECHO 'a''b'\r\n", SAME),
    ("inline-three-quotes", b"set \"\"\"test-key\"\"\" test-value\r\n", SAME),
    ("inline-64k", b"ECHO " + b"x" * 60000 + b"\r\n", SAME),
    ("inline-too-big", b"x" * 100000, SAME),
    ("inline-nul", b"PI\0NG\r\n" + b"A" * 70000, TEXT),
    ("nul-first", b"\0" + b"A" * 70000, TEXT),
    ("http-get", b"GET / HTTP/1.1\r\n", SAME),
    ("http-post", b"POST / HTTP/1.1\r\n", SAME),
    ("http-post-as-multibulk", multibulk(b"POST"), SAME),
    ("http-host", b"Host: localhost\r\n", SAME),
    ("http-host-as-multibulk", multibulk(b"host:", b"localhost"), SAME),
    ("first-byte-map", b"%1\r\n", STRICT),
    ("first-byte-status", b"+OK\r\n", STRICT),
    ("first-byte-bulk", b"$4\r\nPING\r\n", STRICT),
    ("first-byte-push", b">1\r\n", STRICT),
    ("first-byte-digit", b"1\r\n", STRICT),
    ("first-byte-slash", b"/\r\n", STRICT),
    ("first-byte-high", b"\xc3\xa9\r\n", STRICT),
    ("tls-hello", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"A" * 70000, TEXT),
    # Not whole.
    ("part-star", b"*", WAIT),
    ("part-count", b"*1", WAIT),
    ("part-count-cr", b"*1\r", WAIT),
    ("part-count-line", b"*1\r\n", WAIT),
    ("part-dollar", b"*1\r\n$", WAIT),
    ("part-length-line", b"*1\r\n$4\r\n", WAIT),
    ("part-payload", b"*1\r\n$4\r\nPI", WAIT),
    ("part-payload-whole", b"*1\r\n$4\r\nPING", WAIT),
    ("part-payload-cr", b"*1\r\n$4\r\nPING\r", WAIT),
    ("part-arguments", b"*2\r\n$4\r\nECHO\r\n", WAIT),
    ("part-inline", b"PING", WAIT),
    ("part-inline-cr", b"PING\r", WAIT),
    ("part-int32-max-arguments", b"*2147483647\r\n", WAIT),
    ("part-million-arguments", b"*1048577\r\n", WAIT),
    ("part-512mb", b"*1\r\n$536870912\r\n", WAIT),
]

# Every way to write a number wrong, as a count and as a length.
for _name, _number in [("tab-before", b"\t1"), ("tab-behind", b"1\t"), ("comma", b"1,"), ("exponent", b"1e0"), ("underscore", b"1_0"),
                       ("octal", b"0o1"), ("arabic-digit", b"\xd9\xa1"), ("minus-minus", b"--1"), ("minus-plus", b"-+1"),
                       ("plus-0", b"+0"), ("minus-00", b"-00"), ("000", b"000"), ("infinity", b"inf"), ("nan", b"nan"),
                       ("two-numbers", b"1 1"), ("high-byte", b"1\xff"), ("dollar", b"$1"), ("star", b"*1")]:
    CASES.append((f"count-{_name}", b"*" + _number + b"\r\n$4\r\nPING\r\n", SAME))
    CASES.append((f"length-{_name}", b"*1\r\n$" + _number + b"\r\nP\r\n", SAME))

# What stands where the header of an argument belongs, first and second.
for _byte in b"+-:_#,(!=~>|.%&;<?@[^{}a0 ":
    CASES.append((f"second-header-{_byte:02x}", b"*2\r\n$4\r\nECHO\r\n" + bytes([_byte]) + b"1\r\nx\r\n", SAME))
# What a request may not begin with (redis takes each for an inline command).
for _byte in b"+-:_#,(!=~|.&;<?@[]^{}0\x7f\x80\xff":
    CASES.append((f"first-byte-{_byte:02x}", bytes([_byte]) + b"1\r\n", STRICT))

CASES += [
    # Errors in the middle of a pipeline: what stands before is answered, what stands behind is not.
    ("pipeline-bad-count", PING + multibulk(b"ECHO", b"a") + b"*1x\r\n" + PING, SAME),
    ("pipeline-bad-length", PING + b"*1\r\n$x\r\n" + PING, SAME),
    ("pipeline-bad-header", PING + b"*2\r\n$4\r\nECHO\r\n:1\r\n" + PING, SAME),
    ("pipeline-bad-quotes", b"PING\r\nECHO 'a\r\nPING\r\n", SAME),
    ("pipeline-errors-go-on", multibulk(b"NOSUCH") + multibulk(b"GET") + multibulk(b"ECHO", b"a"), SAME),
    ("negative-count-between", PING + b"*-5\r\n" + PING, SAME),
    ("many-empty", b"*0\r\n*-1\r\n\r\n\n" * 20 + PING, SAME),
    # In the middle of a transaction.
    ("multi-then-bad", multibulk(b"MULTI") + multibulk(b"PING") + b"*x\r\n", SAME),
    ("multi-bad-command", multibulk(b"MULTI") + multibulk(b"NOSUCH") + multibulk(b"EXEC"), SAME),
    ("multi-bad-arity", multibulk(b"MULTI") + multibulk(b"GET") + multibulk(b"EXEC"), SAME),
    ("multi-nested", multibulk(b"MULTI") + multibulk(b"MULTI") + multibulk(b"EXEC"), SAME),
    ("exec-alone", multibulk(b"EXEC"), SAME),
    ("discard-alone", multibulk(b"DISCARD"), SAME),
    ("exec-with-arguments", multibulk(b"EXEC", b"x"), SAME),
    ("multi-with-arguments", multibulk(b"MULTI", b"x"), SAME),
    ("watch-alone", multibulk(b"WATCH"), SAME),
    ("watch-in-multi", multibulk(b"MULTI") + multibulk(b"WATCH", b"malformed:w") + multibulk(b"EXEC"), SAME),
    # Odd arguments.
    ("select-letters", multibulk(b"SELECT", b"x"), SAME),
    ("select-negative", multibulk(b"SELECT", b"-1"), SAME),
    ("select-beyond", multibulk(b"SELECT", b"16"), SAME),
    ("select-2-32", multibulk(b"SELECT", b"4294967296"), SAME),
    ("select-empty", multibulk(b"SELECT", b""), SAME),
    ("hello-0", multibulk(b"HELLO", b"0"), SAME),
    ("hello-4", multibulk(b"HELLO", b"4"), SAME),
    ("hello-letters", multibulk(b"HELLO", b"abc"), SAME),
    ("hello-half-auth", multibulk(b"HELLO", b"3", b"AUTH", b"x"), SAME),
    ("auth-no-password", multibulk(b"AUTH", b"x"), SAME),
    ("auth-too-many", multibulk(b"AUTH", b"a", b"b", b"c"), SAME),
    ("auth-unknown-user", multibulk(b"AUTH", b"nobody\r\n", b"x"), SAME),
    ("client-nosuch", multibulk(b"CLIENT", b"NOSUCH"), SAME),
    ("client-setname-blank", multibulk(b"CLIENT", b"SETNAME", b"a b"), SAME),
    ("client-setname-lf", multibulk(b"CLIENT", b"SETNAME", b"a\nb"), SAME),
    ("client-kill-odd", multibulk(b"CLIENT", b"KILL", b"NOSUCH", b"x"), SAME),
    ("client-reply-odd", multibulk(b"CLIENT", b"REPLY", b"NOSUCH"), SAME),
    ("client-tracking-odd", multibulk(b"CLIENT", b"TRACKING", b"maybe"), SAME),
    ("blpop-timeout-letters", multibulk(b"BLPOP", b"malformed:q", b"x"), SAME),
    ("blpop-timeout-negative", multibulk(b"BLPOP", b"malformed:q", b"-1"), SAME),
    ("blpop-timeout-beyond", multibulk(b"BLPOP", b"malformed:q", b"1e400"), SAME),
    ("xread-half", multibulk(b"XREAD", b"BLOCK"), SAME),
    ("xread-block-letters", multibulk(b"XREAD", b"BLOCK", b"x", b"STREAMS", b"malformed:s", b"0"), SAME),
    ("wait-letters", multibulk(b"WAIT", b"x", b"0"), SAME),
    ("wait-negative", multibulk(b"WAIT", b"0", b"-1"), SAME),
    ("scan-letters", multibulk(b"SCAN", b"x"), SAME),
    ("scan-beyond", multibulk(b"SCAN", b"18446744073709551616"), SAME),
    ("sscan-nul", multibulk(b"SSCAN", b"malformed:s", b"0\0"), SAME),
    ("eval-no-keys", multibulk(b"EVAL", b"return 1"), SAME),
    ("eval-negative-keys", multibulk(b"EVAL", b"return 1", b"-1"), SAME),
    ("eval-too-many-keys", multibulk(b"EVAL", b"return 1", b"5", b"a"), SAME),
    ("eval-syntax", multibulk(b"EVAL", b"return (", b"0"), SAME),
    ("eval-crlf-error", multibulk(b"EVAL", b"return redis.error_reply('a\\r\\n+OK\\r\\n')", b"0"), SAME),
    ("eval-crlf-status", multibulk(b"EVAL", b"return redis.status_reply('a\\r\\n+OK')", b"0"), SAME),
    ("unknown-with-crlf", multibulk(b"no\r\n+OK\r\n", b"a\r\nb"), SAME),
    ("unknown-with-high-bytes", multibulk(b"\x80\x81\xff", b"\xff"), SAME),
    ("subscribe-alone", multibulk(b"SUBSCRIBE"), SAME),
    ("subscribe-then-get", multibulk(b"SUBSCRIBE", b"malformed:c") + multibulk(b"GET", b"malformed:x") + multibulk(b"RESET"), SAME),
    ("unsubscribe-of-nothing", multibulk(b"UNSUBSCRIBE"), SAME),
    ("quit-then-more", multibulk(b"QUIT") + PING, SAME),
    ("reset-then-more", multibulk(b"RESET") + PING, SAME),
    ("ping-too-many", multibulk(b"PING", b"a", b"b"), SAME),
    ("ping-crlf", multibulk(b"PING", b"\r\n"), SAME),
    ("echo-empty", multibulk(b"ECHO", b""), SAME),
    # More inline requests.
    ("inline-nested-quotes", b"ECHO \"'\" \r\n", SAME),
    ("inline-hex-at-the-end", b"ECHO \"\\x\"\r\n", SAME),
    ("inline-upper-hex", b"ECHO \"\\xAF\\Xaf\"\r\n", SAME),
    ("inline-single-escape", b"ECHO '\\n\\x41'\r\n", SAME),
    ("inline-tab-separated", b"ECHO\tx\r\n", SAME),
    ("inline-quote-alone", b"\"\r\n", SAME),
    ("inline-empty-quotes-only", b"'' ''\r\n", SAME),
    ("inline-dollar-argument", b"ECHO $4\r\n", SAME),
    ("inline-star-argument", b"ECHO *1\r\n", SAME),
    ("inline-too-many-arguments", b"PING a b c\r\n", SAME),
    ("inline-unknown", b"nosuch a b\r\n", SAME),
    # Other protocols' first words.
    *((f"opening-{_n}", _line, SAME) for _n, _line in enumerate([
        b"GET http://x/ HTTP/1.0\r\n", b"HEAD / HTTP/1.1\r\n", b"PUT / HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n",
        b"DELETE /x HTTP/1.1\r\n", b"host: x\r\n", b"HOST: x\r\n", b"post /\r\n", b"EHLO x\r\n", b"HELO x\r\n", b"USER x\r\n",
        b"STATUS\r\n", b"version\r\n", b"get k\r\n", b"set k 0 0 1\r\nx\r\n", b"PROXY UNKNOWN\r\n", b"CONNECT x:1 HTTP/1.1\r\n",
        b"NICK x\r\nUSER x\r\n", b"RTSP/1.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])),
]
