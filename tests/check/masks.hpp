/// OpenFlamingo's rules of sight.
#pragma once
#include <flamingo/config/xattn.hpp>

namespace flamingo::test {

/// OpenFlamingo's masks: what has no key attends to all keys evenly, but for leading text under last_image.
constexpr XattnConfig open_flamingo_masks(XattnConfig c, Visibility visibility) {
  const bool all = visibility == Visibility::all_earlier;
  c.visibility = visibility;
  c.before_first = all ? NoImage::uniform : NoImage::zero;
  c.beyond_last = all ? NoImage::zero : NoImage::uniform;
  return c;
}

}  // namespace flamingo::test
