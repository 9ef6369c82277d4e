/// Data parallel training: every process has the model and documents of its own; gradients are summed over all of them,
/// a bucket at a time while backward goes on, and the state of the optimiser may be divided between them (ZeRO's first
/// stage, Rajbhandari et al. 2020), which gives the same bits.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/random.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/dist/group.hpp>
#include <flamingo/dist/sum.hpp>
#include <flamingo/train/optimizer.hpp>
#include <flamingo/train/split_model.hpp>

namespace flamingo {

struct DataParallelOptions {
  bool divided_state = true;                  ///< each process keeps a part of the moments and updates that part
  std::size_t bucket = std::size_t{4} << 20;  ///< most numbers of gradients that are summed at one time
};

/// A range of a flat buffer whose gradients are summed at one time.
struct Bucket {
  dist::Range range;
  int after = -1;  ///< backward of this gated block completes it; -1: that of everything
};

/// A layer's flat buffer as buckets, in the order in which backward completes them: gated blocks from the last to the
/// first, then everything besides. Borders are multiples of dist::grain.
template <class Layer>
std::vector<Bucket> buckets_of(std::size_t most) {
  std::vector<std::size_t> begins;  // of gated blocks
  std::size_t at = 0, end = 0;      // end: of the last gated block
  auto look = [&](const Spec& spec) {
    std::string_view name = spec.name;
    if (name.starts_with("gated.")) {
      std::size_t j = 0;
      for (name.remove_prefix(6); name.front() != '.'; name.remove_prefix(1))
        j = 10 * j + static_cast<std::size_t>(name.front() - '0');
      if (j == begins.size()) begins.push_back(at);
      end = at + flat_size(spec);
    }
    at += flat_size(spec);
  };
  Layer::each(look);
  const std::size_t size = at, each = std::max(dist::rounded_down(most), dist::grain);
  std::vector<Bucket> buckets;
  const auto add = [&](std::size_t from, std::size_t to, int after) {
    for (; to - from > each; to = std::max(from, dist::rounded_up(to - each))) {
      buckets.push_back({{std::max(from, dist::rounded_up(to - each)), to}, after});
    }
    if (from < to) buckets.push_back({{from, to}, after});
  };
  std::size_t above = begins.empty() ? size : end == size ? size : dist::rounded_down(end);
  const std::size_t tail = above;
  for (std::size_t j = begins.size(); j-- > 0;) {
    const std::size_t from = std::min(dist::rounded_up(begins[j]), above);
    if (j > 0 && above - dist::rounded_up(begins[j - 1]) <= each) continue;  // one bucket with the block before it
    add(from, above, static_cast<int>(j));
    above = from;
  }
  add(0, above, -1);
  add(tail, size, -1);
  return buckets;
}

/// What a trainer does with the others. By default there are none.
template <class Layer, Platform P>
class DataParallel {
 public:
  using A = AccumulateOf<P>;
  using Flat = Store<Layer, P, A>;

  /// Every process joins before its first update. The optimiser keeps its part of the state where that is divided.
  void join(dist::Group<P>& group, Optimizer<Layer, P>& optimizer, DataParallelOptions options) {
    check(!group_, "data_parallel", "the trainer has joined a group already");
    check(optimizer.steps() == 0, "data_parallel", "the trainer has made ", optimizer.steps(),
          " steps: it joins before the first, or before its checkpoint is read");
    group_ = &group;
    divided_ = options.divided_state;
    for (const Bucket& bucket : buckets_of<Layer>(options.bucket)) {
      buckets_.push_back({{bucket.range, processes()}, bucket.after});
      own_.push_back(buckets_.back().parts.of(rank()));
    }
    if (divided_) optimizer.keep(own_);
  }

  bool alone() const { return group_ == nullptr; }
  int rank() const { return group_ ? group_->transport().rank() : 0; }
  int processes() const { return group_ ? group_->transport().size() : 1; }

