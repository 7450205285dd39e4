#include <string.h>

#include "vlmz_support.h"

// Fixed memory: it needs no destructor when a thread ends, and setting it cannot fail.
static _Thread_local char message[2048];

const char *vlmz_support_message(void) { return message; }

void vlmz_support_set_message(const char *text) {
  size_t length = strlen(text);
  if (length >= sizeof message) {
    length = sizeof message - 1;
    // A continuation byte of UTF-8 is 10xxxxxx: cut before the character that it belongs to.
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) length -= 1;
  }
  memcpy(message, text, length);
  message[length] = '\0';
}
