// Query heads that cannot share the heads of keys and values evenly.
// expects: AttentionConfig: heads must be a multiple of kv_heads
#include <flamingo/nn/attention.hpp>

#ifdef FAIL
constexpr int kv_heads = 3;
#else
constexpr int kv_heads = 2;
#endif
constexpr flamingo::AttentionConfig config{
    .dim = 88, .source_dim = 88, .heads = 8, .kv_heads = kv_heads, .head_dim = 11};
static_assert(flamingo::nn::Attention<config, flamingo::Cpu<float>>::D == 88);
