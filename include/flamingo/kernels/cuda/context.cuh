/// The CUDA half of core/context.hpp and core/store.hpp: device memory, a stream, and numbers that travel between host
/// and device.
#pragma once
#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/core/function.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/kernels/cuda/graph.cuh>
#include <flamingo/kernels/cuda/memory.cuh>
#include <flamingo/kernels/cuda/products.cuh>
#include <flamingo/kernels/cuda/raw/attention.cuh>
#include <flamingo/kernels/cuda/span_plan.hpp>

namespace flamingo {

namespace detail {
template <class T>
struct Bare {
  using Type = T;
};
template <>
struct Bare<bfloat16> {
  using Type = __nv_bfloat16;
};
template <class T>
struct Bare<const T> {
  using Type = const typename Bare<T>::Type;
};
}  // namespace detail

/// Our numbers as the raw kernels take them.
template <class T>
typename detail::Bare<T>::Type* bare(T* numbers) {
  static_assert(sizeof(typename detail::Bare<T>::Type) == sizeof(T));
  return reinterpret_cast<typename detail::Bare<T>::Type*>(numbers);
}

/// The current CUDA device: an arena in its memory and a stream, in which every op is started and none is waited for.
template <Real R>
class Context<Cuda<R>> : public Memory {
  static_assert(!std::same_as<R, half>, "Cuda computes in float, double or bfloat16: there are no kernels for half");

 public:
  static constexpr std::size_t default_staging = std::size_t{1} << 20;

  /// Allocates `capacity` bytes of device memory, and `staging` bytes of pinned host memory for tables on their way.
  explicit Context(std::size_t capacity, std::size_t staging = default_staging) : range_(capacity), staging_(staging) {
    arena_ = Arena(range_.data(), range_.size());
  }
  Context(Context&&) = default;
  Context& operator=(Context&&) = default;
  /// Waits: kernels may still be at work in the memory that goes.
  ~Context() {
    if (stream()) static_cast<void>(cudaStreamSynchronize(stream()));
  }

  cudaStream_t stream() const { return stream_.get(); }
  Staging& staging() { return staging_; }
  CudaProducts& products() { return products_; }

  /// The device's copy of bytes that never change and stay where they are as long as the context lives: made once,
  /// beside the arena. Null where there is none yet and work is being captured, which copies nothing.
  const void* lasting(const void* host, std::size_t bytes) {
    const auto found = lasting_.find(host);
    if (found != lasting_.end()) {
      check(found->second.size() == bytes, "lasting table", "it had ", found->second.size(), " bytes, and now ", bytes);
      return found->second.data();
    }
    if (staging_.closed()) return nullptr;
    DeviceRange copy(bytes);
    staging_.upload(stream(), host, copy.data(), bytes);
    return lasting_.emplace(host, std::move(copy)).first->second.data();
  }

  /// Adds `count` numbers of the device over all processes of a split model, in place and in the order of the stream.
  /// Set by whoever splits; unset: one process.
  Function<void(R*, std::size_t, cudaStream_t)> sum_over_processes;
  /// The same of what the host has.
  Function<void(std::span<double>)> sum_over_hosts;

  /// Returns when all that was started is done; throws what went wrong in it.
  void wait() { check_cuda(cudaStreamSynchronize(stream()), "wait"); }

