// What libFuzzer calls: hands its inputs to the target that VLM_FUZZ_FORMAT names.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

bool vlm_fuzz(const char *name, const void *bytes, size_t count);

static const char *name;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    name = getenv("VLM_FUZZ_FORMAT");
    if (name == NULL || !vlm_fuzz(name, "", 0)) {
        fprintf(stderr, "VLM_FUZZ_FORMAT names no target: %s\n", name == NULL ? "unset" : name);
        exit(64);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    vlm_fuzz(name, bytes, count);
    return 0;
}
