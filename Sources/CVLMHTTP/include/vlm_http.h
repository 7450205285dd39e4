// An HTTP/1.1 server on GNU libmicrohttpd: whole requests in, answers whole or in pieces out.
//
// One thread of the library's serves all connections; callbacks run on it and must not wait. A
// request's answer is given from any thread. A thread of this module watches the clock: clients
// that send or read too slowly are cut off, and those who went away are reported.
#ifndef VLM_HTTP_H
#define VLM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vlm_http_server vlm_http_server;

// One request with its answer. Counted references: who keeps one beyond a callback retains it.
typedef struct vlm_http_exchange vlm_http_exchange;

// How an exchange ended.
enum {
  VLM_HTTP_ANSWERED = 0,
  // The client closed the connection, or it failed.
  VLM_HTTP_CLIENT_GONE = 1,
  // The client was too slow.
  VLM_HTTP_TIMED_OUT = 2,
  // The server was stopped.
  VLM_HTTP_STOPPED = 3,
};

typedef struct {
  // Connections at once; others wait in the kernel's queue.
  unsigned connections;
  // Connections of one address; what goes beyond is closed at once. 0 for as many as there are.
  unsigned connections_of_address;
  // Bytes of a request line with all its headers.
  size_t head_bytes;
  // Milliseconds from a connection's beginning, or its last answer's end, to the end of the next
  // head.
  unsigned head_milliseconds;
  // Milliseconds that a body may take, and an answer to be read, beyond what the rate allows.
  unsigned grace_milliseconds;
  // Bytes a second that a client sends and reads at least, once the grace is spent.
  unsigned slowest_rate;
  // Bytes of an answer in pieces that may wait for the client; with more it is broken off.
  size_t pending_bytes;
  // Bytes that the bodies of all requests may take together, from their coming to their answers' end.
  size_t bodies_bytes;
} vlm_http_limits;

typedef struct {
  void *context;
  // A head has come. Returns how many bytes its body may have; or answers right away, which the body
  // is then not waited for.
  size_t (*head)(void *context, vlm_http_exchange *exchange);
  // The whole request has come, or more than it may have: see `vlm_http_is_too_large`.
  void (*request)(void *context, vlm_http_exchange *exchange);
  // The client went away, or was cut off, while its answer was made. Called at most once.
  void (*gone)(void *context, vlm_http_exchange *exchange);
  // The last call for an exchange whose head was shown.
  void (*ended)(void *context, vlm_http_exchange *exchange, int how);
} vlm_http_callbacks;

// ---- Server ----

// Serves connections of a listening socket, which is the server's from now on. NULL with `errno` set
// when there are no threads or no memory for it.
vlm_http_server *vlm_http_start(
    int socket, const vlm_http_limits *limits, const vlm_http_callbacks *callbacks);

// Takes no more connections; those that are open live on. The listening socket is closed.
void vlm_http_stop_listening(vlm_http_server *server);

// Exchanges whose request has come whole and whose answer has not been sent.
size_t vlm_http_open_exchanges(vlm_http_server *server);

// Ends every connection and frees the server. Exchanges that are retained stay readable.
void vlm_http_stop(vlm_http_server *server);

// ---- Requests ----

void vlm_http_retain(vlm_http_exchange *exchange);
void vlm_http_release(vlm_http_exchange *exchange);

// Valid as long as the exchange. The path has its percent escapes decoded, but for "%00", and no query.
const char *vlm_http_method(const vlm_http_exchange *exchange);
const char *vlm_http_path(const vlm_http_exchange *exchange);
// A header's value by its name, letters of any case; NULL where it was not sent. Several headers of
// one name: the first.
const char *vlm_http_header(const vlm_http_exchange *exchange, const char *name);
// How many headers of this name were sent.
unsigned vlm_http_header_count(const vlm_http_exchange *exchange, const char *name);
// What is wrong with the head's account of where the request ends, in words for "found …, expected
// …"; NULL for nothing. Another program between the client and this one may see another request in it.
const char *vlm_http_framing_fault(const vlm_http_exchange *exchange);
// What the head says of the body's length, `INT64_MAX` for more than that; -1 where it says nothing.
int64_t vlm_http_stated_length(const vlm_http_exchange *exchange);
// The body, once the request is whole.
const uint8_t *vlm_http_body(const vlm_http_exchange *exchange, size_t *count);
// Frees the body, which somebody has copied.
void vlm_http_forget_body(vlm_http_exchange *exchange);
bool vlm_http_is_too_large(const vlm_http_exchange *exchange);
// Whether the body was not kept because bodies take as much memory as they may, or there is no more.
bool vlm_http_is_short_of_memory(const vlm_http_exchange *exchange);
// The client's address as text; "unix:1000" for the user 1000 of this machine. Valid as long as the
// exchange.
const char *vlm_http_peer(const vlm_http_exchange *exchange);
// A pointer of the caller's.
void vlm_http_set_owner(vlm_http_exchange *exchange, void *owner);
void *vlm_http_owner(const vlm_http_exchange *exchange);

// ---- Answers ----

// Adds a header to the answer that is given next.
void vlm_http_add_header(vlm_http_exchange *exchange, const char *name, const char *value);

// Answers with `count` bytes, which are copied. False where it is answered already or the client is
// gone.
bool vlm_http_answer(
    vlm_http_exchange *exchange, unsigned status, const uint8_t *bytes, size_t count);

// Begins an answer in pieces.
bool vlm_http_begin(vlm_http_exchange *exchange, unsigned status);
// Adds a piece, without waiting. False once the client is gone, or too far behind.
bool vlm_http_write(vlm_http_exchange *exchange, const uint8_t *bytes, size_t count);
// Ends an answer in pieces; `complete` false breaks it off, so that the client sees that.
void vlm_http_end(vlm_http_exchange *exchange, bool complete);

// The status that was sent, and the bytes of the answer that were taken by the connection.
unsigned vlm_http_status(vlm_http_exchange *exchange);
uint64_t vlm_http_sent_bytes(vlm_http_exchange *exchange);

// ---- Listening sockets ----
// Each returns a descriptor, closed on exec; or -1 with `errno` set.

// On a numeric address, or "localhost". `port` 0 takes a free one.
int vlm_listen_tcp(const char *host, uint16_t port);
// On a path, for the user alone unless `mode` says otherwise. A socket that nobody listens on any more
// is replaced; anything else that is there is EADDRINUSE or EEXIST.
int vlm_listen_unix(const char *path, unsigned mode);
// One that this process inherited; -1 with ENOTSOCK or EINVAL where it is none that listens.
int vlm_listen_inherited(int descriptor);
// The address that a socket listens on: "127.0.0.1:8080", "[::1]:8080", a path. False where `text` is
// too short or the descriptor is no such socket.
bool vlm_listen_address(int descriptor, char *text, size_t count);
// Whether only this machine can reach it.
bool vlm_listen_is_local(int descriptor);

// Sends a datagram to a socket by its path, or, after '@', its abstract name. Returns 0 or an errno.
int vlm_notify(const char *path, const char *message);

#endif
