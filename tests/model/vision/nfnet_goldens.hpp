/// The configs of timm's golden NFNets.
#pragma once
#include <array>

#include <flamingo/config/nfnet.hpp>

namespace flamingo::test {

constexpr NfNet timm_nfnet(std::array<int, 4> depths, std::array<int, 4> widths, int group, int head) {
  return {.depths = depths,
          .widths = widths,
          .stem = 16,
          .group = group,
          .width_multiple = 8,
          .squeeze_multiple = 8,
          .activation = Activation::gelu,
          .variance = WeightVariance::added,
          .epsilon = 1e-5f,
          .head = head,
          .classes = 7};
}
inline constexpr NfNet nfnet_tiny = timm_nfnet({1, 2, 1, 1}, {16, 32, 48, 48}, 8, 96),
                       nfnet_tiny_odd = timm_nfnet({1, 1, 2, 1}, {16, 16, 32, 32}, 4, 64);

}  // namespace flamingo::test
