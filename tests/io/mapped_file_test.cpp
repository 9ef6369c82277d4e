#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <string>
#include <utility>

#include <flamingo/io/mapped_file.hpp>

#include "files.hpp"

namespace mapped_file_test {

using namespace flamingo::tests;
using flamingo::io::MappedFile;

TEST_CASE("a mapped file is the file", "[io][mapped_file]") {
  const TemporaryFolder folder;
  std::string bytes(70'001, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 % 251);
  MappedFile file(folder.write("a", bytes));
  CHECK(file.text() == bytes);
  const auto* start = file.data().data();

  MappedFile moved(std::move(file));
  CHECK(moved.data().data() == start);
  CHECK(file.data().empty());
  MappedFile other(folder.write("empty", ""));
  CHECK(other.data().empty());
  other = std::move(moved);
  CHECK(other.text() == bytes);
  CHECK(other.path() == folder.path() / "a");

  // Replaced by renaming, as our writers do: the old content stays mapped.
  std::filesystem::rename(folder.write("b", "new"), folder.path() / "a");
  CHECK(other.text() == bytes);
}

TEST_CASE("what is no file is refused", "[io][mapped_file]") {
  const TemporaryFolder folder;
  CHECK_THAT(error_of([&] { MappedFile(folder.path() / "missing"); }),
             Catch::Contains("missing: cannot open it (No such file or directory), expected a readable file"));
  CHECK_THAT(error_of([&] { MappedFile(folder.path()); }), Catch::Contains(": it is a directory, expected"));
  const auto pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THAT(error_of([&] { MappedFile{pipe}; }), Catch::Contains("pipe: it is not a regular file"));
}

}  // namespace mapped_file_test