  /// Σ over processes of each of the host's numbers.
  void sum(std::span<double> numbers) const {
    if (group_) dist::sum(group_->transport(), numbers.data(), numbers.size());
  }
  double sum(double number) const {
    sum(std::span(&number, 1));
    return number;
  }

  /// How many each process has of something.
  std::vector<int> counts(int own) const {
    if (!group_) return {own};
    return dist::gather(group_->transport(), std::span<const int>(&own, 1));
  }
  /// Fills x with the rows of all processes, counts[r] of process r one after another; its own are there.
  template <int D>
  void gather(Context<P>& ctx, const Rows<P, D, A>& x, std::span<const int> counts) const {
    if (!group_) return;
    std::vector<A> all(x.size());
    std::vector<std::span<std::byte>> receive;
    std::vector<A> own;
    std::size_t at = 0;
    for (std::size_t r = 0; r < counts.size(); ++r) {
      const std::size_t size = static_cast<std::size_t>(counts[r]) * static_cast<std::size_t>(x.width);
      receive.push_back(std::as_writable_bytes(std::span(all).subspan(at, size)));
      if (static_cast<int>(r) == rank()) {
        const auto host = host_copy(ctx, static_cast<const A*>(x.data + at), size);
        own.assign(host.begin(), host.end());
      }
      at += size;
    }
    dist::gather(group_->transport(), std::as_bytes(std::span<const A>(own)), receive);
    upload(ctx, all.data(), all.size(), x.data);
  }
  /// x = Σ over processes of x.
  template <int D>
  void sum(Context<P>& ctx, const Rows<P, D, A>& x) const {
    if (!group_) return;
    const auto host = host_copy(ctx, static_cast<const A*>(x.data), x.size());
    std::vector<A> all(host.begin(), host.end());
    dist::sum(group_->transport(), all.data(), all.size());
    upload(ctx, all.data(), all.size(), x.data);
  }

  /// Refuses to begin where processes differ in step or weights; looks at them before the first update.
  void begin_update(Context<P>& ctx, const Flat& weights, long step) {
    begun_ = 0;
    if (!group_ || std::exchange(alike_, true)) return;
    const auto host = host_copy(ctx, static_cast<const A*>(weights.flat.data()), weights.flat.size());
    const auto bytes = std::as_bytes(std::span<const A>(host.data(), host.size()));
    const std::uint64_t own[] = {static_cast<std::uint64_t>(step),
                                 hash({reinterpret_cast<const char*>(bytes.data()), bytes.size()})};
    const std::vector<std::uint64_t> all = dist::gather(group_->transport(), std::span<const std::uint64_t>(own));
    for (std::size_t r = 1; r < all.size() / 2; ++r) {
      check(all[2 * r] == all[0], "data_parallel", "process ", r, " is at step ", all[2 * r], ", process 0 at ",
            all[0]);
      check(all[2 * r + 1] == all[1], "data_parallel", "process ", r,
            " begins with other weights than process 0: seeds or files differ");
    }
  }

  /// Begins the sums of what backward of gated block j completes, where its gradients are final: in the last pass of an
  /// update.
  void begin(Context<P>& ctx, Flat& gradients, int j) {
    for (; begun_ < buckets_.size() && buckets_[begun_].after >= j; ++begun_) {
      const Shared& bucket = buckets_[begun_];
      group_->begin_sum(ctx, gradients.flat.data(), bucket.parts);
      if (!divided_) group_->begin_gather(ctx, gradients.flat.data(), bucket.parts);
    }
  }

  /// Returns when the sums of all gradients are made, those that backward told nothing of among them. `everywhere`: of
  /// all of them in each process, where the trainer clips them itself.
  void complete(Context<P>& ctx, Flat& gradients, bool everywhere = false) {
    if (!group_) return;
    begin(ctx, gradients, -1);
    if (everywhere && divided_)
      for (const Shared& bucket : buckets_) group_->begin_gather(ctx, gradients.flat.data(), bucket.parts);
    group_->wait(ctx);
  }

