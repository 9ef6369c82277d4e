/// Everything that a run trains as one layer, so that one Store, one optimiser and one checkpoint hold it.
#pragma once
#include <string_view>
#include <type_traits>

#include <flamingo/config/training.hpp>
#include <flamingo/core/function.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/train/lora.hpp>
#include <flamingo/train/optimizer.hpp>

namespace flamingo {

/// model/vision/encoder.hpp, which a run that trains an encoder includes.
template <auto C, Platform P>
struct EncoderOf;

/// A decoder's rows after its vocabulary, in its input and, where that is another, in its output table.
template <class Decoder>
struct AddedRows {
  static constexpr int D = Decoder::D, A = Decoder::A, B = Decoder::B;
  static constexpr bool has_output = B > 0 && !Decoder::config.tied;
  static_assert(A > 0, "TrainedParts: added_rows of a decoder without added rows");

  template <class S>
  struct Parameters {
    Added<S, A, D> added;
    If<has_output, Added<S, B, D>> added_output;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(added_spec("added", A, D, Init::normal(0.02f)), p.added...);
    if constexpr (has_output) visit(added_spec("added_output", B, D, Init::normal(0.02f)), p.added_output...);
  }

  /// The decoder's parameters with these rows in place of its own: weights to read, or gradients to add to.
  template <class Whole, class Rows>
  static Whole in(Whole whole, const Rows& rows) {
    whole.added = rows.added;
    if constexpr (has_output) whole.added_output = rows.added_output;
    return whole;
  }
};

namespace detail {
/// A part that is not trained.
struct Untrained {
  template <class S>
  struct Parameters {};
  static constexpr void each(auto&, auto&...) {}
};
template <auto C, Platform P, TrainedParts parts>
struct TrainedLm {
  using type = Untrained;
};
template <auto C, Platform P, TrainedParts parts>
  requires(parts.lm && parts.lora == 0)
struct TrainedLm<C, P, parts> {
  using type = DecoderOf<C, P>;
};
template <auto C, Platform P, TrainedParts parts>
  requires(parts.lora > 0)
struct TrainedLm<C, P, parts> {
  static_assert(!parts.lm, "TrainedParts: lora of a decoder that is trained whole");
  static_assert(!parts.added_rows || DecoderOf<C, P>::A > 0,
                "TrainedParts: added_rows of a decoder without added rows");
  using type = Lora<DecoderOf<C, P>, parts.lora, parts.added_rows>;
};
template <auto C, Platform P, TrainedParts parts>
  requires(parts.added_rows && !parts.lm && parts.lora == 0)
struct TrainedLm<C, P, parts> {
  using type = AddedRows<DecoderOf<C, P>>;
};
template <auto C, Platform P, bool Trained>
struct TrainedVision {
  using type = Untrained;
};
template <auto C, Platform P>
struct TrainedVision<C, P, true> {
  using type = typename EncoderOf<C, P>::type;
};
}  // namespace detail

/// The connector's parameters under their own names, then "lm..." and "vision...".
template <auto C, Platform P, TrainedParts parts>
struct TrainedLayer {
  using Connect = model::Connector<value_of(C), P>;
  using Lm = typename detail::TrainedLm<C.lm, P, parts>::type;
  using Vision = typename detail::TrainedVision<C.vision, P, parts.vision>::type;

  template <class S>
  struct Parameters : Connect::template Parameters<S> {
    typename Lm::template Parameters<S> lm;
    typename Vision::template Parameters<S> vision;
  };
  static constexpr void each(auto& visit, auto&... p) {
    Connect::each(visit, p...);
    auto lm = within(visit, "lm"), vision = within(visit, "vision");
    Lm::each(lm, p.lm...);
    Vision::each(vision, p.vision...);
  }
};
/// Nothing but the connector is the connector.
template <auto C, Platform P, TrainedParts parts>
using TrainedOf =
    std::conditional_t<parts.connector_alone(), model::Connector<value_of(C), P>, TrainedLayer<C, P, parts>>;

/// What each parameter of a TrainedLayer gets: no decay on the Resampler, 0.1 elsewhere, as the paper; the decoder and
/// the encoder at a share of the rate of their own (the paper trains a pretrained decoder with a tenth).
inline Function<Group(const Spec&)> groups_of(double lm_rate, double vision_rate = 1, double decay = 0.1) {
  return [=](const Spec& spec) {
    const std::string_view name = spec.name;
    const double rate = name.starts_with("lm.") ? lm_rate : name.starts_with("vision.") ? vision_rate : 1;
    return Group{rate, name.starts_with("resampler.") ? 0 : decay};
  };
}

}  // namespace flamingo
