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
