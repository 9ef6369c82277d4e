#include <flamingo/eval/tasks/csv.hpp>

#include <catch2/catch.hpp>

#include "made_up.hpp"

namespace csv_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("fields may be quoted, and hold separators, quotes and lines", "[eval][tasks]") {
  const TemporaryFolder folder;
  const Csv csv(folder.write("a.csv",
                             "\xef\xbb\xbf"
                             "id,text,x\r\n1,\"a, \"\"b\"\"\nc\",2.5\n\n3,,-4"));
  REQUIRE(csv.rows() == 2);
  CHECK(csv.text(0, "text") == "a, \"b\"\nc");
  CHECK(csv.number(0, "x") == 2.5);
  CHECK(csv.text(1, "text").empty());
  CHECK(csv.integer(1, "x") == -4);
  CHECK(csv.has("id"));
  CHECK_FALSE(csv.has("label"));
  CHECK(csv.where(1).ends_with("line 5"));
  for (int i = 0; i < made_up; ++i) {
    const Csv again(folder.write("b.csv", "a,b\n" + csv_field(odd_text(i)) + ",1\n"));
    CHECK(again.text(0, "a") == odd_text(i));
  }
}

TEST_CASE("a bad table is refused with its line", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& text) { return error_of([&] { Csv(folder.write("x.csv", text)); }); };
  CHECK(read("").ends_with("found an empty file, expected a line of names"));
  CHECK(read("a,b\n1,2\n1\n").ends_with("line 3: found 1 fields, expected 2"));
  CHECK(read("a,b\n1,\"2\n").ends_with("line 2: found the end of the file, expected a quote"));
  const Csv csv(folder.write("y.csv", "a,b\n1x,\n"));
  CHECK(error_of([&] { csv.integer(0, "a"); }).ends_with("line 2, column a: found '1x', expected an integer"));
  CHECK(error_of([&] { csv.number(0, "b"); }).ends_with("column b: found '', expected a number"));
  CHECK(error_of([&] { csv.text(0, "c"); }).ends_with("found no column 'c', the columns are a, b"));
}

}  // namespace csv_test
