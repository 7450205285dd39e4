// The commands as one program, which its name chooses among: they share the Swift runtime and nearly all
// of their code.
#include <stdio.h>
#include <string.h>

int vlm_run_main(int argc, char **argv);
int vlm_convert_main(int argc, char **argv);

int main(int argc, char **argv) {
  const char *path = argc > 0 ? argv[0] : "";
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  if (strcmp(name, "vlm-run") == 0) return vlm_run_main(argc, argv);
  if (strcmp(name, "vlm-convert") == 0) return vlm_convert_main(argc, argv);
  fputs("vlmz: this program is called by the names vlm-run and vlm-convert\n", stderr);
  return 64;
}
