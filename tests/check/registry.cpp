// Runs all checks that are linked to it: a line for each file, its name and what came of it.
#include "check/registry.hpp"

#include <exception>
#include <iostream>

int main() {
  bool agree = true;
  for (const flamingo::test::Registered* r : flamingo::test::Registered::all()) try {
      const flamingo::test::Report report = r->check();
      agree = agree && report.agrees();
      std::cout << r->file << '\t' << report.text() << std::endl;
    } catch (const std::exception& error) {
      agree = false;
      std::cout << r->file << "\tDIFFERS: " << error.what() << std::endl;
    }
  return agree ? 0 : 1;
}
