// Calls the probes this machine can run and prints what they computed, a line each.
#include <cstdio>
#include <string_view>

#include "probe.hpp"

#define CALL(name) Digests probe_##name();
PROBES
#undef CALL

namespace {

bool runs_here([[maybe_unused]] std::string_view machine) {
#if defined(__x86_64__)
  if (machine == "x86_64_v2") return __builtin_cpu_supports("sse4.2");
  if (machine == "x86_64_v3") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return true;
}

void show(const char* machine, Digests (*probe)()) {
  if (!runs_here(machine)) {
    std::printf("%s cannot run here\n", machine);
    return;
  }
  const Digests d = probe();
  std::printf("%s %016llx %016llx\n", machine, static_cast<unsigned long long>(d.in_float),
              static_cast<unsigned long long>(d.in_double));
}

}  // namespace

int main() {
#define CALL(name) show(#name, probe_##name);
  PROBES
}
