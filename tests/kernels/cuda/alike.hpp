/// What a model computed on one platform against what it computed on another, in double.
#pragma once
#include <cmath>
#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

namespace flamingo::test {

inline void check_alike(const std::vector<double>& got, const std::vector<double>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(std::abs(got[i] - expected[i]) < 1e-9);
}

}  // namespace flamingo::test
