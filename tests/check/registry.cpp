// Runs the checks of the files that it is given, of those linked to it, or all: a line for each file, its name and what
// came of it.
#include "check/registry.hpp"

#include <algorithm>
#include <exception>
#include <iostream>

int main(int count, char** files) {
  bool agree = true;
  for (const flamingo::test::Registered* r : flamingo::test::Registered::all()) try {
      if (count > 1 && std::find(files + 1, files + count, r->file) == files + count) continue;
      const flamingo::test::Report report = r->check();
      agree = agree && report.agrees();
      std::cout << r->file << '\t' << report.text() << std::endl;
    } catch (const std::exception& error) {
      agree = false;
      std::cout << r->file << "\tDIFFERS: " << error.what() << std::endl;
    }
  return agree ? 0 : 1;
}
