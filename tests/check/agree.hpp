/// What a test asserts of a report.
#pragma once
#include <catch2/catch.hpp>

#include "check/report.hpp"

namespace flamingo::test {

inline void check_agreement(const Report& report) {
  INFO("outputs " << report.outputs << ", gradients " << report.gradients << ", worst " << report.worst);
  CHECK(report.wrong == "");
  CHECK(report.outputs <= Report::outputs_agree);
  CHECK(report.gradients <= Report::gradients_agree);
  CHECK(report.tokens);
}

}  // namespace flamingo::test
