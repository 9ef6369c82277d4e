/// Processes that train one model: what a trainer asks of them, whatever memory its platform has.
#pragma once
#include <flamingo/core/context.hpp>
#include <flamingo/dist/parts.hpp>
#include <flamingo/dist/transport.hpp>

namespace flamingo::dist {

/// Every process calls the same functions in the same order. Sums are in the order of ranks, or in an order that is
/// fixed for a number of processes.
template <Platform P>
class Group {
 public:
  using A = AccumulateOf<P>;
  virtual ~Group() = default;
  /// Begins: x of each process's own part = Σ_r x of process r there, of what P was asked to write before. Other work
  /// goes on meanwhile; x is read and written until wait().
  virtual void begin_sum(Context<P>& ctx, A* x, const Parts& parts) = 0;
  /// Begins, after what was begun before: every part as its own process has it.
  virtual void begin_gather(Context<P>& ctx, A* x, const Parts& parts) = 0;
  /// Returns when what was begun is done, or, where P works by itself, when what it is asked to do next will come
  /// after it. Throws what went wrong.
  virtual void wait(Context<P>& ctx) = 0;

  /// For what the host has. Nobody may use it while something that was begun is under way.
  virtual Transport& transport() = 0;

 protected:
  Group() = default;
  Group(const Group&) = default;
  Group& operator=(const Group&) = default;
};

}  // namespace flamingo::dist
