/// The machine behind the emulator: runs the blocks of a launch one after another, a block's threads as fibers, and
/// finds barriers that are not reached by all, writes beside shared memory and copies that nobody waited for.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "fiber.hpp"

namespace emulator {

/// What a kernel did that a GPU need not survive. The text says where.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A call in a kernel's source: the operation, and the line that makes it.
struct Site {
  const char* what = "";
  const char* file = "";
  int line = 0;

  friend bool operator==(const Site& a, const Site& b) {
    return a.line == b.line && !std::strcmp(a.what, b.what) && !std::strcmp(a.file, b.file);
  }
  bool same_operation(const Site& other) const { return what == other.what || !std::strcmp(what, other.what); }
  std::string text() const {
    const char* slash = std::strrchr(file, '/');
    return std::string(what) + " (" + (slash ? slash + 1 : file) + ':' + std::to_string(line) + ')';
  }
};

/// How launches run from now on.
struct Options {
  std::uint64_t seed = 0;  ///< 0: threads and blocks in order; otherwise both shuffled by this seed
  Site dropped{};          ///< a planted fault: the barrier or wait at this site does nothing
};

struct Extent {
  unsigned x = 1, y = 1, z = 1;
};

class Machine {
 public:
  Options options;
  /// Every barrier and wait met since the last clear, each once.
  std::vector<Site> sites;
  Extent thread_index, block_index, block_extent, grid_extent;

  /// Kernels run so far.
  long launches = 0;

  /// Runs body() once for each thread of each block. Throws Fault, or what the body threw. Every thread of an `early`
  /// one must wait for its predecessors.
  void launch(Extent grid, Extent block, std::size_t shared_bytes, const std::function<void()>& body,
              bool early = false);
  void waited_for_predecessors() { thread(current_).waited = true; }

  /// The block's dynamic shared memory; all bits set when the block starts, so that a float never written is NaN.
  void* shared(std::size_t bytes) {
    if (bytes > shared_bytes_)
      fault("the kernel uses " + std::to_string(bytes) + " bytes of shared memory, the launch gave " +
            std::to_string(shared_bytes_));
    return shared_.get() + guard_bytes;
  }

  /// Waits until every thread of the block is here.
  void barrier(const Site& site) {
    if (dropped(site)) return;
    if (++at_barrier_ == static_cast<int>(threads_.size())) {
      at_barrier_ = 0;
      for (int i = 0; i < static_cast<int>(threads_.size()); ++i)
        if (i != current_) ready(i);
      ready(current_);
    }
    wait(site);
  }

