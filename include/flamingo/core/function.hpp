/// Functions that a host gives: kept, or referred to for the time of a call. Function is std::function without
/// <functional>, which costs every host that includes flamingo.hpp a sixth of a second of compiling.
#pragma once
#include <type_traits>
#include <utility>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// Refers to a function for the time of a call: what takes one is compiled once, not once for each function.
template <class Signature>
class FunctionRef;
template <class... Arguments>
class FunctionRef<void(Arguments...)> {
 public:
  template <class F>
  FunctionRef(const F& f)
      : function_(&f),
        call_([](const void* function, Arguments... arguments) { (*static_cast<const F*>(function))(arguments...); }) {}
  void operator()(Arguments... arguments) const { call_(function_, arguments...); }

 private:
  const void* function_;
  void (*call_)(const void*, Arguments...);
};

/// Keeps a function object, or nothing; a copy of it copies the object.
template <class Signature>
class Function;
template <class Result, class... Arguments>
class Function<Result(Arguments...)> {
 public:
  Function() = default;
  template <class F>
    requires(!std::is_same_v<std::decay_t<F>, Function> &&
             std::is_invocable_r_v<Result, std::decay_t<F>&, Arguments...>)
  Function(F&& f) : kept_(new KeptAs<std::decay_t<F>>(std::forward<F>(f))) {}
  Function(const Function& other) : kept_(other.kept_ ? other.kept_->copy() : nullptr) {}
  Function(Function&& other) noexcept : kept_(std::exchange(other.kept_, nullptr)) {}
  Function& operator=(Function other) noexcept {
    std::swap(kept_, other.kept_);
    return *this;
  }
  ~Function() { delete kept_; }

  explicit operator bool() const { return kept_ != nullptr; }
  Result operator()(Arguments... arguments) const {
    check(kept_ != nullptr, "function", "called, but none was given");
    return kept_->call(std::forward<Arguments>(arguments)...);
  }

 private:
  struct Kept {
    virtual ~Kept() = default;
    virtual Kept* copy() const = 0;
    virtual Result call(Arguments... arguments) = 0;
  };
  template <class F>
  struct KeptAs final : Kept {
    template <class G>
    explicit KeptAs(G&& g) : f(std::forward<G>(g)) {}
    Kept* copy() const override { return new KeptAs(f); }
    Result call(Arguments... arguments) override { return f(std::forward<Arguments>(arguments)...); }
    F f;
  };
  Kept* kept_ = nullptr;
};

}  // namespace flamingo
