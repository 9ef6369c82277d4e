/// A fiber: a function with its own stack that can stop in the middle and be continued later, in one OS thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define EMULATOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATOR_ASAN 1
#endif
#endif
#if defined(EMULATOR_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {

#if defined(__x86_64__)
/// Where a stopped flow of control continues: its stack pointer, below which the preserved registers lie.
using Context = void*;

/// Stores the caller's registers and stack pointer in `from` and continues at `to`. swapcontext would do, but asks the
/// kernel for the signal mask each time, fifty times the cost.
__attribute__((naked, noinline)) inline void switch_context(Context* /*from*/, Context* /*to*/) {
  asm("pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
      "movq %rsp, (%rdi)\n movq (%rsi), %rsp\n"
      "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret");
}

/// A context that calls entry() on the given stack; entry must not return.
inline void make_context(Context* context, std::byte* stack, std::size_t size, void (*entry)()) {
  auto top = reinterpret_cast<std::uintptr_t>(stack + size) & ~std::uintptr_t{15};
  auto* words = reinterpret_cast<std::uintptr_t*>(top);
  words[-1] = 0;                                        // entry's return address: never used
  words[-2] = reinterpret_cast<std::uintptr_t>(entry);  // what `ret` takes; leaves the stack aligned as after a call
  for (int i = 3; i <= 8; ++i) words[-i] = 0;           // the six preserved registers
  *context = words - 8;
}
#else
using Context = ucontext_t;
inline void switch_context(Context* from, Context* to) { swapcontext(from, to); }
inline void make_context(Context* context, std::byte* stack, std::size_t size, void (*entry)()) {
  getcontext(context);
  context->uc_stack.ss_sp = stack;
  context->uc_stack.ss_size = size;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
}
#endif

/// One stack and the place where it stopped. The owner calls start, then resume until the body has called finish.
class Fiber {
 public:
  Fiber() : memory_(new std::byte[stack_bytes + colours * line]) {
    static std::size_t made = 0;
    stack_ = memory_.get() + made++ % colours * line;  // stacks of one offset in their pages share few cache lines
  }

  /// Forgets what ran here before; the next resume calls entry, which must end with finish.
  void start(void (*entry)()) {
#if defined(EMULATOR_ASAN)
    __asan_unpoison_memory_region(stack_, stack_bytes);  // frames of an abandoned run
#endif
    std::memset(stack_, canary, canary_bytes);
    make_context(&here_, stack_, stack_bytes, entry);
  }

  /// Runs the fiber until it calls suspend or finish.
  void resume() {
#if defined(EMULATOR_ASAN)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, stack_, stack_bytes);
#endif
    switch_context(&owner_, &here_);
#if defined(EMULATOR_ASAN)
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  }

  /// First statement of entry.
  void entered() {
#if defined(EMULATOR_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &owner_stack_, &owner_stack_bytes_);
#endif
  }

  /// Back to the owner, until the next resume.
  void suspend() {
#if defined(EMULATOR_ASAN)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, owner_stack_, owner_stack_bytes_);
#endif
    switch_context(&here_, &owner_);
#if defined(EMULATOR_ASAN)
    __sanitizer_finish_switch_fiber(fake, &owner_stack_, &owner_stack_bytes_);
#endif
  }

  /// Back to the owner for good.
  [[noreturn]] void finish() {
#if defined(EMULATOR_ASAN)
    __sanitizer_start_switch_fiber(nullptr, owner_stack_, owner_stack_bytes_);
#endif
    switch_context(&here_, &owner_);
    __builtin_unreachable();
  }

  /// Whether the stack was never used down to its end.
  bool stack_held() const {
    return stack_[0] == std::byte{canary} && !std::memcmp(stack_, stack_ + 1, canary_bytes - 1);
  }
  /// The same by its last eight bytes, which is cheap enough for every switch.
  bool seems_held() const {
    std::uint64_t last;
    std::memcpy(&last, stack_ + canary_bytes - sizeof(last), sizeof(last));
    return last == canary * 0x0101010101010101u;
  }

 private:
  static constexpr std::size_t stack_bytes = 128 * 1024, canary_bytes = 256;
  static constexpr unsigned char canary = 0xA5;
  static constexpr std::size_t colours = 61, line = 64;
  std::unique_ptr<std::byte[]> memory_;
  std::byte* stack_ = nullptr;
  Context here_{}, owner_{};
#if defined(EMULATOR_ASAN)
  const void* owner_stack_ = nullptr;
  std::size_t owner_stack_bytes_ = 0;
#endif
};

}  // namespace emulator