  /// Waits until all lanes of mask are here, each with its argument; result(arguments, lane) is what a lane gets.
  template <class In, class Out>
  Out collective(const Site& site, unsigned mask, const In& in,
                 Out (*result)(const std::array<const In*, 32>& arguments, int lane)) {
    Thread& self = threads_[static_cast<std::size_t>(current_)];
    Out out{};
    self.in = &in;
    self.out = &out;
    const int warp = current_ / 32, first = warp * 32;
    mask &= existing_lanes(warp);
    const unsigned bit = 1u << (current_ % 32);
    if (!(mask & bit)) fault("thread " + std::to_string(current_) + " is not in the mask of its " + site.text());
    Meeting& meeting = meeting_of(warp, mask);
    if (meeting.arrived && !meeting.site.same_operation(site))
      fault("lanes of one warp meet at different operations: " + meeting.site.text() + " and " + site.text());
    meeting.site = site;
    meeting.arrived |= bit;
    if (meeting.arrived == mask) {
      meeting.arrived = 0;
      std::array<const In*, 32> arguments{};
      for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1u)
          arguments[static_cast<std::size_t>(lane)] = static_cast<const In*>(thread(first + lane).in);
      for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1u) *static_cast<Out*>(thread(first + lane).out) = result(arguments, lane);
      for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1u) ready(first + lane);
    }
    wait(site);
    return out;
  }

  /// A barrier that lies in shared memory: phases of `count` arrivals, told apart by their parity.
  void phases_begin(const void* at, int count) { phases_[at] = {count, count, 0, {}}; }
  void phases_arrive(const void* at) {
    Phases& phases = phases_of(at);
    if (--phases.left > 0) return;
    phases.left = phases.count;
    phases.parity ^= 1;
    for (const int sleeper : std::exchange(phases.sleepers, {})) ready(sleeper);
  }
  /// Waits while the phase of this parity goes on.
  void phases_wait(const Site& site, const void* at, int parity) {
    if (dropped(site)) return;
    while (phases_of(at).parity == parity) {
      phases_of(at).sleepers.push_back(current_);
      wait(site);
    }
  }

  /// Waits until all 128 threads of the warpgroup are here; the last calls act(group, arguments).
  template <class In>
  void warpgroup(const Site& site, const In& in, void (*act)(int group, const std::array<const In*, 128>& arguments)) {
    const int group = current_ / 128, first = group * 128;
    thread(current_).in = &in;
    Gathering& gathering = gatherings_[group];
    if (gathering.arrived && !gathering.site.same_operation(site))
      fault("threads of one warpgroup meet at different operations: " + gathering.site.text() + " and " + site.text());
    gathering.site = site;
    if (++gathering.arrived == 128) {
      gathering.arrived = 0;
      std::array<const In*, 128> arguments{};
      for (int i = 0; i < 128; ++i)
        arguments[static_cast<std::size_t>(i)] = static_cast<const In*>(thread(first + i).in);
      act(group, arguments);
      for (int i = 0; i < 128; ++i) ready(first + i);
    }
    wait(site);
  }
  /// Matrix products that a warpgroup has begun; they happen as late as they may.
  struct Products {
    std::vector<std::function<void()>> open;
    std::deque<std::vector<std::function<void()>>> committed;
  };
  Products& products(int group) { return products_[group]; }
  /// How far into the block's shared memory.
  std::size_t shared_offset(const void* p) const {
    return static_cast<std::size_t>(static_cast<const std::byte*>(p) - shared_.get()) - guard_bytes;
  }
  const std::byte* shared_at(std::size_t offset, std::size_t bytes) const {
    if (offset + bytes > shared_bytes_) fault("a matrix product reads beside shared memory");
    return shared_.get() + guard_bytes + offset;
  }

  /// Whether the barrier or wait at this site was taken out by the options.
  bool dropped(const Site& site) {
    bool known = false;
    for (const Site& s : sites) known = known || (s.line == site.line && s == site);
    if (!known) sites.push_back(site);
    return options.dropped.line != 0 && options.dropped == site;
  }

  /// An asynchronous copy begins: from here until it lands the destination is undefined (all bits set).
  void copy_begin(void* to, const void* from, std::size_t bytes, bool valid) {
    auto* begin = static_cast<std::byte*>(to);
    const std::byte* memory = shared_.get() + guard_bytes;
    if (begin < memory || begin + bytes > memory + shared_bytes_) fault("an asynchronous copy leaves shared memory");
    if (reinterpret_cast<std::uintptr_t>(to) % bytes || (valid && reinterpret_cast<std::uintptr_t>(from) % bytes))
      fault("an asynchronous copy of " + std::to_string(bytes) + " bytes is not aligned to its size");
    std::memset(to, 0xFF, bytes);
    thread(current_).open.push_back({to, valid ? from : nullptr, bytes});
  }
  void copy_commit() {
    Thread& self = thread(current_);
    self.committed.push_back(std::move(self.open));
    self.open.clear();
  }
  /// Lands all committed groups but the `pending` newest.
  void copy_wait(const Site& site, std::size_t pending) {
    if (dropped(site)) return;
    for (auto& committed = thread(current_).committed; committed.size() > pending; committed.pop_front())
      land(committed.front());
  }
  /// Has then() called when this thread's copies have landed, which is when nobody else can go on.
  void copies_announce(std::function<void()> then) {
    copy_commit();
    late_.push_back({std::exchange(thread(current_).committed, {}), std::move(then)});
  }

  [[noreturn]] void fault(const std::string& what) const {
    throw Fault("[emulator] block (" + std::to_string(block_index.x) + ", " + std::to_string(block_index.y) + ", " +
                std::to_string(block_index.z) + "): " + what);
  }

 private:
  struct Copy {
    void* to;
    const void* from;
    std::size_t bytes;
  };
  struct Thread {
    Fiber fiber;
    Extent index;
    bool returned = false, waited = false;
    Site waiting;
    const void* in = nullptr;
    void* out = nullptr;
    std::vector<Copy> open;
    std::deque<std::vector<Copy>> committed;
  };
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  struct Meeting {
    unsigned mask;
    Site site{};
    unsigned arrived = 0;
  };
  struct Late {
    std::deque<std::vector<Copy>> copies;
    std::function<void()> then;
  };
  struct Phases {
    int count, left, parity;
    std::vector<int> sleepers;
  };
  struct Gathering {
    Site site;
    int arrived = 0;
  };
  static constexpr std::size_t most_threads = 1024;
  static constexpr std::size_t guard_bytes = 256, most_shared_bytes = 227 * 1024;  // the most that sm_90 gives a block

  /// Of the few masks that a warp's lanes ever meet under.
  Meeting& meeting_of(int warp, unsigned mask) {
    std::vector<Meeting>& meetings = meetings_[static_cast<std::size_t>(warp)];
    for (Meeting& meeting : meetings)
      if (meeting.mask == mask) return meeting;
    return meetings.emplace_back(Meeting{mask});
  }
  Phases& phases_of(const void* at) {
    const auto found = phases_.find(at);
    if (found == phases_.end()) fault("a barrier in shared memory is used before it is begun");
    return found->second;
  }
  Thread& thread(int i) { return threads_[static_cast<std::size_t>(i)]; }
  void ready(int i) { ready_.push_back(i); }
  static void land(const std::vector<Copy>& copies) {
    for (const Copy& copy : copies) {
      if (copy.from)
        std::memcpy(copy.to, copy.from, copy.bytes);
      else
        std::memset(copy.to, 0, copy.bytes);
    }
  }
  /// Whether a thread can go on, if need be because copies land that were announced.
  bool anyone_ready() {
    while (ready_.empty() && !late_.empty()) {
      const Late first = std::move(late_.front());
      late_.pop_front();
      for (const auto& group : first.copies) land(group);
      first.then();
    }
    return !ready_.empty();
  }
  void wait(const Site& site) {
    Thread& self = thread(current_);
    self.waiting = site;
    self.fiber.suspend();
  }
  unsigned existing_lanes(int warp) const {
    const int lanes = static_cast<int>(threads_.size()) - warp * 32;
    return lanes >= 32 ? 0xffffffffu : (1u << lanes) - 1u;
  }
  std::uint64_t random() {  // splitmix64
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  static std::size_t rounded(std::size_t bytes) { return (bytes + guard_bytes - 1) / guard_bytes * guard_bytes; }
  /// The thread to run. Shuffled, even seeds draw among all that can run; odd ones among those of the warp that ran
  /// last while there are any, so that a warp gets as far ahead of the others as the barriers let it.
  int next() {
    if (options.seed) {
      std::size_t chosen = random() % ready_.size();
      for (std::size_t i = 0; options.seed % 2 && i < ready_.size() && ready_[chosen] / 32 != current_ / 32; ++i)
        chosen = (chosen + 1) % ready_.size();
      std::swap(ready_.front(), ready_[chosen]);
    }
    const int thread = ready_.front();
    ready_.pop_front();
    return thread;
  }
  static void thread_main();
  void run_block();
  void check_guards() const;

  std::vector<Thread> threads_;
  std::deque<int> ready_;
  std::array<std::vector<Meeting>, most_threads / 32> meetings_;  // by warp
  std::map<const void*, Phases> phases_;
  std::map<int, Gathering> gatherings_;
  std::map<int, Products> products_;
  std::deque<Late> late_;
  std::unique_ptr<std::byte[], Free> shared_;
  std::size_t shared_bytes_ = 0;
  const std::function<void()>* body_ = nullptr;
  std::exception_ptr failure_;
  bool early_ = false;
  int current_ = 0, at_barrier_ = 0;
  std::uint64_t state_ = 0;
};

