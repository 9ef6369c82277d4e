/// What a test asserts of a report.
#pragma once
#include <catch2/catch.hpp>

#include "check/report.hpp"

namespace flamingo::test {

inline void check_agreement(const Report& report) {
  INFO(report.text());
  CHECK(report.agrees());
}

}  // namespace flamingo::test
