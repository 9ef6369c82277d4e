/// Which gradients will be asked for after a forward pass, and members that exist only for them.
#pragma once
#include <type_traits>

namespace flamingo {

/// Chosen when compiling: forward<need> keeps what backward will read, and nothing else.
struct Need {
  bool inputs = false;   ///< gradients of what flows in
  bool weights = false;  ///< gradients of the layer's own parameters
  constexpr bool any() const { return inputs || weights; }
};

inline constexpr Need no_gradients{};
inline constexpr Need input_gradients{.inputs = true};
inline constexpr Need weight_gradients{.weights = true};
inline constexpr Need all_gradients{.inputs = true, .weights = true};

/// Takes the place of a saved tensor that no wanted gradient reads. Anything may be assigned to it.
struct Nothing {
  constexpr Nothing() = default;
  template <class T>
  constexpr Nothing(const T&) {}
};

/// A member of Saved: T if wanted, else Nothing.
template <bool Wanted, class T>
using If = std::conditional_t<Wanted, T, Nothing>;

}  // namespace flamingo
