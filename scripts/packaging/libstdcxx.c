// What Swift's runtime takes of libstdc++ that came with GCC 11, so that older ones suffice: see
// scripts/build-tarball.
#include <stdlib.h>

// std::__throw_bad_array_new_length(). The runtime is compiled without exceptions.
void _ZSt28__throw_bad_array_new_lengthv(void) { abort(); }
