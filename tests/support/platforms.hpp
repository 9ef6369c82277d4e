/// The platforms on which every op is tested.
#pragma once
#include <tuple>

#include <flamingo/core/platform.hpp>

namespace flamingo::test {

using Platforms = std::tuple<Cpu<float>, Cpu<double>>;

}  // namespace flamingo::test
