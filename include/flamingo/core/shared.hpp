/// A counted reference. std::shared_ptr would do, but <memory> costs every host that includes flamingo.hpp a third of a
/// second of compiling, and <atomic> a tenth: the compilers' own operations are used instead.
#pragma once
#include <utility>

namespace flamingo {

/// Refers to a T that lives as long as a copy of this; copies may be in different threads. Refers to nothing at first.
template <class T>
class Shared {
 public:
  Shared() = default;
  template <class... Arguments>
  static Shared make(Arguments&&... arguments) {
    Shared made;
    made.held_ = new Held{T(std::forward<Arguments>(arguments)...)};
    return made;
  }
  Shared(const Shared& other) noexcept : held_(other.held_) {
    if (held_) __atomic_fetch_add(&held_->count, 1, __ATOMIC_RELAXED);
  }
  Shared(Shared&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  Shared& operator=(Shared other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~Shared() {
    if (held_ && __atomic_fetch_sub(&held_->count, 1, __ATOMIC_ACQ_REL) == 1) delete held_;
  }

  /// Whether both refer to one T.
  bool operator==(const Shared& other) const { return held_ == other.held_; }
  T& operator*() const { return held_->value; }
  T* operator->() const { return &held_->value; }
  /// Whether no other copy refers to it.
  bool unique() const { return held_ && __atomic_load_n(&held_->count, __ATOMIC_ACQUIRE) == 1; }

 private:
  struct Held {
    T value;
    int count = 1;
  };
  Held* held_ = nullptr;
};

}  // namespace flamingo
