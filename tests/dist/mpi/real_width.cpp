// mpirun -n 4: one block of Flamingo-80B's language model and one of its gated blocks at their real width of 8192,
// split over four processes, forward and backward. They take some 13 GiB in all.
#include <flamingo/config/presets/flamingo.hpp>

#include "dist/mpi/split_case.hpp"

namespace {

using namespace flamingo;
using P = Cpu<float>;
constexpr auto paper = presets::flamingo_80b;
constexpr auto split = [] {
  auto c = presets::flamingo_80b;
  c.lm.split = c.xattn.split = 4;
  return c;
}();
constexpr int D = paper.lm.dim, E = paper.resampler.out(), R = paper.resampler.latents;

}  // namespace

int main(int argc, char** argv) {
  using namespace flamingo::test;
  return dist::MpiJob::run(argc, argv, [] {
    dist::MpiTransport transport;
    check(transport.size() == 4, "real_width", "needs four processes");
    check_split<SplitDecoder<paper.lm, P>, SplitDecoder<split.lm, P>, P>(transport, "a block of the 80B's Chinchilla");
    check_split<SplitGated<paper.xattn, D, E, R, P>, SplitGated<split.xattn, D, E, R, P>, P>(
        transport, "a gated block of the 80B");
    return 0;
  });
}