inline Machine& machine() {
  static Machine instance;
  return instance;
}

inline void Machine::thread_main() {
  Machine& m = machine();
  Thread& self = m.thread(m.current_);
  self.fiber.entered();
  try {
    (*m.body_)();
    bool landed = self.open.empty();
    for (const auto& group : self.committed) landed = landed && group.empty();
    if (!landed) m.fault("thread " + std::to_string(m.current_) + " returned before its asynchronous copies landed");
    if (m.early_ && !self.waited)
      m.fault("thread " + std::to_string(m.current_) + " was started early and has not waited for its predecessors");
  } catch (...) {
    if (!m.failure_) m.failure_ = std::current_exception();
  }
  self.returned = true;
  self.fiber.finish();
}

inline void Machine::check_guards() const {
#if !defined(EMULATOR_ASAN)  // which guards the allocation itself, for reads too
  for (std::size_t i = 0; i < guard_bytes; ++i)
    if (shared_[i] != std::byte{0xFF} || shared_[guard_bytes + shared_bytes_ + i] != std::byte{0xFF})
      fault("the kernel wrote beside its " + std::to_string(shared_bytes_) + " bytes of shared memory");
#endif
}

inline void Machine::run_block() {
  const int count = static_cast<int>(threads_.size());
#if defined(EMULATOR_ASAN)
  __asan_unpoison_memory_region(shared_.get(), shared_bytes_ + 2 * guard_bytes);
#endif
  std::memset(shared_.get(), 0xFF, shared_bytes_ + 2 * guard_bytes);
#if defined(EMULATOR_ASAN)
  __asan_poison_memory_region(shared_.get(), guard_bytes);
  __asan_poison_memory_region(shared_.get() + guard_bytes + shared_bytes_, guard_bytes);
#endif
  ready_.clear();
  for (auto& meetings : meetings_) meetings.clear();
  phases_.clear();
  gatherings_.clear();
  products_.clear();
  late_.clear();
  at_barrier_ = 0;
  for (int i = 0; i < count; ++i) {
    Thread& t = thread(i);
    const auto at = static_cast<unsigned>(i);
    t.index = {at % block_extent.x, at / block_extent.x % block_extent.y, at / (block_extent.x * block_extent.y)};
    t.returned = t.waited = false;
    t.open.clear();
    t.committed.clear();
    t.fiber.start(&Machine::thread_main);
    ready(i);
  }
  int unfinished = count;
  while (anyone_ready()) {
    current_ = next();
    Thread& t = thread(current_);
    thread_index = t.index;
    t.fiber.resume();
    if (!(t.returned ? t.fiber.stack_held() : t.fiber.seems_held()))
      fault("a thread needs more stack than the emulator gives");
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (t.returned) --unfinished;
  }
  if (unfinished) {
    std::map<std::string, int> waiting;
    for (const Thread& t : threads_)
      if (!t.returned) ++waiting[t.waiting.text()];
    std::string text = "deadlock of " + std::to_string(count) + " threads: ";
    for (const auto& [where, n] : waiting) text += std::to_string(n) + " wait at " + where + ", ";
    fault(text + std::to_string(count - unfinished) + " returned; a barrier must be reached by all that it waits for");
  }
  check_guards();
}

