/// Which gradients will be asked for after a forward pass.
#pragma once
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

}  // namespace flamingo
