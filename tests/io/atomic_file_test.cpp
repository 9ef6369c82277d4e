#include <catch2/catch.hpp>

#include <filesystem>
#include <iterator>
#include <string>

#include <flamingo/io/atomic_file.hpp>

#include "files.hpp"

namespace atomic_file_test {

using namespace flamingo::tests;
using flamingo::io::AtomicFile;

namespace {

std::ptrdiff_t count_files(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

}  // namespace

TEST_CASE("a file appears whole or not at all", "[io][atomic_file]") {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "old");
  {
    AtomicFile file(path);
    file.write("half");
    CHECK(read_bytes(path) == "old");
    CHECK(count_files(folder.path()) == 2);
  }
  CHECK(read_bytes(path) == "old");
  CHECK(count_files(folder.path()) == 1);
  AtomicFile first(path), second(path);
  first.write("one ");
  second.write("other");
  first.write("text");
  first.commit();
  CHECK(read_bytes(path) == "one text");
  second.commit();
  CHECK(read_bytes(path) == "other");
  CHECK(count_files(folder.path()) == 1);
}

TEST_CASE("bytes can be written anywhere before the file appears", "[io][atomic_file]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a";
  AtomicFile file(path);
  file.write("head");
  file.write_at(6, std::as_bytes(std::span("xy", 2)));
  file.write_at(4, std::as_bytes(std::span("b", 1)));
  file.write("a");
  file.commit();
  CHECK(read_bytes(path) == std::string("heada\0xy", 8));
}

TEST_CASE("an unusable place is refused", "[io][atomic_file]") {
  const TemporaryFolder folder;
  CHECK_THAT(error_of([&] { AtomicFile(folder.path() / "none" / "a"); }),
             Catch::Contains("none/a: cannot create a temporary file beside it (No such file or directory)"));
  std::filesystem::create_directories(folder.path() / "full" / "x");
  CHECK_THAT(error_of([&] { AtomicFile(folder.path() / "full").commit(); }), Catch::Contains("cannot rename"));
  CHECK(count_files(folder.path()) == 1);
}

}  // namespace atomic_file_test