 private:
  DeviceRange range_;
  Stream stream_;
  Staging staging_;
  std::map<const void*, DeviceRange> lasting_;
  CudaProducts products_;
};

/// Weights and what belongs to them, in the device's memory.
template <Real R, class T>
struct Buffer<Cuda<R>, T> : std::type_identity<DeviceNumbers<T>> {};

/// Copies `count` numbers to the device, in the order of the stream. The source may go at once.
template <Real R, class T>
void upload(Context<Cuda<R>>& ctx, const T* host, std::size_t count, T* device) {
  ctx.staging().upload(ctx.stream(), host, device, count * sizeof(T));
}
/// Copies `count` numbers from the device and waits for them.
template <Real R, class T>
void download(Context<Cuda<R>>& ctx, const T* device, std::size_t count, T* host) {
  if (count)
    check_cuda(cudaMemcpyAsync(host, device, count * sizeof(T), cudaMemcpyDeviceToHost, ctx.stream()), "download");
  ctx.wait();
}
/// A copy of `count` numbers, which is waited for.
template <Real R, class T>
std::vector<T> host_copy(Context<Cuda<R>>& ctx, const T* device, std::size_t count) {
  std::vector<T> host(count);
  download(ctx, device, count, host.data());
  return host;
}
/// Sets `count` numbers to zero.
template <Real R, class T>
void clear_numbers(Context<Cuda<R>>& ctx, T* device, std::size_t count, std::string_view op = "clear") {
  if (count) check_cuda(cudaMemsetAsync(device, 0, count * sizeof(T), ctx.stream()), op);
}

/// The host's numbers, and so its tables, on the kept end of the device's arena. The host's may go at once.
template <class T, Real R>
const T* readable(Context<Cuda<R>>& ctx, const std::vector<T>& host) {
  T* const device = reinterpret_cast<T*>(ctx.arena().keep(host.size() * sizeof(T)));
  upload(ctx, host.data(), host.size(), device);
  return device;
}

template <class T, Real R>
View<Cuda<R>, 1, const T> lasting_table(Context<Cuda<R>>& ctx, const std::vector<T>& host) {
  const void* const kept = ctx.lasting(host.data(), host.size() * sizeof(T));
  return kept ? View<Cuda<R>, 1, const T>{static_cast<const T*>(kept), {static_cast<int>(host.size())}}
              : table(ctx, host);
}

/// The lists that attention's kernels walk, and how far they reach: the rows after that are of no span.
template <Real R>
struct SpanLists<Cuda<R>> {
  raw::AttentionTables tables;
  int rows = 0;                            ///< of queries
  std::array<int, max_pools> pool_rows{};  ///< of keys
  int nearest = 0, farthest = -1;          ///< distances from a query back to keys whose scores count
  bool single = true;                      ///< no span has more than one row
  int most_keys = 0;                       ///< that a row may see, as detail::most_keys counts them
  bool backward = true;                    ///< the lists of keys are there
};

namespace detail {

/// How far keys stand before queries, where a score is read.
inline void reach(const SpanList& host, int& nearest, int& farthest) {
  for (const Span& span : host.spans)
    for (int i = span.first_segment; i < span.first_segment + span.segments && !span.uniform; ++i) {
      const Segment& s = host.segments[static_cast<std::size_t>(i)];
      if (s.count == 0) continue;
      if (!s.causal) nearest = std::min(nearest, span.position - (s.position + s.count - 1));
      farthest = std::max(farthest, span.position + span.rows - 1 - s.position);
    }
}

template <Real R>
Spans<Cuda<R>> spans_on(Context<Cuda<R>>& ctx, const SpanList& host, bool backward) {
  Spans<Cuda<R>> spans;
  const raw::AttentionPlan plan = plan_of<R>(host, backward, spans.lists.rows, spans.lists.pool_rows);
  reach(host, spans.lists.nearest, spans.lists.farthest);
  spans.lists.single = all_single(host);
  spans.lists.most_keys = most_keys(host);
  spans.spans = table(ctx, host.spans);
  spans.segments = table(ctx, host.segments);
  spans.lists.tables = {reinterpret_cast<const raw::Span*>(spans.spans.data),
                        reinterpret_cast<const raw::Segment*>(spans.segments.data),
                        table(ctx, plan.query_tiles).data,
                        static_cast<int>(plan.query_tiles.size()),
                        table(ctx, plan.key_tiles).data,
                        table(ctx, plan.key_uses).data,
                        static_cast<int>(plan.key_tiles.size()),
                        plan.tiles};
  spans.lists.backward = backward;
  return spans;
}

}  // namespace detail

/// The tables of an attention call with their transposed lists, made here, on the kept end of the device's arena.
template <Real R>
Spans<Cuda<R>> table(Context<Cuda<R>>& ctx, const SpanList& host) {
  return detail::spans_on(ctx, host, true);
}
/// Without the lists of keys, which grow with what has been read: in decoding they would move the tables after them.
template <Real R>
Spans<Cuda<R>> forward_table(Context<Cuda<R>>& ctx, const SpanList& host) {
  return detail::spans_on(ctx, host, false);
}
template <Real R>
void extend_key(std::vector<std::uintptr_t>& key, const Spans<Cuda<R>>& spans) {
  const raw::AttentionTables& t = spans.lists.tables;
  for (const void* list : {static_cast<const void*>(t.spans), static_cast<const void*>(t.segments),
                           static_cast<const void*>(t.query_tiles)})
    key.push_back(reinterpret_cast<std::uintptr_t>(list));
  for (const int number : {t.query_tile_count, t.tiles.query_rows, t.tiles.key_rows, spans.lists.rows,
                           int{spans.lists.single}, spans.lists.most_keys})
    key.push_back(static_cast<std::uintptr_t>(number));
}

/// Work as a CUDA graph: what has the key of the work before it is captured, and replayed as long as the key stays.
/// Work that copies from the host or calls a communicator is run as it is.
template <Real R>
class Replay<Cuda<R>> {
 public:
  static constexpr bool replays = true;

  template <class Work>
  void operator()(Context<Cuda<R>>& ctx, const std::vector<std::uintptr_t>& key, const Work& work) {
    if (key != key_) {
      graph_ = {};
      key_ = key;
      refused_ = false;
      work();  // loads kernels and plans products
      return;
    }
    if (!graph_ && !refused_ && !ctx.sum_over_processes) {
      static_cast<void>(ctx.staging().close(true));
      try {
        graph_ = CapturedGraph(ctx.stream(), work);
      } catch (...) {
        static_cast<void>(ctx.staging().close(false));
        throw;
      }
      refused_ = ctx.staging().close(false);
      if (refused_) graph_ = {};
    }
    if (graph_)
      graph_.launch(ctx.stream());
    else
      work();
  }
  bool captured() const { return static_cast<bool>(graph_); }

 private:
  std::vector<std::uintptr_t> key_;
  CapturedGraph graph_;
  bool refused_ = false;
};

}  // namespace flamingo
