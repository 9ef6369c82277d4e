/// What an op needs besides its tensors: memory, threads, counters. One per session or trainer; never global. Each
/// platform's own is beside its kernels (kernels/cpu/context.hpp, kernels/cuda/context.cuh).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include <flamingo/core/arena.hpp>
#include <flamingo/core/check.hpp>
#include <flamingo/core/spans.hpp>
#include <flamingo/core/view.hpp>

namespace flamingo {

template <Platform P>
class Context;

/// The memory half of every context: tensors from the two ends of its arena.
class Memory {
 public:
  Arena& arena() { return arena_; }
  const Arena& arena() const { return arena_; }

  /// Gives back, when it ends, the scratch that was taken since it began.
  class [[nodiscard]] Scope {
   public:
    explicit Scope(Arena& arena) : arena_(arena), mark_(arena.scratched()) {}
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { arena_.release_scratch(mark_); }

   private:
    Arena& arena_;
    std::size_t mark_;
  };
  Scope scope() { return Scope(arena_); }

  /// Gives back, when it ends, what was kept since it began: also where a pass throws.
  class [[nodiscard]] KeptScope {
   public:
    explicit KeptScope(Arena& arena) : arena_(arena), mark_(arena.kept()) {}
    KeptScope(const KeptScope&) = delete;
    KeptScope& operator=(const KeptScope&) = delete;
    ~KeptScope() { arena_.release(mark_); }

   private:
    Arena& arena_;
    std::size_t mark_;
  };
  KeptScope kept_scope() { return KeptScope(arena_); }

 protected:
  Memory() = default;
  explicit Memory(Arena arena) : arena_(arena) {}
  Arena arena_;
};

/// Counts bytes and operations of a run over P; its tensors point nowhere.
template <Platform P>
class Context<Dry<P>> : public Memory {
 public:
  Context() : Memory(Arena(nullptr, std::size_t{1} << 60)) {}

  void count(double operations) { operations_ += operations; }
  /// Multiplications and additions of all products, each counted as one.
  double operations() const { return operations_; }
  void forget_operations() { operations_ = 0; }

