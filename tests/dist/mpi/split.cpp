// Blocks of small width over four processes; real_width.cpp has those of the 80B.
#include "dist/mpi/split_case.hpp"

namespace flamingo::test {

namespace {

using P = Cpu<float>;
constexpr Chinchilla lm{.dim = 40, .layers = 1, .heads = 8, .head_dim = 6, .hidden = 52, .vocabulary = 11};
constexpr Llama llama{.dim = 40, .layers = 1, .heads = 8, .kv_heads = 4, .head_dim = 6, .hidden = 52, .vocabulary = 11};
constexpr XattnConfig xattn{.heads = 4, .head_dim = 6, .hidden = 60, .norm_media = true};

template <class C>
constexpr C split(C c, int processes) {
  c.split = processes;
  return c;
}

}  // namespace

void split_blocks(dist::MpiTransport& transport, Arguments) {
  check(transport.size() == 4, "split", "needs four processes");
  check_split<SplitDecoder<lm, P>, SplitDecoder<split(lm, 4), P>, P>(transport, "a block of a Chinchilla");
  check_split<SplitDecoder<llama, P>, SplitDecoder<split(llama, 4), P>, P>(transport, "a block of a LLaMA");
  check_split<SplitGated<xattn, 40, 24, 5, P>, SplitGated<split(xattn, 4), 40, 24, 5, P>, P>(transport,
                                                                                             "a gated block");
}

}  // namespace flamingo::test