  /// Where an update ends by an exception: returns when nothing reads or writes gradients any more.
  void abandon(Context<P>& ctx) noexcept {
    if (!group_) return;
    try {
      group_->wait(ctx);
    } catch (...) {  // the first error is the one to tell
    }
  }

  /// Σ g² over ranges of the flat buffer, of the completed gradients of all processes. Each adds up its own parts,
  /// whatever it updates: so the sum has the same bits either way.
  double squares(Context<P>& ctx, const Optimizer<Layer, P>& optimizer, const Flat& gradients,
                 std::span<const dist::Range> ranges) const {
    if (!group_) return optimizer.squares(ctx, gradients, ranges);
    return sum(optimizer.squares(ctx, gradients, common(own_, ranges)));
  }
  /// The update of weights by completed gradients of this global norm.
  void update(Context<P>& ctx, Optimizer<Layer, P>& optimizer, Flat& weights, const Flat& gradients, double rate,
              double norm) {
    optimizer.update(ctx, weights, gradients, rate, norm);
    if (!divided_) return;
    for (const Shared& bucket : buckets_) group_->begin_gather(ctx, weights.flat.data(), bucket.parts);
    group_->wait(ctx);
  }
  /// All of that; returns the global norm.
  double step(Context<P>& ctx, Optimizer<Layer, P>& optimizer, Flat& weights, Flat& gradients, double rate) {
    complete(ctx, gradients);
    begun_ = 0;
    const dist::Range all{0, gradients.flat.size()};
    const double norm = std::sqrt(squares(ctx, optimizer, gradients, {&all, 1}));
    update(ctx, optimizer, weights, gradients, rate, norm);
    return norm;
  }

  /// Whether this process writes the checkpoint.
  bool writes() const { return rank() == 0; }
  /// Returns when all processes have come here.
  void meet() const {
    if (group_) dist::meet(group_->transport());
  }
  /// Whether the processes divide the optimiser's state.
  bool divided() const { return divided_; }
  /// Where the state is divided: the moments of all processes as numbers of the flat buffer, on the one that writes.
  std::vector<A> whole(Context<P>& ctx, const MomentStore<P, A>& moments) const {
    const std::vector<A> own = moments.read(ctx, 0, kept_of(rank()));
    std::vector<std::vector<A>> parts(static_cast<std::size_t>(processes()));
    std::vector<std::span<const std::byte>> send(parts.size());
    std::vector<std::span<std::byte>> receive(parts.size());
    send[0] = std::as_bytes(std::span(own));
    if (writes())
      for (std::size_t r = 0; r < parts.size(); ++r) {
        parts[r].resize(kept_of(static_cast<int>(r)));
        receive[r] = std::as_writable_bytes(std::span(parts[r]));
      }
    group_->transport().exchange(send, receive);
    std::vector<A> all(writes() ? flat_size<Layer>() : 0);
    if (writes())
      for (std::size_t r = 0; r < parts.size(); ++r) {
        const A* from = parts[r].data();
        for (const Shared& bucket : buckets_) {
          const dist::Range part = bucket.parts.of(static_cast<int>(r));
          std::copy_n(from, part.size(), all.data() + part.begin);
          from += part.size();
        }
      }
    return all;
  }

 private:
  struct Shared {
    dist::Parts parts;
    int after;
  };

  /// Numbers of the parts of a process.
  std::size_t kept_of(int rank) const {
    std::size_t size = 0;
    for (const Shared& bucket : buckets_) size += bucket.parts.of(rank).size();
    return size;
  }

  dist::Group<P>* group_ = nullptr;
  bool divided_ = false, alike_ = false;
  std::vector<Shared> buckets_;
  std::vector<dist::Range> own_;  ///< of this process, in the order of buckets
  std::size_t begun_ = 0;
};

}  // namespace flamingo