inline void Machine::launch(Extent grid, Extent block, std::size_t shared_bytes, const std::function<void()>& body,
                            bool early) {
  const std::size_t count = std::size_t{block.x} * block.y * block.z;
  if (count == 0 || count > most_threads)
    throw Fault("[emulator] a block of " + std::to_string(count) + " threads: 1 to " + std::to_string(most_threads));
  if (grid.y > 65535 || grid.z > 65535) throw Fault("[emulator] a grid's second and third extents are at most 65535");
  if (shared_bytes > most_shared_bytes)
    throw Fault("[emulator] " + std::to_string(shared_bytes) + " bytes of shared memory: at most " +
                std::to_string(most_shared_bytes));
  if (threads_.size() != count) threads_ = std::vector<Thread>(count);
#if defined(EMULATOR_ASAN)
  if (shared_) __asan_unpoison_memory_region(shared_.get(), shared_bytes_ + 2 * guard_bytes);
#endif
  shared_.reset(static_cast<std::byte*>(std::aligned_alloc(guard_bytes, rounded(shared_bytes) + 2 * guard_bytes)));
  shared_bytes_ = shared_bytes;
  body_ = &body;
  early_ = early;
  ++launches;
  state_ = options.seed;
  grid_extent = grid;
  block_extent = block;
  std::vector<std::size_t> order(std::size_t{grid.x} * grid.y * grid.z);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (options.seed)
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  for (const std::size_t i : order) {
    block_index = {static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
                   static_cast<unsigned>(i / grid.x / grid.y)};
    run_block();
  }
}

}  // namespace emulator
