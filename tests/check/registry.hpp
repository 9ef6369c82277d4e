/// Checks of golden files, gathered from many translation units. tests/check_goldens writes those.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "check/report.hpp"

namespace flamingo::test {

struct Registered {
  std::string file;
  Report (*check)();

  Registered(std::string path, Report (*function)()) : file(std::move(path)), check(function) { all().push_back(this); }

  static std::vector<const Registered*>& all() {
    static std::vector<const Registered*> list;
    return list;
  }
};

}  // namespace flamingo::test