 private:
  double operations_ = 0;
};

/// Rows from the scratch end, not initialised; they live until the scope around them ends.
template <int D = dynamic, class T = void, Platform P>
auto scratch(Context<P>& ctx, int rows, int width = D) {
  using U = std::conditional_t<std::is_void_v<T>, typename P::Real, T>;
  Rows<P, D, U> r{nullptr, rows, Extent<D>(width)};
  r.data = reinterpret_cast<U*>(ctx.arena().scratch(r.size() * sizeof(U)));
  return r;
}
/// Rows from the kept end, not initialised; they live until the arena is released to a mark before them.
template <int D = dynamic, class T = void, Platform P>
auto keep(Context<P>& ctx, int rows, int width = D) {
  using U = std::conditional_t<std::is_void_v<T>, typename P::Real, T>;
  Rows<P, D, U> r{nullptr, rows, Extent<D>(width)};
  r.data = reinterpret_cast<U*>(ctx.arena().keep(r.size() * sizeof(U)));
  return r;
}
/// keep where a wanted gradient will read the rows, else scratch.
template <bool Kept, int D = dynamic, class T = void, Platform P>
auto take(Context<P>& ctx, int rows, int width = D) {
  if constexpr (Kept)
    return keep<D, T>(ctx, rows, width);
  else
    return scratch<D, T>(ctx, rows, width);
}
/// A vector of `size` numbers of type T from the scratch or the kept end.
template <class T, bool Kept = false, Platform P>
View<P, 1, T> take_vector(Context<P>& ctx, int size) {
  const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
  return {reinterpret_cast<T*>(Kept ? ctx.arena().keep(bytes) : ctx.arena().scratch(bytes)), {size}};
}

/// Copies `count` numbers of the host to P's memory, in the order of what P is asked to do.
template <Platform P, class T>
void upload(Context<P>&, const T* host, std::size_t count, T* to) {
  std::copy_n(host, count, to);
}
/// Copies `count` numbers of P to the host when everything before it is done.
template <Platform P, class T>
void download(Context<P>&, const T* from, std::size_t count, T* host) {
  std::copy_n(from, count, host);
}
/// `count` numbers of P where the host can read them: in place, or a copy (a vector) where P has memory of its own.
template <Platform P, class T>
std::span<const T> host_copy(Context<P>&, const T* numbers, std::size_t count) {
  return {numbers, count};
}
template <Platform P, int Rank, class T>
auto host_copy(Context<P>& ctx, const View<P, Rank, T>& x) {
  return host_copy(ctx, static_cast<const T*>(x.data), x.size());
}
template <Platform P, int D, class T>
auto host_copy(Context<P>& ctx, const Rows<P, D, T>& x) {
  return host_copy(ctx, static_cast<const T*>(x.data), x.size());
}
/// Sets `count` numbers of P to zero.
template <Platform P, class T>
void clear_numbers(Context<P>&, T* numbers, std::size_t count) {
  std::fill_n(numbers, count, T(0));
}
/// Where nothing is computed every number is zero.
template <Platform P, class T>
std::vector<T> host_copy(Context<Dry<P>>&, const T*, std::size_t count) {
  return std::vector<T>(count);
}
template <Platform P, class T>
void clear_numbers(Context<Dry<P>>&, T*, std::size_t) {}

/// The host's numbers, however many, where P's kernels can read them. The CPU reads them in place: they must outlive
/// the run.
template <class T, Platform P>
const T* readable(Context<P>&, const std::vector<T>& host) {
  return host.data();
}
/// How many whole rows of `width` so many numbers are. Throws where an int does not count them.
inline int rows_in(std::size_t numbers, int width) {
  const std::size_t rows = numbers / static_cast<std::size_t>(width);
  check(rows <= std::size_t{std::numeric_limits<int>::max()}, "rows", "got ", rows, " rows of ", width,
        ", expected at most ", std::numeric_limits<int>::max());
  return static_cast<int>(rows);
}
/// The same as whole rows of D. Throws where an int does not count the rows.
template <int D, Platform P, class Numbers>
auto readable_rows(Context<P>& ctx, const Numbers& host) {
  const int rows = rows_in(host.size(), D);
  using T = std::remove_pointer_t<decltype(readable(ctx, host))>;
  return Rows<P, D, T>{readable(ctx, host), rows, {}};
}

/// Host tables where P's kernels can read them, as readable() has it.
template <class T, Platform P>
View<P, 1, const T> table(Context<P>& ctx, const std::vector<T>& host) {
  return {readable(ctx, host), {static_cast<int>(host.size())}};
}
/// The same of a table that never changes and lives as long as the context: P may keep what it copied.
template <class T, Platform P>
View<P, 1, const T> lasting_table(Context<P>& ctx, const std::vector<T>& host) {
  return table(ctx, host);
}
template <Platform P>
Spans<P> table(Context<P>& ctx, const SpanList& host) {
  return {table(ctx, host.spans), table(ctx, host.segments)};
}
/// The same for what has no backward: P need not make lists that only that reads.
template <Platform P>
Spans<P> forward_table(Context<P>& ctx, const SpanList& host) {
  return table(ctx, host);
}

/// Runs work over and over that differs in nothing but what device memory holds: a platform where starting work costs
/// may start all of it as one. Here it is run.
template <Platform P>
struct Replay {
  static constexpr bool replays = false;
  /// work(); `key` tells apart works of which one cannot stand for the other.
  template <class Work>
  void operator()(Context<P>&, const std::vector<std::uintptr_t>&, const Work& work) {
    work();
  }
};
/// What the lists of a table add to such a key.
template <Platform P>
void extend_key(std::vector<std::uintptr_t>&, const Spans<P>&) {}

}  // namespace flamingo
