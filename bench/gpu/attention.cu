/// Attention over spans on raw pointers, bf16, forward and backward.
///
///   attention B L H K CAUSAL     B sequences of L tokens, H heads of K
///   cross B L M H K              B sequences of L tokens with M pictures each: every token sees 64 latents of its own
#include <flamingo/kernels/cuda/raw/attention.cuh>

#include "timing.cuh"

namespace {

using namespace flamingo;
using namespace flamingo::bench;
using T = __nv_bfloat16;

constexpr int latents = 64;

/// A plan's tables on the device.
class Plan {
 public:
  Plan(const std::vector<raw::Span>& spans, const std::vector<raw::Segment>& segments, int rows, int keys)
      : Plan(raw::make_attention_plan(spans, segments, rows, std::vector<int>{keys}, raw::attention_tiles<T>(spans))) {}
  const raw::AttentionTables& tables() const { return tables_; }

 private:
  explicit Plan(const raw::AttentionPlan& plan) : tables_(plan.tables()) {
    copy(tables_.spans, plan.spans);
    copy(tables_.segments, plan.segments);
    copy(tables_.query_tiles, plan.query_tiles);
    copy(tables_.key_tiles, plan.key_tiles);
    copy(tables_.key_uses, plan.key_uses);
  }
  template <class Row>
  void copy(const Row*& to, const std::vector<Row>& rows) {
    ranges_.emplace_back(rows.size() * sizeof(Row));
    to = reinterpret_cast<const Row*>(ranges_.back().data());
    check_cuda(cudaMemcpy(ranges_.back().data(), rows.data(), ranges_.back().size(), cudaMemcpyHostToDevice), "plan");
  }

  raw::AttentionTables tables_;
  std::vector<DeviceRange> ranges_;
};

struct Set {
  Numbers<T> q, k, v, o, dout, dq, dk, dv;
  Numbers<float> lse, workspace;
};

template <int K>
void measure(cudaStream_t stream, const Case& c, const Plan& plan, int rows, int keys, int heads) {
  const std::size_t width = static_cast<std::size_t>(heads) * K, queries = static_cast<std::size_t>(rows) * width,
                    pool = static_cast<std::size_t>(keys) * width, sums = queries / K;
  std::vector<Set> sets;
  for (int i = 0; i < 2; ++i)  // each is larger than the cache
    sets.push_back({Numbers<T>(queries), Numbers<T>(pool), Numbers<T>(pool), Numbers<T>(queries), Numbers<T>(queries),
                    Numbers<T>(queries), Numbers<T>(pool), Numbers<T>(pool), Numbers<float>(sums),
                    Numbers<float>(sums)});
  const raw::AttentionShape shape{.N = rows, .heads = heads, .kv_heads = heads, .head_dim = K};
  const float scale = 1 / std::sqrt(static_cast<float>(K));
  const auto stride = static_cast<long long>(width);
  const auto pools_of = [&](const Set& s) {
    raw::Pools<const T> pools;
    pools.k[0] = {s.k.data(), stride};
    pools.v[0] = {s.v.data(), stride};
    return pools;
  };
  c.report("forward", "ours", seconds_of(stream, 2, [&](int i) {
             const Set& s = sets[static_cast<std::size_t>(i)];
             check_cuda(raw::attention_forward<K, T, raw::None>(shape, plan.tables(), {s.q.data(), stride}, pools_of(s),
                                                                scale, {}, {s.o.data(), stride}, s.lse.data(), stream),
                        "attention");
           }));
  c.report("backward", "ours", seconds_of(stream, 2, [&](int i) {
             const Set& s = sets[static_cast<std::size_t>(i)];
             raw::Pools<T> gradients;
             gradients.k[0] = {s.dk.data(), stride};
             gradients.v[0] = {s.dv.data(), stride};
             check_cuda(raw::attention_backward<K, T, raw::None>(
                            shape, plan.tables(), {s.q.data(), stride}, pools_of(s), scale, {}, {s.o.data(), stride},
                            s.lse.data(), {s.dout.data(), stride}, {s.dq.data(), stride}, gradients, s.workspace.data(),
                            stream),
                        "attention_backward");
           }));
}

void measure_heads(cudaStream_t stream, const Case& c, const Plan& plan, int rows, int keys, int heads, int head_dim) {
  check(head_dim == 64 || head_dim == 128, "bench", "heads of ", head_dim, ", expected 64 or 128");
  if (head_dim == 64)
    measure<64>(stream, c, plan, rows, keys, heads);
  else
    measure<128>(stream, c, plan, rows, keys, heads);
}

void self_attention(cudaStream_t stream, const Case& c) {
  const int B = c[0], L = c[1];
  std::vector<raw::Span> spans;
  std::vector<raw::Segment> segments;
  for (int b = 0; b < B; ++b) {
    spans.push_back({b * L, L, 0, b, 1});
    segments.push_back({0, b * L, L, 0, c[4]});
  }
  measure_heads(stream, c, Plan(spans, segments, B * L, B * L), B * L, B * L, c[2], c[3]);
}

void cross_attention(cudaStream_t stream, const Case& c) {
  const int B = c[0], L = c[1], M = c[2];
  std::vector<raw::Span> spans;
  std::vector<raw::Segment> segments;
  for (int b = 0; b < B; ++b)
    for (int m = 0; m < M; ++m) {
      const int begin = L * m / M, end = L * (m + 1) / M;
      spans.push_back({b * L + begin, end - begin, 0, b * M + m, 1});
      segments.push_back({0, (b * M + m) * latents, latents, 0, 0});
    }
  const int keys = B * M * latents;
  measure_heads(stream, c, Plan(spans, segments, B * L, keys), B * L, keys, c[3], c[4]);
}

}  // namespace

int main() {
  const Stream stream;
  return measure_cases([&](const Case& c) {
    if (c.kind == "attention") self_attention(stream.get(), c);
    if (c.kind == "cross") cross_attention(stream.get(), c);
  });
}
