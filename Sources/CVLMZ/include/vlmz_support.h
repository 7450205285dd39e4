// What the bridge needs of C beside the interface. Not installed.

#ifndef VLMZ_SUPPORT_H
#define VLMZ_SUPPORT_H

// The message of the calling thread; never NULL.
const char *vlmz_support_message(void);

// Keeps a copy of message for the calling thread, cut at a whole character where it is longer than
// what is kept.
void vlmz_support_set_message(const char *message);

#endif
